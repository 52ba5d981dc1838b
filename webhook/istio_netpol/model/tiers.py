"""The tiers that cluster administrators put before and behind NetworkPolicies, as values: AdminNetworkPolicy
and BaselineAdminNetworkPolicy (policy.networking.k8s.io/v1alpha1), ClusterNetworkPolicy (v1alpha2).

`manifests/decode_tiers.py` decodes them. `netpol/evaluate.py` (`_in_order`) judges one connection tier by
tier, `netpol/profiles.py` all connections of a workload at once, by the two stages of `netpol/two_stages.py`;
both name each tier. Who explains and mends asks whether a tier `precedes_policies`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property

from msgspec import Struct, field

from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.connections import Protocol
from istio_netpol.model.labels import Labels, Selector
from istio_netpol.model.policies import Direction, PolicyPeer, PolicyPort
from istio_netpol.model.references import ObjectRef


class Tier(StrEnum):
    """ "Policy tiers are evaluated in the following order: Admin tier, NetworkPolicy tier, Baseline tier"."""

    ADMIN = "Admin"
    BASELINE = "Baseline"

    @property
    def precedes_policies(self) -> bool:
        """Whether it is asked before NetworkPolicies, which then can't overrule it. A tier that does not is
        asked only of pods that no NetworkPolicy isolates."""
        match self:
            case Tier.ADMIN:
                return True
            case Tier.BASELINE:
                return False


_POSITIONS = {tier: position for position, tier in enumerate(Tier)}
"""Where each tier stands in the order of evaluation."""


class Action(StrEnum):
    """What a rule does with the traffic that it matches; v1alpha1 writes Allow for Accept."""

    ACCEPT = "Accept"
    DENY = "Deny"
    PASS = "Pass"  # noqa: S105


LOWEST_PRIORITY = 1000
"""The largest number that `priority` may have; the smaller the number, the earlier the policy is asked."""


class TierRule(Struct, frozen=True, dict=True):
    """One ingress or egress rule. It matches a peer that any of these name: `peers` are pods and networks,
    `nodes` select Nodes by their labels, `domain_names` are hosts or `*.` and a domain. No ports: every
    port."""

    action: Action
    peers: tuple[PolicyPeer, ...] = ()
    nodes: tuple[Selector, ...] = ()
    domain_names: tuple[str, ...] = ()
    ports: tuple[PolicyPort, ...] = ()
    name: str = ""

    @cached_property
    def selectors(self) -> tuple[PolicyPeer, ...]:
        """The peers that name pods by what they are."""
        return tuple(peer for peer in self.peers if peer.ip_block is None)

    @cached_property
    def networks(self) -> AddressSet:
        """The addresses that the networks name together."""
        return AddressSet.union(peer.ip_block.addresses for peer in self.peers if peer.ip_block is not None)


class TierPolicy(Struct, frozen=True, eq=False):
    """One policy of a tier. Its subject are the pods that both selectors match; a
    BaselineAdminNetworkPolicy, of which there is one in a cluster, has the lowest priority."""

    ref: ObjectRef
    tier: Tier
    priority: int
    namespaces: Selector
    pods: Selector
    ingress: tuple[TierRule, ...] = ()
    egress: tuple[TierRule, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """`Kind/name`, as reports print it beside the `namespace/name` of NetworkPolicies."""
        return f"{self.ref.kind}/{self.ref.name}"

    @property
    def order(self) -> tuple[int, int, str, str]:
        """Where the policy stands in the evaluation. Between equal tiers and priorities the API has no
        order."""
        return (_POSITIONS[self.tier], self.priority, self.ref.kind, self.ref.name)

    def rules(self, direction: Direction) -> tuple[TierRule, ...]:
        return self.ingress if direction is Direction.INGRESS else self.egress

    def may_concern(self, direction: Direction, protocol: Protocol, port: int) -> bool:
        """Whether some rule may match connections to a port: a port's name may mean any number."""
        return any(
            not rule.ports or any(_may_mean(entry, protocol, port) for entry in rule.ports)
            for rule in self.rules(direction)
        )

    def selects(self, namespace_labels: Labels, pod_labels: Labels) -> bool:
        """Whether pods are its subject; hostNetwork pods never are."""
        return self.namespaces.matches(namespace_labels) and self.pods.matches(pod_labels)


def _may_mean(entry: PolicyPort, protocol: Protocol, port: int) -> bool:
    if entry.protocol is not protocol:
        return False
    if entry.port is None or isinstance(entry.port, str):
        return True
    return entry.port <= port <= (entry.end_port or entry.port)


def names_host(domain_names: tuple[str, ...], host: str) -> bool:
    """Whether one of the names means the host: itself, or after `*.` whatever ends in the rest."""
    wanted = host.lower().rstrip(".")
    for name in domain_names:
        written = name.lower().rstrip(".")
        if wanted == written or (written.startswith("*.") and wanted.endswith(written[1:])):
            return True
    return False
