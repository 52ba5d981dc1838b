"""What only the leader does: each duty in a thread of its own, so that none waits for another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import structlog

from istio_netpol.errors import NetpolError
from istio_netpol.runtime.guarded import Guarded

FOLLOW_SECONDS = 0.5
"""How late a new leader begins, at most."""

RETRY_SECONDS = 1.0


class Leadership(Protocol):
    """Whether this process may write."""

    @property
    def is_held(self) -> bool: ...


class Leased(Leadership, Protocol):
    """A leadership that has to be renewed, and is given back in the end. Both raise ApiError."""

    def keep(self) -> bool:
        """Renews it, or tries to get it, when that is due; whether it is held."""
        ...

    def release(self) -> None:
        """Gives it back."""
        ...


class Chore(Protocol):
    """Something that the leader does now and then."""

    def reconcile(self) -> float:
        """Does what is due; the seconds until it wants to be called again."""
        ...


class Duty:
    """A thread that does one chore while this process leads. What a chore writes with goes through a
    connection that refuses once the lease is lost, so that it ends at its next write. No error ends it."""

    def __init__(
        self,
        name: str,
        chore: Chore,
        leadership: Leadership,
        stopped: threading.Event,
        count: Callable[[str], None],
    ) -> None:
        self._chore = chore
        self._guarded = Guarded(name, f"{name} failed", count)
        self._leadership = leadership
        self._stopped = stopped
        self._log = structlog.get_logger("controller")
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begins; returns at once."""
        self._thread.start()

    def join(self) -> None:
        """Returns when the chore is at rest, after `stopped` was set."""
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._stopped.wait(self._turn() if self._leadership.is_held else FOLLOW_SECONDS)

    def _turn(self) -> float:
        """Does the chore once; in how many seconds it is due again."""
        with self._guarded:
            try:
                return self._chore.reconcile()
            except NetpolError as error:
                self._log.warning("a chore failed and is tried again", reason=str(error))
                return RETRY_SECONDS
        return self._guarded.wait
