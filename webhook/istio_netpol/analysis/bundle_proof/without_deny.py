"""Bundles for platforms that refuse a default-deny: they add to what other policies allow, and cut nothing.

An allow policy isolates the pods that it selects, as a deny does. So without a deny it may select only pods
that other policies isolate already: Kyma's own, of which the table of its modules tells where none are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyRule
from istio_netpol.model.references import ASSUMED, ObjectRef
from istio_netpol.model.workloads import Workload
from istio_netpol.platforms.kyma_modules import kyma_workload
from istio_netpol.platforms.kyma_workload import KymaWorkload, OwnPolicies
from istio_netpol.state.snapshot import Snapshot


def policies_beside(
    policies: Iterable[NetworkPolicy], control_plane: Sequence[ClusterObject]
) -> list[NetworkPolicy]:
    """The policies that are there besides a bundle's: those of the control plane; where it has none, those
    that Kyma's modules are known to bring."""
    own = {policy.key for policy in policies}
    given = [
        policy for policy in control_plane if isinstance(policy, NetworkPolicy) and policy.key not in own
    ]
    return given or list(_known_ones(control_plane))


def _known_ones(control_plane: Iterable[ClusterObject]) -> Iterator[NetworkPolicy]:
    for workload in control_plane:
        if isinstance(workload, Workload):
            known = kyma_workload(workload.namespace, workload.labels)
            if known is not None and known.own is OwnPolicies.ON:
                yield _own_policy(workload, known)


def _own_policy(workload: Workload, known: KymaWorkload) -> NetworkPolicy:
    """What a module's own policies come to: they isolate its pods, and open all that is asked for except
    their gaps, which are all that is asked for of a module that has some."""
    rules = () if known.gaps else (PolicyRule(),)
    ref = ObjectRef("networking.k8s.io/v1", "NetworkPolicy", workload.namespace, f"of {known.name}", ASSUMED)
    return NetworkPolicy(ref, known.selector, frozenset(Direction), rules, rules)


def findings_without_deny(policies: Sequence[NetworkPolicy], before: Snapshot) -> Iterator[Finding]:
    """What is said of a bundle that denies nothing by default; `before` is the control plane without it."""
    yield from _open_namespaces(policies, before)
    yield from newly_isolated(policies, before)


def _open_namespaces(policies: Iterable[NetworkPolicy], before: Snapshot) -> Iterator[Finding]:
    for namespace in sorted({policy.namespace for policy in policies}):
        if not all(before.isolates_all(namespace, direction) for direction in Direction):
            ref = before.namespace(namespace).ref
            message = (
                f"{ref}: nothing is denied by default, as the setting bundle.defaultDeny is false; pods "
                "that no policy selects are open"
            )
            yield Finding(Issue.BROAD_POLICY, Severity.INFO, ref, message)


def newly_isolated(policies: Iterable[NetworkPolicy], before: Snapshot) -> Iterator[Finding]:
    """An error for each workload that a policy isolates and no policy of `before` does."""
    for policy in policies:
        for workload in before.select(policy.namespace, policy.pod_selector):
            isolated = {kind for other in before.policies_for(workload) for kind in other.policy_types}
            for direction in sorted(policy.policy_types - isolated):
                if not workload.host_network:
                    yield _cuts(policy, workload, direction)


def _cuts(policy: NetworkPolicy, workload: Workload, direction: Direction) -> Finding:
    message = (
        f"{policy.ref}: isolates {workload.ref} for {direction.lower()}, which no other policy does; without "
        "a default-deny this cuts whatever it does not list; remove the policy, or select only pods that "
        "other policies isolate"
    )
    return Finding(Issue.IMPACT, Severity.ERROR, policy.ref, message, field="spec.podSelector")
