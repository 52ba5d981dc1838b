"""Does what was planned, no faster than allowed and not for long."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Event

import structlog

from istio_netpol.controller.execution import Execution
from istio_netpol.controller.measures import Measures
from istio_netpol.controller.plan import Action
from istio_netpol.errors import ApiError
from istio_netpol.kube.policy_store import CONFLICT

WRITE_SECONDS = 5.0
"""After so long everything is looked at anew: what is collected was just seen to have no need."""


class Writing:
    """The writes of the leader's rounds."""

    def __init__(
        self,
        execution: Execution,
        per_second: int,
        measures: Measures,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._execution = execution
        self._pause = 1 / per_second
        self._measures = measures
        self._clock = clock
        self._log = structlog.get_logger("controller")

    def carry_out(self, actions: Sequence[Action], stopped: Event) -> bool:
        """Whether all was done. Raises ApiError where the API server can't be reached, or the lease was
        lost."""
        ends = self._clock() + WRITE_SECONDS
        is_done = True
        for action in actions:
            if stopped.is_set() or self._clock() > ends:
                return False
            is_done &= self._try(action)
            stopped.wait(self._pause)
        return is_done

    def _try(self, action: Action) -> bool:
        kind, policy = type(action).__name__.lower(), str(action.target.key)
        try:
            self._execution.carry_out(action)
        except ApiError as error:
            if error.status == 0:
                raise
            self._measures.failures.inc()
            level = self._log.info if error.status == CONFLICT else self._log.warning
            level("not done, and tried again", action=kind, policy=policy, reason=str(error))
            return False
        except MemoryError:
            raise
        except Exception:  # one policy's failure is its own
            self._measures.failures.inc()
            self._log.exception("a policy was not written, and is tried again", action=kind, policy=policy)
            return False
        self._measures.actions.labels(kind).inc()
        self._log.info("done", action=kind, policy=policy)
        return True
