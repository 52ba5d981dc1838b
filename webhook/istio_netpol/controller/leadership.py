"""The duties of the leader, each in a thread of its own, so that none waits for another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import structlog

from istio_netpol.errors import NetpolError
from istio_netpol.runtime.guarded import Guarded

FOLLOW_SECONDS = 0.5
"""How late a new leader begins its duties, at most."""

RETRY_SECONDS = 1.0


class Leadership(Protocol):
    """Whether this process may write."""

    @property
    def is_held(self) -> bool: ...


class Leased(Leadership, Protocol):
    """A leadership that has to be renewed, and is given back in the end. Both raise ApiError."""

    def keep(self) -> bool:
        """Renews it, or tries to get it, when that is due; returns whether it is held."""
        ...

    def release(self) -> None:
        """Gives it back."""
        ...


class Chore(Protocol):
    """Something that the leader does now and then. Its name is the label `loop` of its errors."""

    name: str

    def reconcile(self) -> float:
        """Does what is due; returns the seconds until it wants to be called again."""
        ...


class Duty:
    """A thread that does one chore while this process leads. No error ends it.

    A chore writes through a connection that refuses once the lease is lost, so the chore ends at its next
    write.
    """

    def __init__(
        self,
        chore: Chore,
        leadership: Leadership,
        stopped: threading.Event,
        count: Callable[[str], None],
    ) -> None:
        self._chore = chore
        self._guarded = Guarded(chore.name, f"the leader's duty {chore.name} failed", count)
        self._leadership = leadership
        self._stopped = stopped
        self._log = structlog.get_logger("controller")
        self._thread = threading.Thread(target=self._run, name=chore.name, daemon=True)

    def start(self) -> None:
        """Starts the thread; returns at once."""
        self._thread.start()

    def join(self) -> None:
        """Returns when the chore is at rest, after `stopped` was set."""
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._stopped.wait(self._turn() if self._leadership.is_held else FOLLOW_SECONDS)

    def _turn(self) -> float:
        """Does the chore once; returns in how many seconds it is due again."""
        with self._guarded:
            try:
                return self._chore.reconcile()
            except NetpolError as error:
                self._log.warning(
                    "a duty of the leader failed, and is tried again",
                    duty=self._chore.name,
                    reason=str(error),
                )
                return RETRY_SECONDS
        return self._guarded.wait
