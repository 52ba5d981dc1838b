"""Tells the log of the objects that an error of our own left unjudged, each once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from istio_netpol.model.failures import Failure
from istio_netpol.model.findings import Finding


class FailureLog:
    """Remembers what it told for as long as that is true. For one thread."""

    def __init__(self, logger: str) -> None:
        self._log = structlog.get_logger(logger)
        self._told: dict[Any, Failure | None] = {}

    def tell(self, failures: Mapping[Any, Finding]) -> None:
        """Logs what is new among the failures of a table, which has them by object."""
        for key, finding in failures.items():
            failure = finding.failure
            if failure is not None and self._told.get(key) != failure:
                self._log.error(
                    "an object could not be judged",
                    object=str(finding.object),
                    step=failure.step,
                    error=failure.error,
                    place=failure.place,
                )
        self._told = {key: finding.failure for key, finding in failures.items()}
