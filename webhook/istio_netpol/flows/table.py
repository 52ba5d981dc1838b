"""All required flows of a snapshot by the object that needs them, and which of them a change concerns."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TypeVar

from istio_netpol.flows.affected import followed
from istio_netpol.flows.cluster_addresses import cluster_addresses, node_addresses
from istio_netpol.flows.currency import Currency, brings_known_together
from istio_netpol.flows.dependencies import Dependencies
from istio_netpol.flows.look_alikes import renamed
from istio_netpol.flows.needs import NOTHING, Needs, needs_of
from istio_netpol.flows.prospect import Prospect
from istio_netpol.flows.subjects import subjects_in, subjects_named
from istio_netpol.istio.view.injection import as_injected, with_injected
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.istio.view.stand_ins import assumptions_in
from istio_netpol.model.assumptions import Assumption
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.findings import Finding
from istio_netpol.model.flows import AnyPeer, PodsPeer, RequiredFlow
from istio_netpol.model.references import ObjectKey
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.state.changes import Change, change_between
from istio_netpol.state.network import cluster_network
from istio_netpol.state.persistent_map import PersistentMap
from istio_netpol.state.postings import Postings
from istio_netpol.state.reader import NO_ANSWERS, EarlierAnswers
from istio_netpol.state.snapshot import CLUSTER_SCOPE, Snapshot
from istio_netpol.trust.host_policy import HostLimits

_INDEXES = ("dependencies", "_by_namespace", "host_limits")
"""What a table works out once, and what stays good enough when policies are added."""


class FlowTable:
    """The needs of every object of one snapshot. `stored` is that snapshot as it was read, without what
    injection adds to it; `answers` are those of the questions that the needs rest on; `currency` says for how
    long answers hold that go by the table, `change` what differs from the table before it."""

    def __init__(
        self,
        stored: Snapshot,
        snapshot: Snapshot,
        settings: Settings,
        needs: Mapping[ObjectKey, Needs],
        answers: EarlierAnswers = NO_ANSWERS,
        currency: Currency | None = None,
    ) -> None:
        self.stored = stored
        self.snapshot = snapshot
        self.settings = settings
        self.needs = needs
        self.answers = answers
        self.currency = currency or Currency()
        self.change = Change()
        self.failures: Mapping[ObjectKey, Finding] = {}
        """A finding for each object whose needs an error of our own left unknown."""

    @classmethod
    def of(cls, stored: Snapshot, settings: Settings) -> FlowTable:
        snapshot = as_injected(stored, settings.mesh).judged_by(cluster_network(settings))
        view = MeshView(snapshot, settings)
        names = (*snapshot.namespace_names, CLUSTER_SCOPE)
        subjects = (subject for name in names for subject in subjects_in(snapshot, name))
        needs: dict[ObjectKey, Needs] = {}
        for subject in subjects:
            if (found := needs_of(subject, view)) != NOTHING:
                key = subject.ref.key
                needs[key] = needs[key].merged(found) if key in needs else found
        answers = view.reader.found
        table = cls(stored, snapshot, settings, needs, answers)
        table.failures = _failures(table.needs)
        return table

    def with_changes(
        self,
        put: Sequence[ClusterObject],
        remove: Sequence[ClusterObject] = (),
        stored: Snapshot | None = None,
    ) -> FlowTable:
        """The table of the snapshot after objects were deleted, and after that others stored: equal to a new
        one, and worked out for those only whom the change concerns: who asked for what is another one now.
        `stored` is that snapshot, where whoever calls has it already."""
        stored = (self.stored.with_changes(put, remove) if stored is None else stored).indexed()
        snapshot, touched = self._changed(lambda: stored, put, remove)
        change = change_between(self.snapshot, snapshot, touched)
        if not change:
            return self._with_nothing_else(stored, snapshot.indexed())
        prospect = self._prospect(snapshot.indexed(), change)
        after = {key: self._needs_named(key, prospect) for key in sorted(prospect.keys)}
        pairs = [(key, self.needs.get(key, NOTHING), needs) for key, needs in after.items()]
        moves = [(key, old.reads, new.reads) for key, old, new in pairs]
        dependencies, answers = followed(self.dependencies, _persistent(self.answers), prospect.found, moves)
        needed = {key: needs for key, needs in after.items() if needs != NOTHING}
        merged = _persistent(self.needs).after(needed, [key for key in after if key not in needed])
        currency = self.currency.after(put, remove, self.stored, stored)
        if currency.state is self.currency.state and any(
            brings_known_together(old, new, self.snapshot) for _, old, new in pairs
        ):
            currency = Currency()
        table = FlowTable(stored, snapshot, self.settings, merged, answers, currency)
        table.dependencies = dependencies
        table.change = change
        table._by_namespace = self._by_namespace.moved(
            (key, _namespaces(old), _namespaces(new)) for key, old, new in pairs
        )
        left = {key: failure for key, failure in self.failures.items() if key not in after}
        table.failures = {**left, **_failures(after)}
        return table

    def _with_nothing_else(self, stored: Snapshot, snapshot: Snapshot) -> FlowTable:
        """The table after a change that nobody could notice, such as one more pod of a class."""
        table = FlowTable(stored, snapshot, self.settings, self.needs, self.answers, self.currency)
        table.failures = self.failures
        table.__dict__.update({name: getattr(self, name) for name in _INDEXES})
        return table

    def after(
        self,
        put: Sequence[ClusterObject],
        remove: Sequence[ClusterObject] = (),
        *,
        starting: Sequence[Workload] = (),
    ) -> Prospect:
        """What storing and deleting objects would make of the cluster. The pods of `starting` count as new
        ones, whether or not there are some like them."""
        snapshot, touched = self._changed(lambda: self.stored.with_changes(put, remove), put, remove)
        return self._prospect(snapshot, change_between(self.snapshot, snapshot, touched, starting))

    def is_new(self, workload: Workload) -> bool:
        """Whether there is nothing yet of the controller that a person would edit to change a workload, nor
        anybody who asks for pods of that name."""
        root = self.snapshot.root(workload)
        is_there = self.snapshot.family(root.namespace, root.kind, root.name)
        return not is_there and not self.dependencies.names(root)

    def _changed(
        self, stored: Callable[[], Snapshot], put: Sequence[ClusterObject], remove: Sequence[ClusterObject]
    ) -> tuple[Snapshot, tuple[ClusterObject, ...]]:
        """The snapshot after objects were stored and deleted, with what injection adds to it, and all objects
        in which it may differ."""
        return with_injected(self.snapshot, stored, put, remove, self.settings.mesh, self.answers)

    def _prospect(self, snapshot: Snapshot, change: Change) -> Prospect:
        return Prospect(snapshot, self.settings, change, self.dependencies, self.answers)

    def _needs_named(self, key: ObjectKey, prospect: Prospect) -> Needs:
        """The needs of the objects of that name, if there are any, after a change."""
        found = NOTHING
        for subject in subjects_named(key, prospect.snapshot):
            needs = self._like_another(subject, prospect) or needs_of(subject, prospect.view)
            found = needs if found == NOTHING else found.merged(needs)
        return found

    def _like_another(self, subject: ClusterObject, prospect: Prospect) -> Needs | None:
        """The needs of pods that only their name tells from others, whose needs hold still; None where there
        are none like them, or these do not say enough."""
        if not isinstance(subject, Workload) or not prospect.snapshot.is_alone(subject):
            return None
        for model in self.snapshot.alike(subject):
            needs = self.needs.get(model.ref.key, NOTHING)
            if model.ref.key not in prospect.keys and needs.reads.isdisjoint(prospect.touched):
                return renamed(needs, model, subject)
        return None

    def with_objects(self, objects: Sequence[ClusterObject]) -> FlowTable:
        """The table after objects were stored whose needs nobody else's depend on, such as policies."""
        stored = self.stored.with_changes(objects)
        snapshot, _ = self._changed(lambda: stored, objects, ())
        view = MeshView(snapshot, self.settings, self.answers)
        found = ((value.ref.key, needs_of(value, view)) for value in objects)
        added = {key: needs for key, needs in found if needs != NOTHING}
        needs = _persistent(self.needs).after(added) if added else self.needs
        currency = self.currency.after(objects, (), self.stored, stored)
        table = FlowTable(stored, snapshot, self.settings, needs, self.answers, currency)
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
    def assumptions(self) -> tuple[Assumption, ...]:
        """The assumptions on which the needs rest, sorted."""
        return assumptions_in(self.answers)

    @cached_property
    def view(self) -> MeshView:
        """The cluster as rules see it, by the answers that hold."""
        return MeshView(self.snapshot, self.settings, self.answers)

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
    def _by_namespace(self) -> Postings[str, ObjectKey]:
        return Postings[str, ObjectKey]().moved(
            (key, frozenset(), _namespaces(needs)) for key, needs in self.needs.items()
        )

    @cached_property
    def dependencies(self) -> Dependencies:
        """The reads of each object and question."""
        moves = [(key, NOTHING.reads, needs.reads) for key, needs in self.needs.items()]
        return followed(Dependencies(), PersistentMap(), self.answers, moves)[0]


K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def _persistent(found: Mapping[K, V]) -> PersistentMap[K, V]:
    """A mapping of which a change copies little. A new table keeps the order in which it was worked out."""
    return found if isinstance(found, PersistentMap) else PersistentMap(found)


def _failures(needs: Mapping[ObjectKey, Needs]) -> dict[ObjectKey, Finding]:
    """The first finding of each object in which an error of our own was contained."""
    found: dict[ObjectKey, Finding] = {}
    for key, needed in needs.items():
        failed = next((finding for finding in needed.findings if finding.failure is not None), None)
        if failed is not None:
            found[key] = failed
    return found


def _namespaces(needs: Needs) -> frozenset[str]:
    return frozenset(namespace for flow in needs.flows for namespace in namespaces_of(flow))


def namespaces_of(flow: RequiredFlow) -> set[str]:
    """The namespaces in which the flow's pods run, or may: most often one or two."""
    found = set()
    for peer in (flow.source, flow.destination):
        if isinstance(peer, PodsPeer):
            found.add(peer.workload.namespace)
        elif isinstance(peer, AnyPeer):
            found.update(pods.namespace for pods in peer.pods)
    return found
