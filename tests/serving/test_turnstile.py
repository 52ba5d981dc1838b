"""Reviews of a namespace wait for one another, and not those of others for them."""

from __future__ import annotations

import contextlib
import threading
import time

from tests.kube.following import wait_until

from istio_netpol.server.turnstile import Turnstile


class Workshop:
    """Threads that hold a turn until they are let go."""

    def __init__(self, turns: Turnstile) -> None:
        self.turns = turns
        self.inside: list[str] = []
        self.order: list[str] = []
        self._threads: list[threading.Thread] = []
        self._go: dict[str, threading.Semaphore] = {}

    def come(self, name: str) -> None:
        """A thread that asks for a turn of the namespace before the slash; it has asked when this returns."""
        go = self._go.setdefault(name, threading.Semaphore(0))
        has_asked = threading.Event()

        def work() -> None:
            with self.turns.turn(name.partition("/")[0], has_asked.set):
                self.inside.append(name)
                self.order.append(name)
                has_asked.set()
                go.acquire()
                self.inside.remove(name)

        self._threads.append(threading.Thread(target=work))
        self._threads[-1].start()
        assert has_asked.wait(60)

    def end(self, *names: str) -> None:
        for name in names:
            self._go[name].release()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()


def test_a_namespace_gets_a_few_turns_at_a_time_and_another_one_its_own() -> None:
    """Twenty reviews of one namespace leave a place for the first of another one."""
    shop = Workshop(Turnstile(8, 3))
    names = [f"team-a/{number}" for number in range(20)]
    for name in names:
        shop.come(name)
    assert shop.inside == names[:3]
    shop.come("team-b/0")
    assert "team-b/0" in shop.inside
    shop.end("team-b/0", *names)
    shop.join()
    assert sorted(shop.order) == sorted([*names, "team-b/0"])


def test_who_waits_is_let_in_in_turn() -> None:
    """Where all places are taken, the next ones go to the namespaces one after the other."""
    shop = Workshop(Turnstile(1, 1))
    for name in ("team-a/0", "team-a/1", "team-a/2", "team-b/0", "team-b/1"):
        shop.come(name)
    for number, name in enumerate(("team-a/0", "team-a/1", "team-b/0", "team-a/2", "team-b/1")):
        wait_until(lambda name=name: shop.inside == [name])
        assert shop.order[number] == name
        shop.end(name)
    shop.join()


def test_who_waits_says_so_first() -> None:
    """The loop of the server is led by another thread by then; whoever gets a turn at once keeps the lead."""
    turns, said = Turnstile(1, 1), threading.Semaphore(0)
    with turns.turn("team-a", said.release):
        assert not said.acquire(blocking=False)
        with turns.aside():
            assert said.acquire(blocking=False), "before it waits for somebody else"
        second = threading.Thread(target=lambda: turns.turn("team-a", said.release).__enter__())
        second.start()
        assert said.acquire(timeout=60), "before it waits for its turn"
        assert second.is_alive()
    second.join(60)
    assert not second.is_alive()


def test_an_error_gives_the_turn_back() -> None:
    """A review that breaks keeps nobody out."""
    turns = Turnstile(1, 1)
    for _ in range(3):
        try:
            with turns.turn("team-a"):
                raise ZeroDivisionError
        except ZeroDivisionError:
            continue
    with turns.turn("team-b"):
        pass


def test_who_waits_for_somebody_else_holds_no_turn() -> None:
    """While a review waits for DNS or the API server, the next one is worked out; then it takes its turn
    again."""
    turns = Turnstile(1, 1)
    seen: list[str] = []
    asked, answered = threading.Event(), threading.Event()

    def first() -> None:
        with turns.turn("team-a"):
            with turns.aside():
                asked.set()
                answered.wait(60)
            seen.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    assert asked.wait(60)
    with turns.turn("team-b"):
        answered.set()
        time.sleep(0.1)
        seen.append("second")
    thread.join(60)
    assert seen == ["second", "first"]
    with turns.aside():
        seen.append("a thread without a turn")


def test_a_turn_is_given_back_once_where_giving_way_fails() -> None:
    """Otherwise more than the limit would be let in ever after."""
    turns = Turnstile(1, 1)

    def fail() -> None:
        raise ZeroDivisionError

    with contextlib.suppress(ZeroDivisionError), turns.turn("team-a", fail), turns.aside():
        raise AssertionError("nobody waits within the block")
    shop = Workshop(turns)
    for name in ("team-a/0", "team-b/0"):
        shop.come(name)
    assert shop.inside == ["team-a/0"]
    shop.end("team-a/0", "team-b/0")
    shop.join()
