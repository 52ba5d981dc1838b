"""Threads that answer requests which are complete; clients take turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from istio_netpol.http.connection import Connection, Phase
from istio_netpol.http.message import Request
from istio_netpol.turns import Turns


class Lane:
    """So many threads, of which one client holds only some. All methods are the loop's."""

    def __init__(
        self,
        name: str,
        threads: int,
        may_hold: Callable[[str], int],
        work: Callable[[Lane, Connection, Request], None],
    ) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._free = threads
        self._may_hold = may_hold
        self._work = work
        self._held: Counter[str] = Counter()
        self._turns: Turns[str, tuple[Connection, Request]] = Turns()

    def put(self, connection: Connection, request: Request) -> None:
        """Lines a request up."""
        self._turns.put(connection.address, (connection, request))

    def start(self) -> Connection | None:
        """Has a thread answer the next request, if one is free; its connection is `WORKING` then."""
        while self._free and (job := self._turns.take(self._may_start)):
            connection, request = job
            if connection.phase is Phase.WAITING:  # else it was closed meanwhile
                connection.phase = Phase.WORKING
                self._held[connection.address] += 1
                self._free -= 1
                self._pool.submit(self._work, self, connection, request)
                return connection
        return None

    def finished(self, address: str) -> None:
        """Notes that a thread which worked for a client is free again."""
        self._free += 1
        self._held[address] -= 1
        if not self._held[address]:
            del self._held[address]

    def stop(self) -> None:
        """Lets the threads end."""
        self._pool.shutdown(wait=False)

    def _may_start(self, address: str) -> bool:
        return self._held[address] < self._may_hold(address)
