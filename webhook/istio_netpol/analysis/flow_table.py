"""All required flows of a snapshot by the object that needs them, and which of them a change concerns."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from istio_netpol.analysis.cluster_addresses import cluster_addresses
from istio_netpol.analysis.hosts import HostLimits
from istio_netpol.istio.catalogue import CATALOGUE, outcomes_of
from istio_netpol.istio.injected_pods import as_injected
from istio_netpol.istio.mesh_view import MeshView
from istio_netpol.model.findings import Finding
from istio_netpol.model.flows import PodsPeer, RequiredFlow
from istio_netpol.model.settings import Settings
from istio_netpol.model.snapshot import Snapshot
from istio_netpol.model.workloads import Workload

Key = tuple[str, str, str, str]
Use = tuple[str, str, str]

SUBJECT_TYPES: tuple[type[Any], ...] = tuple(
    sorted(
        {type_ for rule in CATALOGUE for type_ in rule.subjects} - {Workload},
        key=lambda type_: type_.__name__,
    )
)


@dataclass(frozen=True, slots=True)
class Needs:
    """What one object needs. `uses` are the objects by name (kind, namespace, name) on which that depends,
    existing or not."""

    flows: tuple[RequiredFlow, ...] = ()
    findings: tuple[Finding, ...] = ()
    uses: frozenset[Use] = frozenset()


NOTHING = Needs()

_INDEXES = ("_by_namespace", "_users", "host_limits")
"""What a table works out once, and what stays good enough when policies are added."""


def needs_of(subject: Any, view: MeshView) -> Needs:
    """Evaluates every rule that looks at objects of this type."""
    tracked = view.tracked()
    outcomes = outcomes_of(subject, tracked)
    flows: dict[Any, RequiredFlow] = {}
    for outcome in outcomes:
        if isinstance(outcome, RequiredFlow):
            flows.setdefault(outcome.key, outcome)
    findings = tuple(outcome for outcome in outcomes if isinstance(outcome, Finding))
    return Needs(tuple(flows.values()), findings, frozenset(tracked.uses))


def subjects_in(snapshot: Snapshot, namespace: str) -> Iterator[Any]:
    """Every object of a namespace that some rule looks at; workloads as classes of pods."""
    yield from snapshot.workloads(namespace)
    for type_ in SUBJECT_TYPES:
        yield from snapshot.of_type(type_, namespace)


class FlowTable:
    """The needs of every object of one snapshot."""

    def __init__(self, view: MeshView, needs: MutableMapping[Key, Needs]) -> None:
        self.view = view
        self.needs = needs

    @classmethod
    def of(cls, snapshot: Snapshot, settings: Settings) -> FlowTable:
        view = MeshView(as_injected(snapshot, settings.mesh), settings)
        snapshot = view.snapshot
        subjects = (subject for name in snapshot.namespace_names for subject in subjects_in(snapshot, name))
        found = ((subject.ref.key, needs_of(subject, view)) for subject in subjects)
        return cls(view, {key: needs for key, needs in found if needs != NOTHING})

    def with_objects(self, objects: Sequence[Any]) -> FlowTable:
        """The table after objects were stored whose needs nobody else's depend on, such as policies."""
        homes = {each.ref.namespace for each in objects if isinstance(each, Workload)}
        snapshot = as_injected(self.snapshot.with_changes(objects), self.settings.mesh, homes)
        view = MeshView(snapshot, self.settings)
        found = ((each.ref.key, needs_of(each, view)) for each in objects)
        added = {key: needs for key, needs in found if needs != NOTHING}
        # Without `added` no layer: policies are stored one after another, and layers would pile up.
        table = FlowTable(view, ChainMap(added, self.needs) if added else self.needs)
        # Worked out here, since what a short-lived table works out for itself is lost with it.
        table.__dict__.update({name: getattr(self, name) for name in _INDEXES})
        return table

    def indexed(self) -> FlowTable:
        """The table itself, with every index made now instead of while a review waits."""
        self.snapshot.index()
        for name in _INDEXES:
            getattr(self, name)
        return self

    @property
    def snapshot(self) -> Snapshot:
        return self.view.snapshot

    @property
    def settings(self) -> Settings:
        return self.view.settings

    def flows(self) -> Iterator[RequiredFlow]:
        for needs in self.needs.values():
            yield from needs.flows

    def findings(self) -> Iterator[Finding]:
        for needs in self.needs.values():
            yield from needs.findings

    def touching(self, namespace: str) -> tuple[RequiredFlow, ...]:
        """The flows of which one end is a pod of the namespace."""
        return tuple(self._by_namespace.get(namespace, ()))

    def users(self, uses: Iterable[Use]) -> set[Key]:
        """The objects whose needs depend on any of these names."""
        return {key for use in uses for key in self._users.get(use, ())}

    @cached_property
    def host_limits(self) -> HostLimits:
        """What hosts may stand for, the cluster's own addresses refused."""
        return HostLimits(self.settings.hosts, cluster_addresses(self.view))

    @cached_property
    def _by_namespace(self) -> dict[str, list[RequiredFlow]]:
        found: dict[str, list[RequiredFlow]] = {}
        for flow in self.flows():
            for namespace in namespaces_of(flow):
                found.setdefault(namespace, []).append(flow)
        return found

    @cached_property
    def _users(self) -> dict[Use, list[Key]]:
        found: dict[Use, list[Key]] = {}
        for key, needs in self.needs.items():
            for use in needs.uses:
                found.setdefault(use, []).append(key)
        return found


def namespaces_of(flow: RequiredFlow) -> set[str]:
    """The namespaces in which the flow's pods run: at most two."""
    peers = (flow.source, flow.destination)
    return {peer.workload.namespace for peer in peers if isinstance(peer, PodsPeer)}
