"""Who holds how many connections, and which of them yields to a new one. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.http.connection import AT_WORK, Connection, Phase
from istio_netpol.http.limits import Limits

KNOWN_SECONDS = 600.0
"""How long a client is known by its last answered review."""

STRANGERS_PER_SECOND = 100.0
STRANGERS_AT_ONCE = 256.0
"""New connections of a client that is not known. Each may cost a handshake, and with it a signature: by RSA
with 4,096 bits some 5 ms of a core."""


class Client:
    """One address and its connections. It is known while reviews of it were answered lately: the API server
    is after its first, and a client that can't say where reviews go never is."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self.held = 0
        """Bytes of its requests that no thread has yet."""

        self._yielding: tuple[dict[Connection, None], ...] = ({}, {}, {})
        self._answered: float | None = None
        self._left = STRANGERS_AT_ONCE
        self._counted = 0.0

    def is_known(self, now: float) -> bool:
        """Whether a review of it was answered lately."""
        return self._answered is not None and now - self._answered < KNOWN_SECONDS

    def answered(self, now: float) -> None:
        """Notes that a review of it was answered."""
        self._answered = now

    def may_connect(self, now: float) -> bool:
        """Whether one more connection is taken now; counts it, if so."""
        if self.is_known(now):
            return True
        allowed = self._allowed(now)
        self._counted = now
        self._left = allowed - 1 if allowed >= 1 else allowed
        return allowed >= 1

    def is_forgettable(self, now: float) -> bool:
        """Whether it would be treated the same if it came anew."""
        return not self.connections and not self.is_known(now) and self._allowed(now) >= STRANGERS_AT_ONCE

    def _allowed(self, now: float) -> float:
        """How many connections it may make now, while it is not known."""
        return min(STRANGERS_AT_ONCE, self._left + (now - self._counted) * STRANGERS_PER_SECOND)

    @property
    def yields(self) -> Connection | None:
        """The connection that is closed first: one that had its last answer, or one on which no review was
        answered, or any; of these the one that has been as it is for the longest time. None where an answer
        is owed on all."""
        return next((connection for group in self._yielding for connection in group), None)

    def moved(self, connection: Connection) -> None:
        """Notes that a connection has changed its phase, and is the last of its like to yield."""
        for group in self._yielding:
            if connection in group:
                del group[connection]
        if connection.phase is Phase.LINGERING:
            self._yielding[0][connection] = None
        elif connection.phase not in AT_WORK and connection.phase is not Phase.CLOSED:
            self._yielding[2 if connection.is_proven else 1][connection] = None


class Clients:
    """All clients that have connections or are known, by address."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_address: dict[str, Client] = {}
        self.count = 0
        """Connections of all of them."""

        self.held = 0
        """Bytes of requests that no thread has yet, of all of them."""

    def of(self, address: str) -> Client:
        """The client at an address."""
        client = self._by_address.get(address)
        if client is None:
            client = self._by_address[address] = Client()
        return client

    def is_crowded(self, address: str) -> bool:
        """Whether a client must give up a connection before it gets one."""
        return len(self.of(address).connections) >= self._limits.connections_per_client

    @property
    def is_full(self) -> bool:
        """Whether somebody must give one up."""
        return self.count >= self._limits.connections

    def joined(self, connection: Connection) -> None:
        """Counts a new connection."""
        self.of(connection.address).connections.add(connection)
        self.count += 1

    def moved(self, connection: Connection) -> None:
        """Notes that a connection has changed its phase."""
        self.of(connection.address).moved(connection)

    def left(self, connection: Connection) -> None:
        """Forgets one that is closed."""
        self.holds(connection, 0)
        client = self.of(connection.address)
        client.moved(connection)
        client.connections.discard(connection)
        self.count -= 1

    def holds(self, connection: Connection, size: int) -> None:
        """Counts the bytes of a request that no thread has yet."""
        change = size - connection.held
        if change:
            connection.held = size
            self.of(connection.address).held += change
            self.held += change

    def yields(self, now: float) -> Connection | None:
        """The connection that is closed first where there are too many. Of the clients that are not known,
        else of the others, the one with the most gives up one: nobody yields who has fewer than others."""
        return max(
            (client for client in self._by_address.values() if client.yields),
            key=lambda client: (not client.is_known(now), len(client.connections)),
            default=_NOBODY,
        ).yields

    def heaviest(self, now: float) -> Connection | None:
        """The connection that is closed first where too many bytes are held, by the same rule: the largest
        request of the client whose requests take the most."""
        client = max(
            self._by_address.values(),
            key=lambda client: (client.held > 0, not client.is_known(now), client.held),
            default=_NOBODY,
        )
        return max(client.connections, key=lambda connection: connection.held, default=None)

    def __iter__(self) -> Iterator[str]:
        """The addresses that are remembered."""
        return iter(self._by_address)

    def all(self) -> Iterator[Connection]:
        """Every connection."""
        for client in self._by_address.values():
            yield from client.connections

    def forget_strangers(self, now: float) -> None:
        """Forgets who has no connection and left nothing to remember."""
        gone = [address for address, client in self._by_address.items() if client.is_forgettable(now)]
        for address in gone:
            del self._by_address[address]


_NOBODY = Client()
