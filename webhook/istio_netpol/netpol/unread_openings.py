"""Finds policies of Cilium that may open egress to nodes, and to an API server on them, by entities.

Whether they do is not read: ports, and the rules that deny. NetworkPolicies and Cilium's own allow together
(cilium/cilium Documentation/network/kubernetes/policy.rst, 1.19).
"""

from __future__ import annotations

from istio_netpol.model.policies import Direction
from istio_netpol.model.unread import UnreadPolicy
from istio_netpol.model.workloads import Workload
from istio_netpol.state.snapshot import CLUSTER_SCOPE, Snapshot

_NODES = frozenset({"kube-apiserver", "host", "remote-node", "cluster", "all"})
"""The entities that nodes are among (cilium/cilium pkg/policy/api/entity.go, 1.18)."""


def opening_nodes(workload: Workload, snapshot: Snapshot) -> tuple[UnreadPolicy, ...]:
    """The policies that select pods and name an entity to which nodes belong."""
    namespace = snapshot.namespace(workload.namespace)
    policies = (
        *snapshot.of_type(UnreadPolicy, workload.namespace),
        *snapshot.of_type(UnreadPolicy, CLUSTER_SCOPE),
    )
    return tuple(
        policy
        for policy in policies
        if _NODES & policy.to_entities(workload, namespace)
        and policy.covers(workload, namespace, Direction.EGRESS)
    )
