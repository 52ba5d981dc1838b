"""What a cluster would look like with traffic denied by default everywhere."""

from __future__ import annotations

from istio_netpol.model.labels import EVERYTHING
from istio_netpol.model.own_names import KUBERNETES_NAMESPACES
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.references import ObjectRef
from istio_netpol.state.snapshot import Snapshot

ASSUMED_NAME = "assumed-deny-all"


def assume_deny_all(snapshot: Snapshot) -> Snapshot:
    """The snapshot with a policy that denies both directions in every namespace which has none for all its
    pods."""
    assumed = []
    for name in snapshot.namespace_names:
        missing = frozenset(
            direction for direction in Direction if not snapshot.isolates_all(name, direction)
        )
        if missing and name not in KUBERNETES_NAMESPACES:
            ref = ObjectRef("networking.k8s.io/v1", "NetworkPolicy", name, ASSUMED_NAME)
            assumed.append(NetworkPolicy(ref, EVERYTHING, missing))
    return snapshot.with_changes(put=assumed)
