"""Requests that are complete and wait to be answered; clients take turns, and the namespaces of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from msgspec import Struct

from istio_netpol.http.connection import Connection, Phase
from istio_netpol.http.message import HttpRequest
from istio_netpol.turns import Turns


class Task(Struct, eq=False):
    """A request to be answered, where it came from, and whether its client had gone before it had the
    answer."""

    lane: Lane
    connection: Connection
    request: HttpRequest
    is_gone: bool = False


class Lane:
    """So many requests are answered at once, and only some of one client. All methods are the loop's."""

    def __init__(self, places: int, may_hold: Callable[[str], int]) -> None:
        self._free = places
        self._may_hold = may_hold
        self._held: Counter[str] = Counter()
        self._clients: Turns[str, Turns[str, Task]] = Turns()
        self._by_client: dict[str, Turns[str, Task]] = {}
        """The same queues by address, while something is in them. A client gets no more turns by naming more
        namespaces."""

    def put(self, connection: Connection, request: HttpRequest, tenant: str) -> None:
        """Lines a request up. There is one of a connection at most, so connections bound how many wait."""
        tenants = self._by_client.setdefault(connection.address, Turns())
        tenants.put(tenant, Task(self, connection, request))
        self._clients.put(connection.address, tenants)

    def take(self) -> Task | None:
        """The next request to answer, if there is a place for it; its connection is `WORKING` then."""
        while self._free and (task := self._next()):
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

    def _next(self) -> Task | None:
        """What is first among what the next client's next namespace has here."""
        tenants = self._clients.take(self._may_start)
        if tenants is None:
            return None
        task = tenants.take()
        if task is not None and not tenants:
            del self._by_client[task.connection.address]
        return task

    def _may_start(self, address: str) -> bool:
        return self._held[address] < self._may_hold(address)
