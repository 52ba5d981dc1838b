"""Whom a change concerns: the objects whose needs may differ after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from istio_netpol.analysis.subjects import Key, subjects_in
from istio_netpol.istio.view.gateways import GATEWAY_NAME_LABEL
from istio_netpol.istio.view.mesh_view import MeshView, Use
from istio_netpol.istio.view.names import overlap
from istio_netpol.model.mesh import DestinationRule, Gateway, ServiceEntry
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import EndpointSlice
from istio_netpol.model.workloads import Namespace, Workload
from istio_netpol.state.snapshot import Snapshot

if TYPE_CHECKING:
    from istio_netpol.analysis.flow_table import FlowTable


class Concern:
    """Compares a table with the snapshot after a change, and the view of it. `changed` are the objects stored
    and deleted."""

    def __init__(self, table: FlowTable, snapshot: Snapshot, view: MeshView, changed: Sequence[Any]) -> None:
        self._table = table
        self._snapshots = (table.snapshot, snapshot)
        self._view = view
        self._changed = changed

    def keys(self) -> set[Key]:
        """The objects whose needs may differ, unless what all rest on changed (`MeshView.settled`)."""
        keys: set[Key] = set()
        uses: set[Use] = set()
        for each in (*self._versions(), *self._families(), *self._injected_anew()):
            if isinstance(each, Namespace):
                for snapshot in self._snapshots:
                    keys |= {subject.ref.key for subject in subjects_in(snapshot, each.name)}
                uses.add(("Namespace", "", each.name))
            elif not isinstance(each, NetworkPolicy):
                keys.add(each.ref.key)
                uses |= self._uses_of(each)
            if isinstance(each, Workload):
                keys |= {gateway.key for gateway in self._served(each)}
        return keys | self._table.users(uses)

    def _versions(self) -> Iterator[Any]:
        """What changed, as it will be and as it was."""
        for each in self._changed:
            yield each
            if not isinstance(each, Namespace):
                ref = each.ref
                before = self._table.snapshot.find(type(each), ref.namespace, ref.name, ref.kind)
                if before is not None and before is not each:
                    yield before

    def _families(self) -> list[Workload]:
        """The classes of pods that share a controller with a changed workload, before and after: its change
        may give them another name, and so another face to whoever reaches them."""
        homes: dict[str, set[tuple[str, str]]] = {}
        for each in self._changed:
            if isinstance(each, Workload):
                homes.setdefault(each.namespace, set()).add((each.ref.kind, each.name))
        return [
            each
            for home, names in homes.items()
            for root in {root for snapshot in self._snapshots for root in snapshot.shard(home).roots(names)}
            for snapshot in self._snapshots
            for each in snapshot.family(home, *root)
        ]

    def _injected_anew(self) -> list[Workload]:
        """The pods of namespaces that changed, before and after: injection gives them other labels, and
        whoever reaches them from elsewhere need not have asked for it."""
        homes = {each.name for each in self._changed if isinstance(each, Namespace)}
        return [each for home in homes for snapshot in self._snapshots for each in snapshot.workloads(home)]

    def _uses_of(self, changed: Any) -> set[Use]:
        """The names under which other objects depend on this one."""
        ref, type_ = changed.ref, type(changed).__name__
        uses = {(ref.kind, ref.namespace, ref.name), (type_, ref.namespace, ""), (type_, "", "")}
        if isinstance(changed, Workload):
            for view in (self._table.view, self._view):
                uses |= {("Service", ref.namespace, each.name) for each in view.services_of(changed)}
            uses |= {("Gateway", each.namespace, each.name) for each in self._served(changed)}
        elif isinstance(changed, ServiceEntry):
            for host in changed.hosts:
                uses |= self._named(host, ref.namespace)
        elif isinstance(changed, EndpointSlice):
            uses.add(("Service", ref.namespace, changed.service))
        elif isinstance(changed, DestinationRule):
            uses |= self._named(changed.host, ref.namespace)
        return uses

    def _named(self, host: str, namespace: str) -> set[Use]:
        """The names under which objects look for a host, or for the hosts that a pattern covers."""
        if "*" not in host:
            found = self._view.resolve_host(host, namespace)
            own = {(found.ref.kind, found.ref.namespace, found.ref.name)} if found else set()
            return {self._view.name_of(host, namespace), *own}
        return {use for use in self._table.names if overlap(host, self._spelled(use))}

    def _spelled(self, use: Use) -> str:
        kind, namespace, name = use
        return self._view.full_name(name, namespace) if kind == "Service" else name

    def _served(self, workload: Workload) -> list[ObjectRef]:
        """The Gateways that the workload serves, if it is a gateway: routes name them, not their pods."""
        if not self._view.is_gateway(workload):
            return []
        labels, home = workload.labels, workload.namespace
        every = self._snapshots[1].every(Gateway)
        found = [each.ref for each in every if each.selector.items() <= labels.items()]
        own = self._view.find_kubernetes_gateway(home, labels.get(GATEWAY_NAME_LABEL, ""))
        return [*found, own.ref] if own else found
