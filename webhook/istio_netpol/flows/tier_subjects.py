"""Which pods are judged otherwise after a policy of the Admin or Baseline tier, or a Node, changed."""

from __future__ import annotations

from collections.abc import Iterable

from istio_netpol.model.mesh import NodeAddresses
from istio_netpol.model.tiers import TierPolicy
from istio_netpol.state.changes import Change
from istio_netpol.state.snapshot import Snapshot


def namespaces_of_subjects(policies: Iterable[TierPolicy], snapshot: Snapshot) -> frozenset[str]:
    """The namespaces of which these policies select pods."""
    return frozenset().union(*(snapshot.select_namespaces(policy.namespaces) for policy in policies))


def judged_anew(change: Change, snapshots: Iterable[Snapshot]) -> frozenset[str]:
    """The namespaces whose pods a change may judge otherwise: those in which anything differs, and those
    that a policy of a tier selects which came, went, says something else, or names Nodes of which one
    did."""
    versions = list(change.versions())
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
