"""Requests that are complete and wait to be answered; clients take turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from msgspec import Struct

from istio_netpol.http.connection import Connection, Phase
from istio_netpol.http.message import Request
from istio_netpol.turns import Turns


class Task(Struct, eq=False):
    """A request to be answered, where it came from, and whether its client had gone before it had the
    answer."""

    lane: Lane
    connection: Connection
    request: Request
    is_gone: bool = False


class Lane:
    """So many requests are answered at once, and only some of one client. All methods are the loop's."""

    def __init__(self, places: int, may_hold: Callable[[str], int]) -> None:
        self._free = places
        self._may_hold = may_hold
        self._held: Counter[str] = Counter()
        self._waiting: Turns[str, Task] = Turns()

    def put(self, connection: Connection, request: Request) -> None:
        """Lines a request up."""
        self._waiting.put(connection.address, Task(self, connection, request))

    def take(self) -> Task | None:
        """The next request to answer, if there is a place for it; its connection is `WORKING` then."""
        while self._free and (task := self._waiting.take(self._may_start)):
            connection = task.connection
            if connection.phase is Phase.WAITING:  # Otherwise it was closed meanwhile.
                connection.phase = Phase.WORKING
                self._held[connection.address] += 1
                self._free -= 1
                return task
        return None

    def finished(self, address: str) -> None:
        """Notes that a request of a client was answered."""
        self._free += 1
        self._held[address] -= 1
        if not self._held[address]:
            del self._held[address]

    def _may_start(self, address: str) -> bool:
        return self._held[address] < self._may_hold(address)
