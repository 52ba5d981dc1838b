"""Tells of what is wrong once the policies are as they should be: what is mended is no news."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from istio_netpol.controller.evaluation import Evaluation
from istio_netpol.controller.measures import Measures
from istio_netpol.controller.publishing import Publisher
from istio_netpol.errors import ApiError

TELL_SECONDS = 10.0
"""How long there is between two rounds of Events and reports."""


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
        self._log = structlog.get_logger("controller")

    @property
    def due_in(self) -> float:
        """In how many seconds there is something to tell; infinite where all is told."""
        return float("inf") if self._is_told else self._next - self._clock()

    def wait(self) -> None:
        """The policies are about to change."""
        self._is_told = False

    def tell(self) -> None:
        """Publishes what is new, or notes that it has to wait. A failure is logged, and tried again."""
        self._is_told = False
        if self._clock() < self._next:
            return
        self._next = self._clock() + TELL_SECONDS
        try:
            self._is_told = self._publisher.publish(self._evaluation.findings())
        except ApiError as error:
            self._measures.failures.inc()
            self._log.warning("findings can't be told now", reason=str(error), status=error.status)
