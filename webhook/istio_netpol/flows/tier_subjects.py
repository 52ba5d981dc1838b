"""Which pods are judged otherwise after a policy of the Admin or Baseline tier, or a Node, changed."""

from __future__ import annotations

from collections.abc import Iterable

from istio_netpol.model.references import KUBERNETES_SERVICE
from istio_netpol.model.services import EndpointSlice
from istio_netpol.model.tiers import TierPolicy
from istio_netpol.model.workloads import NodeAddresses
from istio_netpol.state.changes import Change
from istio_netpol.state.snapshot import CLUSTER_SCOPE, Snapshot

_OF_NODES = frozenset({CLUSTER_SCOPE, KUBERNETES_SERVICE[0]})
"""Where Nodes are, and the EndpointSlice of the API server."""


def namespaces_of_subjects(policies: Iterable[TierPolicy], snapshot: Snapshot) -> frozenset[str]:
    """The namespaces of which these policies select pods."""
    return frozenset().union(*(snapshot.select_namespaces(policy.namespaces) for policy in policies))


def judged_anew(change: Change, snapshots: Iterable[Snapshot]) -> frozenset[str]:
    """The namespaces whose pods a change may judge otherwise: those in which anything differs, and those
    that a policy of a tier selects which came, went, says something else, or names Nodes of which one
    did. Where ipBlocks don't match some addresses of the cluster, whatever says which is about all pods."""
    versions = list(change.versions())
    snapshots = tuple(snapshots)
    if any(snapshot.network.tells_addresses_apart for snapshot in snapshots) and any(
        isinstance(version, NodeAddresses | EndpointSlice) and version.ref.namespace in _OF_NODES
        for version in versions
    ):
        return change.homes.union(*(snapshot.namespace_names for snapshot in snapshots))
    changed = [version for version in versions if isinstance(version, TierPolicy)]
    homes = change.homes
    for snapshot in snapshots:
        policies = list(changed)
        if any(isinstance(version, NodeAddresses) for version in versions):
            policies += [
                policy for policy in snapshot.tier_policies if any(rule.nodes for rule in policy.egress)
            ]
        homes |= namespaces_of_subjects(policies, snapshot)
    return homes
