"""Threads of which one at a time leads a loop, and does the work that it finds there without handing it over.

Handing over costs more than most work does: two threads wait for the interpreter's lock and for the kernel to
wake them. So whoever leads works itself, while another thread stands by. That one leads as soon as the first
says that it is going to wait, or has been at one job for longer than `PATIENCE`: the loop waits for no job.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from threading import get_ident

PATIENCE = 0.005
"""For how many seconds one job may keep the loop waiting."""

GLANCE = 0.25
"""For how many seconds the owner of a crew waits at a time. Python handles signals in the main thread between
two of its steps, and gunicorn has SIGTERM restart a system call instead of ending it."""

NEVER = float("inf")
NOBODY = 0


class Crew:
    """Starts threads as they are needed: one that leads, one that stands by, and those that lost the lead
    while they worked."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._turn: Callable[[], None] = lambda: None
        self._goes_on: Callable[[], bool] = lambda: False
        self._look = threading.Condition(threading.Lock())
        """For the thread that stands by; its lock is that of all below."""

        self._leader = NOBODY
        self._is_vacant = False
        """Whether somebody else has to lead."""

        self._since = NEVER
        """When the leader began the job that it is at."""

        self._jobs = 0
        """How many were begun."""

        self._has_standby = False
        self._is_parked = False
        """Whether the thread that stands by has to be told when a job begins: none began for a while."""

        self._has_ended = False
        self._is_done = threading.Event()
        self._error: BaseException | None = None

    def lead(self, turn: Callable[[], None], goes_on: Callable[[], bool]) -> None:
        """Has turns taken while it `goes_on`, one after the other, by whichever thread leads. Returns when
        nobody leads any more. Raises what a turn raises."""
        self._turn, self._goes_on = turn, goes_on
        self._is_done.clear()
        with self._look:
            self._is_vacant = True
            self._need_standby()
            if not self._has_standby:
                raise RuntimeError("the system allows no thread for the loop")
            self._look.notify()
        while not self._is_done.wait(GLANCE):
            pass
        if self._error:
            raise self._error

    def work(self, job: Callable[[], None]) -> bool:
        """Does a job within a turn; whether this thread still leads then. If it does not, another thread
        takes turns by now, and this turn has to end without touching what is the loop's."""
        with self._look:
            self._since = time.monotonic()
            self._jobs += 1
            self._need_standby()
            if self._is_parked:
                self._look.notify()
        job()
        with self._look:
            if self._leader != get_ident():
                return False
            self._since = NEVER
            return True

    def give_way(self) -> None:
        """Lets another thread lead, if this one does: the job that it is at has to wait for somebody."""
        with self._look:
            if self._leader == get_ident():
                self._leader, self._is_vacant = NOBODY, True
                self._look.notify()

    def end(self) -> None:
        """Lets the threads end, each once it has done what it is at."""
        with self._look:
            self._has_ended = True
            self._look.notify()

    def _need_standby(self) -> None:
        """Starts the thread that stands by, where there is none. Where the system allows no more threads, the
        loop waits for the job at hand, which is better than not to do it."""
        if self._has_standby:
            return
        self._has_standby = True
        try:
            threading.Thread(target=self._live, name=self._name).start()
        except RuntimeError:
            self._has_standby = False

    def _live(self) -> None:
        """One thread's life: it stands by, leads, and stands by again unless another one does."""
        while self._stand_by():
            self._take_turns()
            with self._look:
                if self._has_standby or self._has_ended:
                    return
                self._has_standby = True

    def _stand_by(self) -> bool:
        """Waits until this thread leads; False when all is over."""
        seen = -1
        with self._look:
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

    def _take_turns(self) -> None:
        """Leads until another thread does, or until it does not go on."""
        try:
            while self._leader == get_ident():
                if not self._goes_on():
                    break
                self._turn()
            else:
                return
        except BaseException as error:
            self._error = error
        self._leader = NOBODY
        self._is_done.set()
