"""Every allowed connection between workloads and address ranges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from istio_netpol.analysis.results import Connection
from istio_netpol.analysis.unread import UnreadPolicies
from istio_netpol.analysis.wire import has_ambient_mode
from istio_netpol.istio.hbone import HBONE_PORT, tunnels
from istio_netpol.istio.view.injected_pods import as_injected
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.connections import ConnectionSet, Protocol
from istio_netpol.model.gateway_api import KubernetesGateway
from istio_netpol.model.policies import Direction
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.connectivity import Allowed
from istio_netpol.netpol.connectivity import connections as pairs
from istio_netpol.state.snapshot import Snapshot

_ALL_TCP = ConnectionSet.of(Protocol.TCP)


def connections(snapshot: Snapshot, settings: Settings, *, with_ipv6: bool = False) -> Iterator[Connection]:
    """The connections, sorted by source and destination, one at a time; see `netpol.connectivity`.

    Where ambient mode carries TCP between two workloads, policies see its tunnel alone: all TCP ports are
    open where they allow 15008, and none is where they don't, whatever ports they name.
    """
    snapshot = _with_pods_to_come(as_injected(snapshot, settings.mesh), settings)
    rows, unread = pairs(snapshot, with_ipv6=with_ipv6), _unread_at_ends(snapshot)
    if has_ambient_mode(snapshot):
        rows = _Tunnels(snapshot, settings).carried(rows)
    for source, destination, ports in rows:
        yield Connection(source, destination, ports, unread(source, destination) if unread else ())


def _with_pods_to_come(snapshot: Snapshot, settings: Settings) -> Snapshot:
    """The input and the pods that istiod will deploy for its Gateways, which the input's policies select."""
    view = MeshView(snapshot, settings)
    to_come = [
        pods
        for gateway in snapshot.every(KubernetesGateway)
        for pods in view.predicted_gateway_workloads(gateway)
        # An object of that name which is no gateway's stays what it is.
        if not any(pods.name == other.name for other in snapshot.workloads(pods.namespace))
    ]
    return snapshot.with_changes(to_come) if to_come else snapshot


def _unread_at_ends(snapshot: Snapshot) -> Callable[[str, str], tuple[str, ...]] | None:
    """The policies that select an end of a row and are not evaluated, by their names; None where there are
    no such policies."""
    policies = UnreadPolicies(snapshot)
    named: dict[Direction, dict[str, tuple[str, ...]]] = {direction: {} for direction in Direction}
    for workload in snapshot.every_workload() if policies.kinds() else ():
        for direction, names in named.items():
            if found := policies.selecting(workload, direction):
                names[workload.peer_name] = tuple(policy.title for policy in found)
    if not any(named.values()):
        return None
    calling, called = named[Direction.EGRESS], named[Direction.INGRESS]
    return lambda source, destination: tuple(
        dict.fromkeys((*calling.get(source, ()), *called.get(destination, ())))
    )


class _Tunnels:
    """Which pairs of workloads, by their names in the list, have a tunnel between them."""

    def __init__(self, snapshot: Snapshot, settings: Settings) -> None:
        self._view = MeshView(snapshot, settings)
        self._workloads = {each.peer_name: each for each in snapshot.every_workload()}
        alike: dict[tuple[bool, bool, bool], int] = {}
        self._kinds = {
            name: alike.setdefault(self._kind(each), len(alike)) for name, each in self._workloads.items()
        }
        self._known: dict[tuple[int, int], bool] = {}

    def _kind(self, workload: Workload) -> tuple[bool, bool, bool]:
        view = self._view
        return view.is_ambient(workload), view.in_mesh(workload), view.is_gateway(workload)

    def carried(self, rows: Iterable[Allowed]) -> Iterator[Allowed]:
        """What gets through of the rows that policies allow."""
        for row in rows:
            if not self._between(row.source, row.destination):
                yield row
            elif row.ports.contains(Protocol.TCP, HBONE_PORT):
                yield row._replace(ports=row.ports | _ALL_TCP)
            elif left := row.ports - _ALL_TCP:
                yield row._replace(ports=left)

    def _between(self, source: str, destination: str) -> bool:
        """Worked out once for all pairs of the same kinds."""
        client, server = self._kinds.get(source), self._kinds.get(destination)
        if client is None or server is None:
            return False
        found = self._known.get((client, server))
        if found is None:
            pair = self._workloads[source], self._workloads[destination]
            found = self._known[client, server] = tunnels(self._view, *pair)
        return found
