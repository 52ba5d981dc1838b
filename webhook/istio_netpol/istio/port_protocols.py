"""Finds which routes of a VirtualService hold for a port, by the protocol that Istio takes it for.

Source: `ConvertProtocol` in `pkg/config/kube/conversion.go` and `Parse` in `pkg/config/protocol/instance.go`,
Istio 1.31: `appProtocol` first, else the port's name up to its first dash. Of a port that says neither, the
proxy finds out when it is connected to.
"""

from __future__ import annotations

from istio_netpol.model.istio_networking import ServiceEntry, ServiceEntryPort
from istio_netpol.model.services import Service, ServicePort

_HTTP, _TLS, _TCP = frozenset({"http"}), frozenset({"tls", "tcp"}), frozenset({"tcp"})
_ROUTES = {
    **dict.fromkeys(("http", "http2", "grpc", "grpc-web", "kubernetes.io/h2c", "kubernetes.io/ws"), _HTTP),
    **dict.fromkeys(("https", "tls", "kubernetes.io/wss"), _TLS),
    **dict.fromkeys(("tcp", "mongo", "mysql", "redis"), _TCP),
}


def routes_of_port(port: ServicePort | ServiceEntryPort) -> frozenset[str]:
    """The lists of a VirtualService (`http`, `tls`, `tcp`) that hold for a port; empty where nobody can
    tell before a client connects."""
    if isinstance(port, ServiceEntryPort):
        return _ROUTES.get(port.protocol.lower(), frozenset())
    if port.app_protocol:
        return _ROUTES.get(port.app_protocol.lower(), frozenset())
    name = port.name.lower()
    return (
        _ROUTES["grpc-web"]
        if name.startswith("grpc-web")
        else _ROUTES.get(name.partition("-")[0], frozenset())
    )


def routes_on(target: Service | ServiceEntry, number: int) -> frozenset[str]:
    """The same for a port of a Service or ServiceEntry by its number; empty where it lacks that port."""
    if isinstance(target, Service):
        found: ServicePort | ServiceEntryPort | None = next(
            (port for port in target.ports if port.port == number), None
        )
    else:
        found = next((port for port in target.ports if port.number == number), None)
    return routes_of_port(found) if found else frozenset()
