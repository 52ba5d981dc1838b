"""For how long an answer about a class of pods holds: by which state of the cluster it was found, and what
has come since."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence, Set
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from istio_netpol.flows.needs import Needs
from istio_netpol.model.flows import PodsPeer, RequiredFlow
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.workloads import Workload
from istio_netpol.state.contents import told_by
from istio_netpol.state.persistent_map import PersistentMap
from istio_netpol.state.pod_classes import INSTANCE_LABELS, NAMED_IN_LABELS
from istio_netpol.state.snapshot import Snapshot

_ADDRESSES = frozenset({"addresses", "node_addresses"})
_OF_ONE_POD = frozenset({"ref", "labels", "selector", "owner"}) | _ADDRESSES
"""What is not the same for a controller's template and all of its pods. Every other field is compared, those
that are yet to be thought of included; of the labels, those that are not an instance's."""


_said, _said_on_the_host = told_by(Workload, _OF_ONE_POD), told_by(Workload, _OF_ONE_POD - _ADDRESSES)

_NO_LABELS: frozenset[str] = frozenset()

_MOST = 256
"""How many new classes, and policies of one namespace, are told apart; then all answers end."""


PodLikeness = tuple[Hashable, ...]
"""The namespace of pods, the kind of their controller, and all that rules and policies read of them. Pods of
two Deployments may be alike."""


class PodClass(Struct, frozen=True):
    """What a template, its ReplicaSet's and its pods have in common: the controller that a person would edit,
    and what is said of them.

    The owner comes from the pod itself and may be forged. The rest is as it will be stored, so two of one
    class in one namespace meet the same policies whoever made them. Pods of the host network meet them by
    their addresses.
    """

    name: str
    likeness: PodLikeness


def class_of(workload: Workload, snapshot: Snapshot) -> PodClass:
    """The class of the pods of a workload."""
    root = snapshot.root(workload)
    is_led = (root.kind, root.name) != (workload.ref.kind, workload.name)
    # What leads to nobody else keeps all of its labels in its class, and rules may select by them.
    ignored = INSTANCE_LABELS - snapshot.distinguishing if is_led else _NO_LABELS
    labels = frozenset([pair for pair in workload.labels.items() if pair[0] not in ignored])
    said = _said_on_the_host if workload.host_network else _said
    own_label = root.name if root.kind in NAMED_IN_LABELS else ""
    return PodClass(
        root.name, (root.namespace, root.kind, own_label, labels, *map(_hashable, said(workload)))
    )


def _hashable(value: Any) -> Hashable:
    found: Hashable = frozenset(value.items()) if isinstance(value, Mapping) else value
    return found


Policies = PersistentMap[str, Mapping[str, NetworkPolicy | None]]
"""Policies by namespace and name; None for one that is not there."""


class Currency(Struct, frozen=True):
    """A state of the cluster, the classes of pods that were stored since it began and what these are like,
    and the policies that are others now than they were then, or are laid over the cluster; `founded` are the
    namespaces that came or went with one. Whatever else changes begins another state."""

    state: object = field(default_factory=object)
    came: frozenset[PodClass] = frozenset()
    likenesses: frozenset[PodLikeness] = frozenset()
    policies: Policies = PersistentMap()
    founded: frozenset[str] = frozenset()

    def after(self, put: Sequence[Any], remove: Sequence[Any], before: Snapshot, after: Snapshot) -> Currency:
        """The currency once objects were stored and deleted, from one snapshot to the other."""
        pods = [value for value in put if isinstance(value, Workload)]
        policies = [value for value in put if isinstance(value, NetworkPolicy)]
        gone = [value for value in remove if isinstance(value, NetworkPolicy)]
        if len(pods) + len(policies) != len(put) or len(gone) != len(remove):
            return Currency()
        return self._with_pods(pods, before, after)._with_policies(policies, gone, before, after)

    def _with_pods(self, pods: Sequence[Workload], before: Snapshot, after: Snapshot) -> Currency:
        came: set[PodClass] = set()
        for workload in pods:
            found = class_of(workload, after)
            known = before.find(Workload, workload.namespace, workload.name, workload.ref.kind)
            if known is None:
                came.add(found)
            elif class_of(known, before) != found:
                return Currency()
        if came <= self.came:
            return self
        likenesses = self.likenesses.union(pods.likeness for pods in came)
        all_came = self.came | came
        return replace(self, came=all_came, likenesses=likenesses) if len(all_came) <= _MOST else Currency()

    def _with_policies(
        self,
        put: Sequence[NetworkPolicy],
        gone: Sequence[NetworkPolicy],
        before: Snapshot,
        after: Snapshot,
    ) -> Currency:
        """The currency once policies changed. No rule reads one, so they matter to those alone whose flows
        have an end where they are, unless they tell pods apart or are all that is known of a namespace."""
        changed = {policy.key: None for policy in gone} | {policy.key: policy for policy in put}
        if not changed:
            return self
        if before.distinguishing != after.distinguishing:
            return Currency()
        homes: dict[str, dict[str, NetworkPolicy | None]] = {}
        for policy in (*gone, *put):
            homes.setdefault(policy.namespace, {})[policy.name] = changed[policy.key]
        founded = self.founded ^ {home for home in homes if before.has(home) != after.has(home)}
        all_changed = {home: {**self.policies.get(home, {}), **found} for home, found in homes.items()}
        if any(len(found) > _MOST for found in all_changed.values()):
            return Currency()
        return replace(self, policies=self.policies.after(all_changed), founded=founded)

    def covers(self, earlier: Currency, homes: Set[str], pods: PodClass) -> bool:
        """Whether what was found of these pods then holds now: nothing came since but pods like them, with
        whom it was found, and policies of other namespaces than those that were looked at."""
        return self._continues(earlier, homes) and self.came - earlier.came <= {pods}

    def covers_alike(self, earlier: Currency, homes: Set[str]) -> bool:
        """Whether what was found then of pods of a new controller holds now for those of another new one that
        are like them: what came since is like something that was there. So pods like them are there now only
        if some were, and what these need of each other was looked at."""
        return self._continues(earlier, homes) and self.likenesses <= earlier.likenesses

    def _continues(self, earlier: Currency, homes: Set[str]) -> bool:
        if self.state is not earlier.state or self.founded != earlier.founded:
            return False
        now, then = self.policies, earlier.policies
        return now is then or all(now.get(home) == then.get(home) for home in homes)


def brings_known_together(before: Needs, after: Needs, snapshot: Snapshot) -> bool:
    """Whether an object needs a connection that it did not need in a snapshot, though the pods at both ends
    were there: one of them got the address that the object names."""
    if after is before or not after.flows:
        return False
    known = {flow.key for flow in before.flows}
    return any(flow.key not in known and _is_among(flow, snapshot) for flow in after.flows)


def _is_among(flow: RequiredFlow, snapshot: Snapshot) -> bool:
    """Whether a snapshot has the pods at both ends of a flow."""
    ends = [peer.workload for peer in (flow.source, flow.destination) if isinstance(peer, PodsPeer)]
    return all(snapshot.workloads_named(pods.namespace, pods.ref.kind, pods.name) for pods in ends)
