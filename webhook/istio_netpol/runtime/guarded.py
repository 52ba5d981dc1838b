"""Keeps errors of our own from ending a loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog

from istio_netpol.kube.backoff import Backoff


class Guarded:
    """A context for each step of one loop. An error that a step raises is logged with its traceback, counted,
    and told as `problem` until a step succeeds. The next step is to be tried after `wait` seconds, longer
    each time.

    `trouble` is a sentence that says what does not work then; `count` is called with the loop's name. Steps
    are for one thread; any thread may read `problem`.
    """

    def __init__(
        self,
        name: str,
        trouble: str,
        count: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._trouble = trouble
        self._count = count
        self._backoff = Backoff(clock)
        self._log = structlog.get_logger(name)
        self.problem = ""
        self.wait = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Lets nothing that a step raises get out, except what ends the process."""
        if error is None:
            self.problem = ""
            self.wait = 0.0
            self._backoff.succeeded()
            return False
        if not isinstance(error, Exception):
            return False
        self.problem = f"{self._trouble}; the log has the details"
        self.wait = self._backoff.next_wait()
        self._count(self._name)
        self._log.error(self._trouble, exc_info=error, tried_again_in=round(self.wait, 1))
        return True
