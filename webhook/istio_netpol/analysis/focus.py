"""The namespaces and objects that a user wants a report about."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from istio_netpol.analysis.results import AllowedConnection, Difference
from istio_netpol.model.findings import Finding
from istio_netpol.model.flows import Peer, PodsPeer, RequiredFlow
from istio_netpol.model.labels import Selector
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.references import ObjectKey, ObjectRef
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload
from istio_netpol.remedies.required_by import needers_of
from istio_netpol.state.snapshot import Snapshot


class Focus(Struct, frozen=True):
    """Namespaces and objects that a report is about. Without any it is about everything.

    `pods` are the classes of pods that belong to the objects, by the names that peers have. `everything` says
    that nothing is left out; a focus on objects that one of several inputs lacks leaves out all of that one.
    """

    everything: bool = True
    namespaces: frozenset[str] = frozenset()
    objects: frozenset[ObjectKey] = frozenset()
    pods: frozenset[str] = frozenset()

    @classmethod
    def on_namespaces(cls, names: Iterable[str]) -> Focus:
        """The objects in these namespaces, and the connections with an end in one of them."""
        return cls(everything=False, namespaces=frozenset(names))

    @classmethod
    def on_objects(cls, snapshot: Snapshot, refs: Iterable[ObjectRef]) -> Focus:
        """Objects of a snapshot, and all connections that their pods are an end of; a Namespace is all that
        is in it."""
        refs = tuple(refs)
        return cls(
            everything=False,
            namespaces=frozenset(ref.name for ref in refs if ref.kind == "Namespace"),
            objects=frozenset(ref.key for ref in refs),
            pods=frozenset(pods.peer_name for ref in refs for pods in _pods_of(snapshot, ref)),
        )

    def concerns(self, finding: Finding) -> bool:
        """Whether a finding is about an object, a flow or a policy within the focus."""
        if self.everything or self.concerns_object(finding.object):
            return True
        if finding.flow is not None and self.concerns_flow(finding.flow):
            return True
        return any(self._is_policy(key) for direction in Direction for key in finding.denied_by(direction))

    def concerns_flow(self, flow: RequiredFlow) -> bool:
        """Whether a flow is an object's that this is about, or ends there."""
        return self.concerns_object(flow.object) or any(
            self._concerns_peer(peer) for peer in (flow.source, flow.destination)
        )

    def concerns_object(self, ref: ObjectRef) -> bool:
        """Whether an object, or the controller of these pods, is within the focus."""
        if self.everything or ref.namespace in self.namespaces or ref.key in self.objects:
            return True
        return _peer_name(ref) in self.pods

    def concerns_policy(self, policy: NetworkPolicy) -> bool:
        """Whether a policy that is missing stands in a namespace that this is about, or is there for one of
        its objects."""
        if self.everything or policy.namespace in self.namespaces:
            return True
        needers = needers_of(policy)
        # Where the annotation does not name all that need the policy, it is kept rather than missed.
        return not needers.is_complete or any(self._is_needer(name) for name in needers.names)

    def concerns_name(self, peer: str) -> bool:
        """Whether a peer of a list of connections, `namespace/Kind/name` or an address, is one of its
        pods."""
        if self.everything or peer in self.pods:
            return True
        namespace, slash, _ = peer.partition("/")
        return bool(slash) and namespace in self.namespaces

    def concerns_connection(self, connection: AllowedConnection) -> bool:
        """Whether an end of a connection is among its pods."""
        return any(map(self.concerns_name, (connection.source, connection.destination)))

    def of_difference(self, difference: Difference) -> Difference:
        """The part of a difference that is within the focus."""
        gained, lost = (
            tuple(filter(self.concerns_connection, found)) for found in (difference.gained, difference.lost)
        )
        flows_gained, flows_lost = (
            tuple(filter(self.concerns, found)) for found in (difference.flows_gained, difference.flows_lost)
        )
        return Difference(gained, lost, flows_gained, flows_lost)

    def _concerns_peer(self, peer: Peer) -> bool:
        if self.everything:
            return True
        return isinstance(peer, PodsPeer) and self.concerns_name(peer.workload.peer_name)

    def _is_needer(self, name: str) -> bool:
        """Whether `Kind/namespace/name` is an object within the focus."""
        kind, _, place = name.partition("/")
        namespace, _, called = place.rpartition("/")
        if namespace in self.namespaces or f"{namespace}/{kind}/{called}" in self.pods:
            return True
        return any(key[1:] == (kind, namespace, called) for key in self.objects)

    def _is_policy(self, name: str) -> bool:
        """Whether a policy within the focus has this name: `namespace/name`, or `Kind/name` for a policy of
        a tier."""
        place, _, called = name.partition("/")
        return any(
            key[3] == called and place in (key[1], key[2])
            for key in self.objects
            if "NetworkPolicy" in key[1]
        )


WHOLE = Focus()
"""A report on everything."""


def _peer_name(ref: ObjectRef) -> str:
    return f"{ref.namespace}/{ref.kind}/{ref.name}"


def _pods_of(snapshot: Snapshot, ref: ObjectRef) -> Iterable[Workload]:
    """The classes of pods that an object stands for: a controller's, the pod's own, those behind a
    Service."""
    if service := snapshot.at(Service, ref) if ref.kind == "Service" else None:
        return snapshot.select(ref.namespace, Selector.of(service.selector)) if service.selector else ()
    own = (ref.kind, ref.name)
    roots = sorted({own, *snapshot.families_of(ref.namespace, [own])})
    return [pods for kind, name in roots for pods in snapshot.family(ref.namespace, kind, name)]
