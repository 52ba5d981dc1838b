"""A cluster without a bundle, and with it: the bundle's older policies are replaced, all others stay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.own_names import OWNER, PART_OF
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.workloads import Namespace, Workload
from istio_netpol.state.snapshot import Snapshot


class Applied(Struct, frozen=True):
    """`before` lacks every policy of the bundle, also those that were applied earlier; `after` has what it
    holds now. `own` are the keys of these policies, `brought` those of the other objects of the bundle."""

    before: Snapshot
    after: Snapshot
    own: frozenset[str]
    brought: frozenset[tuple[str, str, str, str]]

    @classmethod
    def of(cls, bundle: Sequence[ClusterObject], cluster: Snapshot) -> Applied:
        """What applying and pruning makes of the cluster."""
        policies = [value for value in bundle if isinstance(value, NetworkPolicy)]
        own = frozenset(policy.key for policy in policies)
        namespaces = {policy.namespace for policy in policies}
        older = [policy for name in namespaces for policy in cluster.of_type(NetworkPolicy, name)]
        before = cluster.with_changes(remove=[policy for policy in older if _is_of_bundle(policy, own)])
        after = before.with_changes(put=_merged(bundle, cluster))
        return cls(before, after, own, frozenset(value.ref.key for value in bundle))

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Where the bundle has policies, sorted."""
        return tuple(sorted({key.partition("/")[0] for key in self.own}))

    def isolates(self, workload: Workload, direction: Direction) -> bool:
        """Whether a policy of the bundle isolates these pods."""
        return any(
            policy.key in self.own and direction in policy.policy_types
            for policy in self.after.policies_for(workload)
        )

    def others(self, workload: Workload, direction: Direction) -> tuple[str, ...]:
        """The policies besides the bundle's that isolate these pods, sorted."""
        return tuple(
            sorted(
                policy.key
                for policy in self.after.policies_for(workload)
                if policy.key not in self.own and direction in policy.policy_types
            )
        )


def _is_of_bundle(policy: NetworkPolicy, own: frozenset[str]) -> bool:
    """Whether the bundle brings a policy of that name, or has brought this one before."""
    return policy.key in own or policy.labels.get(PART_OF) == OWNER


def _merged(bundle: Iterable[ClusterObject], cluster: Snapshot) -> list[ClusterObject]:
    """The bundle's objects; its Namespaces keep the labels that they have in the cluster, since applying
    merges labels."""
    return [
        replace(value, labels={**cluster.namespace(value.name).labels, **value.labels})
        if isinstance(value, Namespace)
        else value
        for value in bundle
    ]
