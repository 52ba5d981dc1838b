"""Tells of what is wrong once the policies are as they should be: what is mended is no news."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from istio_netpol.controller.evaluation import Evaluation
from istio_netpol.controller.metrics import Measures
from istio_netpol.controller.publishing import Publisher
from istio_netpol.errors import ApiError
from istio_netpol.runtime.guarded import Guarded

TELL_SECONDS = 10.0
"""How long there is between two rounds of Events and reports."""

OVERDUE_SECONDS = 30.0
"""After so long without rest, findings are told though policies are being written: somebody whose objects
change all the time would keep everybody's from being told."""


class Telling:
    """Publishes findings, seldom."""

    def __init__(
        self,
        publisher: Publisher,
        evaluation: Evaluation,
        measures: Measures,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publisher = publisher
        self._evaluation = evaluation
        self._measures = measures
        self._clock = clock
        self._next = clock()
        self._is_told = False
        self._waits_since: float | None = None
        self._guarded = Guarded("tell", "findings can't be told now", measures.errored, clock)
        self._log = structlog.get_logger("controller")

    @property
    def due_in(self) -> float:
        """In how many seconds there is something to tell; infinite where all is told."""
        return float("inf") if self._is_told else self._next - self._clock()

    @property
    def is_overdue(self) -> bool:
        """Whether telling has waited for too long for the policies to come to rest."""
        return self._waits_since is not None and self._clock() - self._waits_since > OVERDUE_SECONDS

    def wait(self) -> None:
        """The policies are about to change."""
        self._is_told = False
        if self._waits_since is None:
            self._waits_since = self._clock()

    def tell(self) -> None:
        """Publishes what is new, or notes that it has to wait. A failure is logged, and tried again."""
        self._is_told = False
        if self._clock() < self._next:
            return
        self._waits_since = None
        self._next = self._clock() + TELL_SECONDS
        with self._guarded:
            try:
                self._is_told = self._publisher.publish(self._evaluation.findings())
            except ApiError as error:
                self._measures.failures.inc()
                self._log.warning("findings can't be told now", reason=str(error), status=error.status)
