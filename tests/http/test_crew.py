"""One thread leads at a time; who waits, or takes long, loses the lead and does no harm."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from threading import get_ident

import pytest

from istio_netpol.http.crew import Crew

WITHIN = 20.0


class Loop:
    """Turns that each do the next job, if there is one; it goes on until it is told not to."""

    def __init__(self) -> None:
        self.crew = Crew("test")
        self.jobs: list[object] = []
        self.leaders: list[int] = []
        self.is_over = threading.Event()
        self.kept: list[bool] = []
        self._inside = threading.Lock()
        self._thread = threading.Thread(target=self.lead)

    def lead(self) -> None:
        self.crew.lead(self._turn, lambda: not self.is_over.is_set())

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.is_over.set()
        if self._thread.is_alive():
            self._thread.join(WITHIN)
            assert not self._thread.is_alive()
        self.crew.end()

    def _turn(self) -> None:
        assert self._inside.acquire(blocking=False), "two threads lead"
        self.leaders.append(get_ident())
        self._inside.release()
        if self.jobs:
            self.kept.append(self.crew.work(self.jobs.pop(0)))  # type: ignore[arg-type]
        else:
            time.sleep(0.001)

    def waits_for_turns(self, count: int) -> None:
        """Until so many more were taken."""
        before, ends = len(self.leaders), time.monotonic() + WITHIN
        while len(self.leaders) < before + count:
            assert time.monotonic() < ends, "the loop stands still"
            time.sleep(0.001)


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.stop()


def test_short_jobs_are_done_by_the_leader(loop: Loop) -> None:
    """It keeps the lead, and no other thread touches the loop."""
    done: list[int] = []
    loop.jobs += [lambda: done.append(get_ident())] * 50
    loop.start()
    loop.waits_for_turns(60)
    assert len(done) == 50
    assert {*done} <= {*loop.leaders}
    assert len({*done}) < 10, "most of them in one thread"


@pytest.mark.parametrize("gives_way", [True, False], ids=["says-so", "is-slow"])
def test_the_loop_waits_for_no_job(loop: Loop, gives_way: bool) -> None:
    """However many jobs wait at once, whether they say so or just take long."""
    go_on, waiting = threading.Event(), threading.Semaphore(0)

    def job() -> None:
        if gives_way:
            loop.crew.give_way()
        waiting.release()
        go_on.wait(WITHIN)

    loop.jobs += [job] * 12
    loop.start()
    for _ in range(12):
        assert waiting.acquire(timeout=WITHIN)
    loop.waits_for_turns(5)
    assert loop.kept == []
    go_on.set()
    loop.jobs += [lambda: None]
    loop.waits_for_turns(5)
    ends = time.monotonic() + WITHIN
    while len(loop.kept) < 13 and time.monotonic() < ends:
        time.sleep(0.001)
    assert loop.kept.count(False) == 12, "each of them has lost the lead"


def test_threads_that_are_not_needed_end(loop: Loop) -> None:
    """After a crowd of jobs that waited, one thread leads and one stands by."""
    before = threading.active_count()
    go_on = threading.Event()
    loop.jobs += [lambda: (loop.crew.give_way(), go_on.wait(WITHIN))] * 20
    loop.start()
    go_on.set()
    loop.waits_for_turns(50)
    ends = time.monotonic() + WITHIN
    while threading.active_count() > before + 3:
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_jobs_are_done_where_no_more_threads_can_be_started(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other, and even those that give way; nothing is lost."""
    loop.start()
    loop.waits_for_turns(5)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    done: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        loop.jobs += [lambda: (loop.crew.give_way(), done.append(1)), lambda: done.append(2)]
        loop.waits_for_turns(10)
    assert done == [1, 2]


def test_what_a_turn_raises_is_raised(loop: Loop) -> None:
    """An error of the loop itself ends it: its owner has to know."""

    def turn() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        loop.crew.lead(turn, lambda: True)


def test_it_leads_again(loop: Loop) -> None:
    """The loop that serves and the one that ends what is under way have the same threads."""
    turns: list[str] = []
    for name in ("serving", "ending"):
        loop.crew.lead(lambda name=name: turns.append(name), lambda name=name: turns.count(name) < 3)
    assert turns == ["serving"] * 3 + ["ending"] * 3
