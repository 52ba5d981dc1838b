"""When the policies are looked at: at the start, when changes have settled, and when something is due."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event
from typing import Protocol

import structlog

from istio_netpol.controller.leadership import Leadership
from istio_netpol.runtime.guarded import Guarded

IDLE_SECONDS = 0.5
SETTLE_SECONDS = 0.1
"""Changes come in bursts: one evaluation for what comes within this time."""


class News(Protocol):
    """Where changes come from, to wait for them."""

    def wait(self, seconds: float) -> None:
        """Returns when something changed, or after so many seconds."""
        ...


class Keeper(Protocol):
    """Who does the work."""

    def follow(self) -> bool:
        """Takes in what happened; whether something did."""
        ...

    def reconcile(self, stopped: Event) -> float:
        """One round; in how many seconds the next is due."""
        ...


class Loop:
    """Runs in one thread. Who follows keeps up with the cluster too, so that a new leader begins at once.

    No error ends it. The lease is kept meanwhile: a replica that takes over would see the same cluster, and
    what else the leader does, the certificates above all, goes on.
    """

    def __init__(
        self,
        news: News,
        keeper: Keeper,
        leadership: Leadership,
        count: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._news = news
        self._keeper = keeper
        self._leadership = leadership
        self._clock = clock
        self._due = float("inf")
        self._following = Guarded("follow", "the cluster's changes can't be taken in", count, clock)
        self._keeping = Guarded("reconcile", "the policies can't be kept", count, clock)
        self._log = structlog.get_logger("controller")

    @property
    def problems(self) -> list[str]:
        """Why policies are not what they should be, as far as this process is to blame."""
        return [each.problem for each in (self._following, self._keeping) if each.problem]

    def run(self, stopped: Event) -> None:
        """Works whenever it leads, until stopped."""
        led = False
        while not stopped.is_set():
            has_news = self._follow()
            leads = self._leadership.is_held
            if not leads:
                self._due, self._keeping.problem = float("inf"), ""
            elif not led:
                self._log.info("leading")
                self._due = self._clock()
            elif has_news and not self._keeping.problem:
                self._due = min(self._due, self._clock() + SETTLE_SECONDS)
            led = leads
            if self._clock() >= self._due:
                self._due = self._clock() + self._reconcile(stopped)
            self._rest(stopped, has_news)

    def _follow(self) -> bool:
        with self._following:
            return self._keeper.follow()
        return False

    def _reconcile(self, stopped: Event) -> float:
        with self._keeping:
            return self._keeper.reconcile(stopped)
        return self._keeping.wait

    def _rest(self, stopped: Event, has_news: bool) -> None:
        """Until something is due or new, but never less than changes take to settle where there were some,
        nor less than a failure asks for."""
        left = self._due - self._clock()
        if self._following.problem:
            stopped.wait(self._following.wait)
        elif has_news or left < IDLE_SECONDS:
            stopped.wait(min(SETTLE_SECONDS, max(left, 0.0)))
        else:
            self._news.wait(IDLE_SECONDS)
