"""Which workloads ambient mode joins by tunnels, and what policies then let through between them."""

from __future__ import annotations

from istio_netpol.istio.hbone import HBONE_PORT, tunnels
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.connections import ConnectionSet, Protocol
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.state.snapshot import Snapshot

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
