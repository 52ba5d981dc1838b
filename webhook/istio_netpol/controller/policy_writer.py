"""Does what was planned, no faster than allowed and not for long."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event

import structlog

from istio_netpol.controller.execution import Execution
from istio_netpol.controller.metrics import Measures
from istio_netpol.controller.plan import Action
from istio_netpol.errors import ApiError
from istio_netpol.kube.policy_store import CONFLICT

WRITE_SECONDS = 5.0
"""After so long everything is looked at anew: what is collected was just seen to have no need."""


FIRST_SECONDS, LONGEST_SECONDS = 1.0, 60.0
"""How long a write that failed once, and one that fails each time, is left alone: one that a tenant's own
ResourceQuota refuses must not make round follow round."""


@dataclass(slots=True)
class Outcome:
    """What came of the writes: whether all that were due were tried, how many were done, and in how many
    seconds the first of those that failed is due."""

    is_complete: bool = True
    written: int = 0
    again_in: float = float("inf")


@dataclass(slots=True)
class _Failed:
    """A write that failed: until when it is left alone, and for how long the last time."""

    until: float
    seconds: float


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
        self._failed: dict[object, _Failed] = {}
        self._log = structlog.get_logger("controller")

    def carry_out(self, actions: Sequence[Action], stopped: Event) -> Outcome:
        """Tries what is due. Raises ApiError where the API server can't be reached, or the lease was lost."""
        ends = self._clock() + WRITE_SECONDS
        outcome = Outcome()
        names = {_name(action) for action in actions}
        self._failed = {name: failed for name, failed in self._failed.items() if name in names}
        for action in actions:
            failed = self._failed.get(_name(action))
            if failed is None or failed.until <= self._clock():
                if stopped.is_set() or self._clock() > ends:
                    outcome.is_complete = False
                    return outcome
                failed = self._tried(action, failed)
                outcome.written += failed is None
                stopped.wait(self._pause)
            if failed is not None:
                outcome.again_in = min(outcome.again_in, max(failed.until - self._clock(), 0.0))
        return outcome

    def _tried(self, action: Action, before: _Failed | None) -> _Failed | None:
        """Tries a write; what is remembered of it where it failed."""
        if self._try(action):
            self._failed.pop(_name(action), None)
            return None
        seconds = FIRST_SECONDS if before is None else min(2 * before.seconds, LONGEST_SECONDS)
        self._failed[_name(action)] = failed = _Failed(self._clock() + seconds, seconds)
        return failed

    def _try(self, action: Action) -> bool:
        kind = type(action).__name__.lower()
        log = self._log.bind(object=str(action.target.ref), object_uid=_uid(action))
        try:
            self._execution.carry_out(action)
        except ApiError as error:
            if error.status == 0:
                raise
            self._measures.failures.inc()
            level = log.info if error.status == CONFLICT else log.warning
            level(f"policy not {DONE[kind]}, and tried again", reason=str(error), status=error.status)
            return False
        except MemoryError:
            raise
        except Exception:  # one policy's failure is its own
            self._measures.failures.inc()
            log.exception(f"policy not {DONE[kind]}, and tried again")
            return False
        self._measures.actions.labels(kind).inc()
        log.info(f"policy {DONE[kind]}")
        return True


DONE = {"apply": "applied", "mark": "marked", "delete": "deleted"}


def _uid(action: Action) -> str:
    """The uid of a policy that is there already."""
    return action.present.uid if action.present else ""


def _name(action: Action) -> object:
    """What tells writes apart from round to round."""
    return (type(action), action.target.namespace, action.target.name)
