"""When the policies are looked at: at the start, when changes have settled, and when something is due."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event

import structlog

from istio_netpol.controller.keeper import PolicyKeeper
from istio_netpol.controller.leadership import Leadership
from istio_netpol.kube.cluster import Cluster

IDLE_SECONDS = 0.5
SETTLE_SECONDS = 0.1
"""Changes come in bursts: one evaluation for what comes within this time."""


class Loop:
    """Runs in one thread. Who follows keeps up with the cluster too, so that a new leader begins at once."""

    def __init__(
        self,
        cluster: Cluster,
        keeper: PolicyKeeper,
        leadership: Leadership,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._keeper = keeper
        self._leadership = leadership
        self._clock = clock
        self._due = float("inf")
        self._log = structlog.get_logger("controller")

    def run(self, stopped: Event) -> None:
        """Works whenever it leads, until stopped."""
        led = False
        while not stopped.is_set():
            has_news = self._keeper.follow()
            leads = self._leadership.is_held
            if not leads:
                self._due = float("inf")
            elif not led:
                self._log.info("leading")
                self._due = self._clock()
            elif has_news:
                self._due = min(self._due, self._clock() + SETTLE_SECONDS)
            led = leads
            if self._clock() >= self._due:
                self._due = self._clock() + self._keeper.reconcile(stopped)
            self._rest(stopped, has_news)

    def _rest(self, stopped: Event, has_news: bool) -> None:
        """Until something is due or new, but never less than changes take to settle where there were some."""
        left = self._due - self._clock()
        if has_news or left < IDLE_SECONDS:
            stopped.wait(min(SETTLE_SECONDS, max(left, 0.0)))
        else:
            self._cluster.wait(IDLE_SECONDS)
