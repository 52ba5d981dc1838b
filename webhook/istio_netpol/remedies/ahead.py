"""Policies that are applied before the change that makes them needed, such as a deny-all.

The first policy that selects pods isolates them from all that it does not allow. Applied one by one, the
policies of several flows would therefore each cut the others, for as long as the rest is missing. So what
isolates pods allows at once all that they need, and a policy that selects pods which have one of their own
comes after that one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import inf

from msgspec import Struct

from istio_netpol.istio.view.injection import as_injected
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.labels import Selector
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyPort
from istio_netpol.model.references import ObjectKey
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.remedies.combine import joined
from istio_netpol.state.network import cluster_network
from istio_netpol.state.snapshot import Snapshot

_IsolatedPods = tuple[str, Selector, frozenset[Direction]]
"""Namespace and selector, and the directions in which a policy isolates them."""

WorkloadSide = tuple[Direction, ObjectKey]
"""A direction, and the key of a workload."""


class Today(Struct, frozen=True):
    """A cluster before the change, with the pods that istiod has yet to deploy for its Gateways: an input may
    hold a Gateway and none of its pods, which run nevertheless."""

    snapshot: Snapshot
    view: MeshView

    @classmethod
    def of(cls, stored: Snapshot, settings: Settings) -> Today:
        """The cluster that was read."""
        snapshot = as_injected(stored, settings.mesh).judged_by(cluster_network(settings))
        return cls(snapshot, MeshView(snapshot, settings))

    def isolates_open_pods(self, policy: NetworkPolicy) -> bool:
        """Whether a policy would isolate pods that are open today."""
        return any(True for _ in self.open_sides(policy))

    def open_sides(self, policy: NetworkPolicy) -> Iterator[WorkloadSide]:
        """The workloads that a policy would isolate though nothing does so today, each with the direction."""
        namespace, selector, directions = _pods(policy)
        for workload in self.selected(namespace, selector):
            if workload.host_network:
                continue
            isolated = {
                direction
                for policy in self.snapshot.policies_for(workload)
                for direction in policy.policy_types
            }
            for direction in sorted(directions - isolated):
                yield direction, workload.ref.key

    def selected(self, namespace: str, selector: Selector) -> list[Workload]:
        """The workloads of a namespace that a selector matches."""
        predicted = self.view.predicted_workloads(namespace)
        return [
            *self.snapshot.select(namespace, selector),
            *(pods for pods in predicted if selector.matches(pods.labels)),
        ]


class Ahead(Struct, frozen=True):
    """`policies` in an order in which none cuts what another allows: those of `last` come after all others.
    `isolating` are the keys of those that isolate pods which are open today."""

    policies: tuple[NetworkPolicy, ...] = ()
    last: tuple[NetworkPolicy, ...] = ()
    isolating: frozenset[str] = frozenset()


def ahead(
    policies: Iterable[NetworkPolicy], today: Today, tight: Iterable[NetworkPolicy] | None = None
) -> Ahead:
    """What to apply to the cluster of `today` before pods are isolated that are open there.

    `policies` are generated ones, each for one direction, that open all that is needed once their pods are
    isolated. Where some of them are for all pods of a namespace, `tight` opens the same without such.
    """
    found = list(policies)
    opened = {_pods(policy) for policy in found if today.isolates_open_pods(policy)}
    wide = joined(policy for policy in found if policy.pod_selector.is_everything and _pods(policy) in opened)
    own = [
        policy
        for policy in (found if tight is None else tight)
        if not policy.pod_selector.is_everything and today.isolates_open_pods(policy)
    ]
    narrow = [policy for policy in joined(own) if not any(_covers(wider, policy) for wider in wide)]
    isolating = [*narrow, *wide]
    last = _last(isolating, today)
    late = {policy.key for policy in last}
    others = [policy for policy in found if _pods(policy) not in opened]
    first = [policy for policy in [*others, *isolating] if policy.key not in late]
    first.sort(key=lambda policy: (policy.namespace, policy.name))
    return Ahead((*first, *last), last, frozenset(policy.key for policy in isolating))


def _pods(policy: NetworkPolicy) -> _IsolatedPods:
    return (policy.namespace, policy.pod_selector, policy.policy_types)


def _covers(wide: NetworkPolicy, narrow: NetworkPolicy) -> bool:
    """Whether a policy for all pods of the namespace opens all that one for some of them does."""
    if (wide.namespace, wide.policy_types) != (narrow.namespace, narrow.policy_types):
        return False
    return set(_opened(narrow)) <= set(_opened(wide))


def _opened(policy: NetworkPolicy) -> Iterator[tuple[PolicyPeer | None, PolicyPort]]:
    """Each pair of a peer and one of its ports; the peer None stands for everybody."""
    for rule in (*policy.ingress, *policy.egress):
        for peer in rule.peers or (None,):
            for port in rule.ports:
                yield peer, port


def _last(policies: Sequence[NetworkPolicy], today: Today) -> tuple[NetworkPolicy, ...]:
    """Those that isolate pods for which another one is meant, the widest at the end.

    A generated selector names one workload's pods by labels, so it also selects those that have more labels;
    the policy of these selects fewer workloads.
    """
    widths = {policy.key: _width(policy, today) for policy in policies}
    sides = {policy.key: tuple(today.open_sides(policy)) for policy in policies}
    narrowest: dict[WorkloadSide, float] = {}
    for key, opened in sides.items():
        for side in opened:
            narrowest[side] = min(widths[key], narrowest.get(side, inf))
    found = [
        policy
        for policy in policies
        if any(narrowest[side] < widths[policy.key] for side in sides[policy.key])
    ]
    return tuple(sorted(found, key=lambda policy: (widths[policy.key], policy.namespace, policy.name)))


def _width(policy: NetworkPolicy, today: Today) -> float:
    """How many workloads it selects; one for all pods is wider than any that names some."""
    if policy.pod_selector.is_everything:
        return inf
    return len(today.selected(policy.namespace, policy.pod_selector))
