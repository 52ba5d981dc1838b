"""Sets of ports that overlap, touch, and hold each other."""

from istio_netpol.model.connections import ALL_CONNECTIONS, ConnectionSet, Protocol

SETS = (
    ConnectionSet.of(Protocol.TCP, 80, 90),
    ConnectionSet.of(Protocol.TCP, 85, 95),
    ConnectionSet.of(Protocol.UDP, 53, 53),
    ALL_CONNECTIONS,
)
