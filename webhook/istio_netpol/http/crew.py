"""Threads of which one at a time leads a loop, and does the work that it finds there without handing it over.

Handing over costs more than most work does: two threads wait for the interpreter's lock and for the kernel to
wake them. So whoever leads works itself, while another thread stands by. That one leads as soon as the first
says that it is going to wait, or has been at one job for longer than `PATIENCE`: the loop waits for no job.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from threading import get_ident

PATIENCE = 0.005
"""For how many seconds one job may keep the loop waiting."""

GLANCE = 0.25
"""For how many seconds the owner of a crew waits at a time. Python handles signals in the main thread between
two of its steps, and gunicorn has SIGTERM restart a system call instead of ending it."""

SPARES = 3
"""Threads that are kept though nothing is to be done. Jobs that take a little longer than `PATIENCE` need one
each, and to start one costs as much as a short job."""

NEVER = float("inf")
NO_THREAD = 0


class Crew:
    """Starts threads as they are needed: one that leads, one that stands by, those that lost the lead while
    they worked, and a few spare ones. None of them keeps the process from ending."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._turn: Callable[[], None] = lambda: None
        self._goes_on: Callable[[], bool] = lambda: False
        self._lock = threading.Lock()
        """Of all below."""

        self._look = threading.Condition(self._lock)
        """For the thread that stands by."""

        self._leader = NO_THREAD
        self._is_vacant = False
        """Whether somebody else has to lead."""

        self._since = NEVER
        """When the leader began the job that it is at."""

        self._jobs = 0
        """How many were begun."""

        self._has_standby = False
        """Whether a thread stands by, or is about to."""

        self._is_parked = False
        """Whether the thread that stands by has to be told when a job begins: none began for a while."""

        self._call = threading.Condition(self._lock)
        """For spare threads."""

        self._spares = 0
        self._calls = 0
        """How many of the spare threads are to stand by, and have not noticed yet."""

        self._has_ended = False
        self._is_done = threading.Event()
        self._error: BaseException | None = None

    def lead(self, turn: Callable[[], None], goes_on: Callable[[], bool]) -> None:
        """Has turns taken while it `goes_on`, one after the other, by whichever thread leads. Returns when
        nobody leads any more. Raises what a turn raises; the crew has ended then."""
        self._turn, self._goes_on = turn, goes_on
        self._is_done.clear()
        try:
            self._begin()
            while not self._is_done.wait(GLANCE):
                pass
            if self._error:
                raise self._error
        except BaseException:
            self.end()
            raise

    def work(self, job: Callable[[], None]) -> bool:
        """Does a job within a turn; whether this thread still leads then. If it does not, another thread
        takes turns by now, and this turn has to end without touching what is the loop's."""
        with self._lock:
            self._since = time.monotonic()
            self._jobs += 1
            is_short = self._is_short()
            if self._is_parked:
                self._look.notify()
        if is_short:
            self._start()
        job()
        with self._lock:
            if self._leader != get_ident():
                return False
            self._since = NEVER
            return True

    def give_way(self) -> None:
        """Lets another thread lead, if this one does: the job that it is at has to wait for somebody."""
        with self._lock:
            if self._leader != get_ident():
                return
            self._leader, self._is_vacant = NO_THREAD, True
            is_short = self._is_short()
            self._look.notify()
        if is_short:
            self._start()

    def end(self) -> None:
        """Lets the threads end, each once it has done what it is at."""
        with self._lock:
            self._has_ended = True
            self._look.notify_all()
            self._call.notify_all()

    def _begin(self) -> None:
        with self._lock:
            self._is_vacant = True
            is_short = self._is_short()
            self._look.notify()
        if is_short and not self._start():
            raise RuntimeError("the system allows no thread for the loop")

    def _is_short(self) -> bool:
        """Whether a thread has to be started, so that one stands by; where there is a spare one, it is
        called. By whoever holds the lock, and then calls `_start` without it."""
        if self._has_standby:
            return False
        self._has_standby = True
        if self._spares > self._calls:
            self._calls += 1
            self._call.notify()
            return False
        return True

    def _start(self) -> bool:
        """Starts the thread that stands by; whether it could. Where the system allows no more threads, the
        loop waits for the job at hand, which is better than not to do it."""
        is_started = False
        try:
            with contextlib.suppress(Exception):
                threading.Thread(target=self._live, name=self._name, daemon=True).start()
                is_started = True
        finally:
            if not is_started:
                with self._lock:
                    self._has_standby = False
        return is_started

    def _live(self) -> None:
        """One thread's life: it stands by, leads, and stands by again at once or when it is called."""
        while self._stand_by():
            error = self._take_turns()
            with self._lock:
                stands_by = not self._has_standby
                self._has_standby = True
                self._lay_down(error)
                if not stands_by and not self._is_called():
                    return

    def _stand_by(self) -> bool:
        """Waits until this thread leads; False when all is over."""
        seen = -1
        with self._lock:
            while not self._has_ended:
                left = self._since + PATIENCE - time.monotonic()
                if self._is_vacant or left <= 0:
                    self._leader, self._is_vacant, self._since = get_ident(), False, NEVER
                    self._has_standby = self._is_parked = False
                    return True
                self._is_parked = self._since == NEVER and self._jobs == seen
                seen = self._jobs
                self._look.wait(None if self._is_parked else min(left, PATIENCE))
            return False

    def _take_turns(self) -> BaseException | None:
        """Leads until another thread does, or until it does not go on; the error that ended it."""
        try:
            while self._leader == get_ident() and not self._error and self._goes_on():
                self._turn()
        except BaseException as error:
            return error
        return None

    def _lay_down(self, error: BaseException | None) -> None:
        """Tells the owner, where this thread led to the end. An error after it had lost the lead ends the
        loop by the next turn."""
        self._error = self._error or error
        if self._leader == get_ident():
            self._leader, self._since = NO_THREAD, NEVER
            self._is_done.set()

    def _is_called(self) -> bool:
        """Waits as a spare thread until it has to stand by; False where there are enough, and when all is
        over."""
        if self._spares == SPARES:
            return False
        self._spares += 1
        while not self._calls and not self._has_ended:
            self._call.wait()
        self._spares -= 1
        if self._has_ended:
            return False
        self._calls -= 1
        return True
