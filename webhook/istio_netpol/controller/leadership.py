"""What only the leader does: each duty in a thread of its own, so that none waits for another."""

from __future__ import annotations

import threading
from typing import Protocol

import structlog

from istio_netpol.errors import NetpolError

FOLLOW_SECONDS = 0.5
"""How late a new leader begins, at most."""

RETRY_SECONDS = 1.0


class Leadership(Protocol):
    """Whether this process may write."""

    @property
    def is_held(self) -> bool: ...


class Chore(Protocol):
    """Something that the leader does now and then."""

    def reconcile(self) -> float:
        """Does what is due; the seconds until it wants to be called again."""
        ...


class Duty:
    """A thread that does one chore while this process leads. What a chore writes with goes through a
    connection that refuses once the lease is lost, so that it ends at its next write."""

    def __init__(self, name: str, chore: Chore, leadership: Leadership, stopped: threading.Event) -> None:
        self._chore = chore
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
            wait = FOLLOW_SECONDS
            if self._leadership.is_held:
                try:
                    wait = self._chore.reconcile()
                except NetpolError as error:
                    self._log.warning("a chore failed and is tried again", reason=str(error))
                    wait = RETRY_SECONDS
            self._stopped.wait(wait)
