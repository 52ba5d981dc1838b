"""What policies see of connections that ambient mode carries through tunnels.

Of one connection that is its way on the wire, leg by leg; of all workloads, which of them tunnels join.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from istio_netpol.istio.hbone import HBONE_PORT, reached, tunnels, wire_port
from istio_netpol.istio.view.backends import Backend
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.connections import ConnectionSet, Protocol
from istio_netpol.model.control_plane import AMBIENT_LABEL
from istio_netpol.model.flows import Peer, PodsPeer
from istio_netpol.model.services import Service
from istio_netpol.model.settings import Settings
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
    """`(True,)` for a namespace in which ambient mode may carry anything, otherwise `()`."""
    labels = [place.namespace.labels, *(pods.labels for pods in place.of_type(Workload))]
    return (True,) if any(some_labels.get(AMBIENT_LABEL) == "ambient" for some_labels in labels) else ()


_ALL_TCP = ConnectionSet.of(Protocol.TCP)


def carried(ports: ConnectionSet) -> ConnectionSet:
    """What gets through between two ends of a tunnel of what policies allow: all TCP with the tunnel's own
    port, else none."""
    return ports | _ALL_TCP if ports.contains(Protocol.TCP, HBONE_PORT) else ports - _ALL_TCP


class Tunnels:
    """The tunnels between the workloads of a snapshot. Workloads are told apart by `kind` only: what holds
    between two of them holds between all of their kinds."""

    def __init__(self, snapshot: Snapshot, settings: Settings) -> None:
        self._view = MeshView(snapshot, settings)
        self._members: list[Workload] = []
        self._kinds: dict[str, int] = {}
        alike: dict[tuple[bool, bool, bool], int] = {}
        for workload in snapshot.every_workload():
            kind = alike.setdefault(self._traits(workload), len(alike))
            self._kinds[workload.peer_name] = kind
            if kind == len(self._members):
                self._members.append(workload)
        self._known: dict[tuple[int, int], bool] = {}

    def _traits(self, workload: Workload) -> tuple[bool, bool, bool]:
        view = self._view
        return view.is_ambient(workload), view.in_mesh(workload), view.is_gateway(workload)

    def kind_of(self, workload: Workload) -> int:
        """The kind of a workload of the snapshot."""
        return self._kinds[workload.peer_name]

    def kind(self, name: str) -> int | None:
        """The kind of the workload with this name in the list; None for a peer that is not a workload."""
        return self._kinds.get(name)

    def join(self, client: int, server: int) -> bool:
        """Whether workloads of these kinds have a tunnel between them."""
        found = self._known.get((client, server))
        if found is None:
            found = tunnels(self._view, self._members[client], self._members[server])
            self._known[client, server] = found
        return found
