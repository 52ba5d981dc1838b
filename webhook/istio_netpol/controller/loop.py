"""Decides when policies are reconciled: at the start, when changes have settled, and when something is
due."""

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


class ChangeFeed(Protocol):
    """Where changes come from, to wait for them."""

    def wait(self, seconds: float) -> None:
        """Returns when something changed, or after so many seconds."""
        ...


class Reconciler(Protocol):
    """What follows the cluster and reconciles its policies."""

    def follow(self) -> bool:
        """Takes in what happened in the cluster; returns whether something did."""
        ...

    def reconcile(self, stopped: Event) -> float:
        """Does one round; returns in how many seconds the next is due."""
        ...


class ReconcileLoop:
    """Reconciles in one thread. A replica that does not lead takes in the cluster's changes too, so that a
    new leader begins at once.

    No error ends the loop. The replica keeps its lease meanwhile: one that took over would see the same
    cluster, and the leader's other duties, the certificates above all, go on.
    """

    def __init__(
        self,
        feed: ChangeFeed,
        reconciler: Reconciler,
        leadership: Leadership,
        count: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._feed = feed
        self._reconciler = reconciler
        self._leadership = leadership
        self._clock = clock
        self._due = float("inf")
        self._following = Guarded("follow", "the cluster's changes can't be taken in", count, clock)
        self._reconciling = Guarded("reconcile", "the policies can't be reconciled", count, clock)
        self._log = structlog.get_logger("controller")

    @property
    def problems(self) -> list[str]:
        """Why policies are not as they should be because of errors inside this process."""
        return [loop.problem for loop in (self._following, self._reconciling) if loop.problem]

    def run(self, stopped: Event) -> None:
        """Reconciles whenever this replica leads, until stopped."""
        led = False
        while not stopped.is_set():
            has_news = self._follow()
            leads = self._leadership.is_held
            if not leads:
                self._due, self._reconciling.problem = float("inf"), ""
            elif not led:
                self._log.info("leading")
                self._due = self._clock()
            elif has_news and not self._reconciling.problem:
                self._due = min(self._due, self._clock() + SETTLE_SECONDS)
            led = leads
            if self._clock() >= self._due:
                self._due = self._clock() + self._reconcile(stopped)
            self._rest(stopped, has_news)

    def _follow(self) -> bool:
        with self._following:
            return self._reconciler.follow()
        return False

    def _reconcile(self, stopped: Event) -> float:
        with self._reconciling:
            return self._reconciler.reconcile(stopped)
        return self._reconciling.wait

    def _rest(self, stopped: Event, has_news: bool) -> None:
        """Waits until something is due or new, but no shorter than changes take to settle where there were
        some, and no shorter than a failure asks for."""
        left = self._due - self._clock()
        if self._following.problem:
            stopped.wait(self._following.wait)
        elif has_news or left < IDLE_SECONDS:
            stopped.wait(min(SETTLE_SECONDS, max(left, 0.0)))
        else:
            self._feed.wait(IDLE_SECONDS)
