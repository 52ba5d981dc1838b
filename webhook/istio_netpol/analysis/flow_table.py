"""All required flows of a snapshot by the object that needs them, and which of them a change concerns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from istio_netpol.analysis.cluster_addresses import cluster_addresses, node_addresses
from istio_netpol.analysis.concern import Concern
from istio_netpol.analysis.currency import Currency
from istio_netpol.analysis.postings import Postings
from istio_netpol.analysis.subjects import Key, subjects_in, subjects_named
from istio_netpol.istio.catalogue import outcomes_of
from istio_netpol.istio.view.injected_pods import as_injected, with_injected
from istio_netpol.istio.view.mesh_view import MeshView, Use
from istio_netpol.model.findings import Finding
from istio_netpol.model.flows import PodsPeer, RequiredFlow
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Namespace, Workload
from istio_netpol.state.snapshot import CLUSTER_SCOPE, Snapshot
from istio_netpol.trust.host_policy import HostLimits


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

_MOST_CHANGES = 64
"""Changes after which a snapshot gets indexes of its own: until then every review takes up again, for itself
alone, what changed since the last ones."""


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


class FlowTable:
    """The needs of every object of one snapshot. `stored` is that snapshot as it was read, without what
    injection adds to it; `currency` says for how long answers hold that go by it."""

    def __init__(
        self,
        stored: Snapshot,
        snapshot: Snapshot,
        view: MeshView,
        needs: Mapping[Key, Needs],
        currency: Currency | None = None,
    ) -> None:
        self.stored = stored
        self.snapshot = snapshot
        self.view = view
        self.needs = needs
        self.currency = currency or Currency()
        self.failures: Mapping[Key, Finding] = {}
        """A finding for each object whose needs an error of our own left unknown."""
        self._changes = 0

    @classmethod
    def of(cls, stored: Snapshot, settings: Settings) -> FlowTable:
        snapshot = as_injected(stored, settings.mesh)
        view = MeshView(snapshot, settings)
        names = (*snapshot.namespace_names, CLUSTER_SCOPE)
        subjects = (subject for name in names for subject in subjects_in(snapshot, name))
        found = ((subject.ref.key, needs_of(subject, view)) for subject in subjects)
        table = cls(stored, snapshot, view, {key: needs for key, needs in found if needs != NOTHING})
        table.failures = _failures(table.needs)
        return table

    def with_changes(self, put: Sequence[Any], remove: Sequence[Any] = ()) -> FlowTable:
        """The table of the snapshot after objects were stored and deleted: equal to a new one, and worked out
        for those only whom the change concerns.

        That is everybody where the control plane changes, an injector, which labels make a gateway, or which
        ones tell the pods of a controller apart. The pods of one controller, the users of a Service, or
        (where the mesh config asks for tracing) the mesh config with every proxy are worked out together.
        """
        stored = self.stored.with_changes(put, remove)
        snapshot = self._injected(stored, put, remove)
        view = MeshView(snapshot, self.settings)
        if view.settled != self.view.settled:
            return FlowTable.of(stored, self.settings)
        changed = (*put, *remove)
        after = {
            key: next((needs_of(each, view) for each in subjects_named(key, snapshot)[-1:]), NOTHING)
            for key in sorted(Concern(self, snapshot, view, changed).keys())
        }
        merged = {**self.needs, **after}
        for key in [key for key, needs in after.items() if needs == NOTHING]:
            del merged[key]
        currency = self.currency.after(put, remove, self.stored, stored)
        table = FlowTable(stored, snapshot, view, merged, currency)
        pairs = [(key, self.needs.get(key, NOTHING), needs) for key, needs in after.items()]
        table._users = self._users.moved((key, old.uses, new.uses) for key, old, new in pairs)
        table._by_namespace = self._by_namespace.moved(
            (key, _namespaces(old), _namespaces(new)) for key, old, new in pairs
        )
        left = {key: failure for key, failure in self.failures.items() if key not in after}
        table.failures = {**left, **_failures(after)}
        table._changes = self._changes + 1
        if table._changes >= _MOST_CHANGES:
            snapshot.index()
            table._changes = 0
        return table

    def _injected(self, stored: Snapshot, put: Sequence[Any], remove: Sequence[Any]) -> Snapshot:
        """Our snapshot after the change: pods that changed are injected anew, as are those of namespaces
        that did."""
        homes = {each.name for each in (*put, *remove) if isinstance(each, Namespace)}
        anew = [each for home in sorted(homes) for each in stored.of_type(Workload, home)]
        changed = [each for each in put if isinstance(each, Workload)]
        others = [each for each in put if not isinstance(each, Workload)]
        snapshot = self.snapshot.with_changes(others, remove) if others or remove else self.snapshot
        return with_injected(snapshot, self.settings.mesh, (*changed, *anew))

    def with_objects(self, objects: Sequence[Any]) -> FlowTable:
        """The table after objects were stored whose needs nobody else's depend on, such as policies."""
        homes = {each.ref.namespace for each in objects if isinstance(each, Workload)}
        snapshot = as_injected(self.snapshot.with_changes(objects), self.settings.mesh, homes)
        view = MeshView(snapshot, self.settings)
        found = ((each.ref.key, needs_of(each, view)) for each in objects)
        added = {key: needs for key, needs in found if needs != NOTHING}
        needs = {**self.needs, **added} if added else self.needs
        stored, currency = self.stored.with_changes(objects), self.currency.with_objects(objects)
        table = FlowTable(stored, snapshot, view, needs, currency)
        table.failures = {**self.failures, **_failures(added)}
        # Worked out here, since what a short-lived table works out for itself is lost with it.
        table.__dict__.update({name: getattr(self, name) for name in _INDEXES})
        return table

    def indexed(self) -> FlowTable:
        """The table itself, with every index made now instead of while a review waits."""
        self.snapshot.index()
        for name in _INDEXES:
            getattr(self, name)
        _ = self.host_limits.forbidden, self.host_limits.nodes
        return self

    @property
    def settings(self) -> Settings:
        return self.view.settings

    def flows(self) -> Iterator[RequiredFlow]:
        for needs in self.needs.values():
            yield from needs.flows

    def findings(self) -> Iterator[Finding]:
        for needs in self.needs.values():
            yield from needs.findings

    def touching(self, namespace: str) -> Iterator[RequiredFlow]:
        """The flows of which one end is a pod of the namespace."""
        for key in self._by_namespace.at(namespace):
            for flow in self.needs.get(key, NOTHING).flows:
                if namespace in namespaces_of(flow):
                    yield flow

    def users(self, uses: Iterable[Use]) -> set[Key]:
        """The objects whose needs depend on any of these names."""
        return {key for use in uses for key in self._users.at(use)}

    @property
    def names(self) -> Iterable[Use]:
        """The names on which needs depend."""
        return self._users

    @cached_property
    def host_limits(self) -> HostLimits:
        """What hosts may stand for, the cluster's own addresses refused."""
        snapshot = self.snapshot
        return HostLimits(
            self.settings.hosts,
            lambda: cluster_addresses(snapshot, self.view),
            lambda: node_addresses(snapshot),
        )

    @cached_property
    def _by_namespace(self) -> Postings[str]:
        return Postings[str]().moved((key, set(), _namespaces(needs)) for key, needs in self.needs.items())

    @cached_property
    def _users(self) -> Postings[Use]:
        return Postings[Use]().moved((key, set(), needs.uses) for key, needs in self.needs.items())


def _failures(needs: Mapping[Key, Needs]) -> dict[Key, Finding]:
    """The first finding of each object in which an error of our own was contained."""
    found: dict[Key, Finding] = {}
    for key, each in needs.items():
        failed = next((finding for finding in each.findings if finding.failure is not None), None)
        if failed is not None:
            found[key] = failed
    return found


def _namespaces(needs: Needs) -> set[str]:
    return {namespace for flow in needs.flows for namespace in namespaces_of(flow)}


def namespaces_of(flow: RequiredFlow) -> set[str]:
    """The namespaces in which the flow's pods run: at most two."""
    peers = (flow.source, flow.destination)
    return {peer.workload.namespace for peer in peers if isinstance(peer, PodsPeer)}
