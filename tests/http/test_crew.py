"""One thread leads at a time; who waits, or takes long, loses the lead and does no harm."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from threading import get_ident

import pytest

from istio_netpol.http.crew import NO_THREAD, SPARES, Crew

WITHIN = 60.0
NAME = "crew-of-a-test"


class Loop:
    """Turns that each do the next job, if there is one; it goes on until it is told not to. While a thread
    has the lead, no other one may take a turn."""

    def __init__(self) -> None:
        self.crew = Crew(NAME)
        self.jobs: list[Callable[[], object]] = []
        self.leaders: list[int] = []
        self.is_over = threading.Event()
        self.kept: list[bool] = []
        self._inside = NO_THREAD
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self.lead)

    def lead(self) -> None:
        try:
            self.crew.lead(self._turn, lambda: not self.is_over.is_set())
        except BaseException as error:
            self._errors.append(error)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.is_over.set()
        if self._thread.is_alive():
            self._thread.join(WITHIN)
            assert not self._thread.is_alive()
        self.crew.end()
        wait_until(lambda: not crew_threads(), "threads are left")
        assert self._errors == []

    def _turn(self) -> None:
        self._inside = get_ident()
        self.leaders.append(self._inside)
        if self.jobs:
            kept = self.crew.work(self.jobs.pop(0))  # type: ignore[arg-type]
            assert not kept or self._inside == get_ident(), "two threads lead"
            self.kept.append(kept)
        else:
            time.sleep(0.001)
            assert self._inside == get_ident(), "two threads lead"

    def waits_for_turns(self, count: int) -> None:
        """Until so many more were taken."""
        before = len(self.leaders)
        wait_until(lambda: len(self.leaders) >= before + count, "the loop stands still")


def wait_until(is_so: Callable[[], bool], complaint: str) -> None:
    """Looks again and again."""
    ends = time.monotonic() + WITHIN
    while not is_so():
        assert time.monotonic() < ends, complaint
        time.sleep(0.001)


def crew_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.stop()


def test_short_jobs_are_done_by_the_leader(loop: Loop) -> None:
    """It keeps the lead, and no other thread touches the loop."""
    done: list[int] = []
    loop.jobs += [lambda: done.append(get_ident())] * 2000
    loop.start()
    wait_until(lambda: len(done) == 2000, "jobs are not done")
    assert {*done} <= {*loop.leaders}
    assert loop.kept.count(False) < 200, "the lead is lost only where the system stops a thread"


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
    wait_until(lambda: len(loop.kept) >= 13, "jobs are not done")
    assert loop.kept.count(False) >= 12, "each of them has lost the lead"


def test_threads_that_are_not_needed_end(loop: Loop) -> None:
    """After a crowd of jobs that waited, one thread leads, one stands by, and a few are kept."""
    go_on = threading.Event()
    loop.jobs += [lambda: (loop.crew.give_way(), go_on.wait(WITHIN))] * 20
    loop.start()
    wait_until(lambda: len(crew_threads()) >= 20, "jobs wait for each other")
    go_on.set()
    wait_until(lambda: len(crew_threads()) <= 2 + SPARES, "too many threads are kept")


def test_jobs_that_give_way_one_after_the_other_start_few_threads(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads are kept for the next one."""
    started: list[int] = []
    start = threading.Thread.start

    def count(thread: threading.Thread) -> None:
        started.append(1)
        start(thread)

    loop.start()
    loop.waits_for_turns(5)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", count)
        for number in range(100):
            loop.jobs.append(loop.crew.give_way)
            wait_until(lambda number=number: len(loop.kept) > number, "a job is not done")
    assert len(started) < 50, "some, where the system stops a thread before it is a spare one"


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()], ids=repr)
def test_jobs_are_done_where_no_more_threads_can_be_started(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """One after the other, and even those that give way; nothing is lost. Once the system allows threads
    again, the loop waits for no job."""
    loop.start()
    loop.waits_for_turns(5)

    def refuse(thread: threading.Thread) -> None:
        raise error

    done: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        loop.jobs += [lambda: (loop.crew.give_way(), done.append(1)), lambda: done.append(2)]
        loop.waits_for_turns(10)
        wait_until(lambda: len(done) == 2, "jobs are lost")
    assert sorted(done) == [1, 2]
    go_on = threading.Event()
    loop.jobs += [lambda: (loop.crew.give_way(), go_on.wait(WITHIN))] * 3
    loop.waits_for_turns(10)
    wait_until(lambda: not loop.jobs, "the loop waits for a job")
    assert not go_on.is_set()
    go_on.set()


def test_who_gives_way_sees_to_it_that_somebody_leads(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though no thread could be started when its job began."""
    go_on, refused = threading.Event(), threading.Event()
    start = threading.Thread.start

    def refuse_once(thread: threading.Thread) -> None:
        if not refused.is_set():
            refused.set()
            raise RuntimeError("can't start new thread")
        start(thread)

    def wait() -> None:
        loop.crew.give_way()
        go_on.wait(WITHIN)

    loop.start()
    loop.waits_for_turns(5)
    monkeypatch.setattr(threading.Thread, "start", refuse_once)
    loop.jobs += [wait, wait]
    wait_until(lambda: refused.is_set() and not loop.jobs, "the second job did not begin")
    loop.waits_for_turns(5)
    assert loop.kept == []
    go_on.set()


def test_what_a_turn_raises_is_raised(loop: Loop) -> None:
    """An error of the loop itself ends it: its owner has to know."""

    def turn() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        loop.crew.lead(turn, lambda: True)


def test_what_a_turn_raises_after_it_has_lost_the_lead_is_raised(loop: Loop) -> None:
    """Once whoever leads by then has ended its turn, and not while that thread is at it."""
    turns: list[str] = []
    is_inside = threading.Event()

    def job() -> None:
        loop.crew.give_way()
        is_inside.wait(WITHIN)

    def turn() -> None:
        turns.append("begun")
        if len(turns) == 1 and not loop.crew.work(job):
            raise ZeroDivisionError
        is_inside.set()
        time.sleep(0.2)
        turns.append("ended")

    with pytest.raises(ZeroDivisionError):
        loop.crew.lead(turn, lambda: True)
    assert turns.count("begun") == turns.count("ended") + 1


def test_a_crew_keeps_no_process_alive() -> None:
    """Where a turn raises while another thread is at a job that does not end."""
    script = """
import threading
from istio_netpol.http.crew import Crew
crew, begun = Crew("test"), threading.Event()
def job():
    crew.give_way()
    begun.set()
    threading.Event().wait()
def turn():
    if begun.is_set():
        raise ZeroDivisionError
    crew.work(job)
crew.lead(turn, lambda: True)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert ended.returncode == 1
    assert "ZeroDivisionError" in ended.stderr


def test_it_leads_again_where_no_more_threads_can_be_started(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that led before are enough, even for an owner that asks for them before they go on."""
    tell = threading.Event.set

    def tell_and_dawdle(event: threading.Event) -> None:
        tell(event)
        time.sleep(0.05)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    turns = [0]
    loop.crew.lead(lambda: turns.append(1), lambda: len(turns) < 2)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Event, "set", tell_and_dawdle)
        loop.crew.lead(lambda: turns.append(2), lambda: turns[-1] < 2)
        patched.setattr(threading.Thread, "start", refuse)
        loop.crew.lead(lambda: turns.append(3), lambda: turns[-1] < 3)
    assert turns == [0, 1, 2, 3]


def test_it_leads_again(loop: Loop) -> None:
    """The loop that serves and the one that ends what is under way have the same threads."""
    turns: list[str] = []
    for name in ("serving", "ending"):
        loop.crew.lead(lambda name=name: turns.append(name), lambda name=name: turns.count(name) < 3)
    assert turns == ["serving"] * 3 + ["ending"] * 3
