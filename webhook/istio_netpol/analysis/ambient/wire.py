"""The way of one connection on the wire: what policies see of it where ambient mode carries it."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from istio_netpol.istio.hbone import HBONE_PORT, reached, wire_port
from istio_netpol.istio.view.backends import Backend
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.flows import Peer, PodsPeer
from istio_netpol.model.mesh_names import AMBIENT_LABEL
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Namespace, Workload
from istio_netpol.state.namespace import NamespaceObjects
from istio_netpol.state.snapshot import Snapshot


class Leg(Struct, frozen=True):
    """A part of the way, from one pod to the next, with the port on the wire. `remark` says why it is not
    what was asked for; empty where it is."""

    source: Peer
    destination: Peer
    port: int
    remark: str = ""

    @property
    def is_as_asked(self) -> bool:
        """Whether it is the connection itself, which nothing carries."""
        return not self.remark


def legs(view: MeshView, client: Peer, called: Backend, service: Service | None) -> Iterator[Leg]:
    """The parts of a connection to what answers for a Service, or for itself: one, or two where a waypoint
    is between."""
    if not isinstance(client, PodsPeer):
        yield Leg(client, called.peer, called.port)
        return
    for hop in reached(view, client.workload, service, called):
        if hop.peer == called.peer:
            yield Leg(client, hop.peer, hop.port, _tunnelled(called, hop.port))
            continue
        remark = f"{service and service.ref} has a waypoint: {client} reaches {hop.peer} on TCP {HBONE_PORT}"
        yield Leg(client, hop.peer, hop.port, f"{remark}, which passes it on")
        port = wire_port(view, hop.peer, called.peer, called.protocol, called.port)
        yield Leg(hop.peer, called.peer, port, _tunnelled(called, port))


def _tunnelled(called: Backend, port: int) -> str:
    if port == called.port:
        return ""
    return (
        f"both ends are in the mesh, one of them in ambient mode: {called.protocol} {called.port} of "
        f"{called.peer} goes through a tunnel to {called.protocol} {port}; policies see that port"
    )


def has_ambient_mode(snapshot: Snapshot) -> bool:
    """Whether ambient mode may carry anything of a cluster."""
    return bool(snapshot.by_namespace("ambient", (Namespace, Workload), _ambient_in))


def _ambient_in(place: NamespaceObjects) -> tuple[bool, ...]:
    """`(True,)` for a namespace in which ambient mode may carry anything, else nothing."""
    labels = [place.namespace.labels, *(pods.labels for pods in place.of_type(Workload))]
    return (True,) if any(some_labels.get(AMBIENT_LABEL) == "ambient" for some_labels in labels) else ()
