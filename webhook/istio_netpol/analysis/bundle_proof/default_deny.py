"""The default-deny of a bundle: whether it is there, whether it comes last, and where it is refused.

An allow policy isolates the pods that it selects, as a deny does. So without a deny it may select only pods
that other policies isolate already: Kyma's own, of which the table of its modules tells where none are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.flows import RequiredFlow
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyRule
from istio_netpol.model.references import ASSUMED, ObjectRef
from istio_netpol.model.workloads import Namespace, Workload
from istio_netpol.platforms.kyma_modules import kyma_workload
from istio_netpol.platforms.kyma_workload import KymaWorkload, OwnPolicies
from istio_netpol.policy_lint.breadth import opens_everything
from istio_netpol.policy_lint.narrower import Followed, with_instead
from istio_netpol.state.snapshot import Snapshot

Opened = tuple[str, Direction, int]
"""A rule of the policy with this key."""


def denies_all(policy: NetworkPolicy) -> bool:
    """Whether a policy selects every pod of its namespace and opens nothing in some direction."""
    return policy.pod_selector.is_everything and any(
        not policy.rules(direction) for direction in policy.policy_types
    )


def not_isolated(policies: Iterable[NetworkPolicy], snapshot: Snapshot) -> Iterator[Finding]:
    """Namespaces of the bundle in which a pod that no policy selects is open."""
    for namespace in sorted({policy.namespace for policy in policies}):
        for direction in Direction:
            if not snapshot.isolates_all(namespace, direction):
                ref = snapshot.namespace(namespace).ref
                message = (
                    f"{ref}: no policy denies {direction.lower()} by default, so pods that no other policy "
                    "selects are open; add a policy with podSelector {} and "
                    f"policyTypes [{direction}]"
                )
                yield Finding(Issue.BROAD_POLICY, Severity.ERROR, ref, message, field=str(direction))


def opened(policies: Iterable[NetworkPolicy]) -> frozenset[Opened]:
    """The rules that open all to every pod of a namespace, so that nothing is denied there."""
    return frozenset(
        (policy.key, direction, index)
        for policy in policies
        if policy.pod_selector.matches({})
        for direction in policy.policy_types
        for index, rule in enumerate(policy.rules(direction))
        if opens_everything(rule)
    )


def opened_findings(
    policies: Iterable[NetworkPolicy], found: frozenset[Opened], followed: Followed
) -> Iterator[Finding]:
    """An error for each of these rules, with the policy without them where all flows pass by others."""
    for policy in policies:
        places = sorted((direction, index) for key, direction, index in found if key == policy.key)
        if not places:
            continue
        without = with_instead(policy, dict.fromkeys(places, ()))
        remedy: tuple[NetworkPolicy, ...] = ()
        if followed.takes(policy, without):
            remedy, advice = (without,), "remove the rule"
        else:
            after = followed.snapshot.with_changes(put=[without])
            lost = [flow for _, flow in followed.lost(policy, after)]
            advice = f"first allow what passes by it alone: {_listed(lost)}"
        for direction, index in places:
            place = f"spec.{direction.lower()}[{index}]"
            message = (
                f"{policy.ref}: {place} allows all {direction.lower()} of every pod of namespace "
                f"{policy.namespace}, so that nothing is denied there; {advice}"
            )
            yield Finding(Issue.BROAD_POLICY, Severity.ERROR, policy.ref, message, remedy=remedy, field=place)


def _listed(flows: Iterable[RequiredFlow]) -> str:
    """The first of the flows, and how many more."""
    first, *others = flows
    more = f" and {len(others)} more" if others else ""
    return f"{first.source} -> {first.destination}, {first.protocol} {first.port}{more}"


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


ARGO_CD = "argocd.argoproj.io/"
SYNC_WAVE = f"{ARGO_CD}sync-wave"


def apply_order_findings(bundle: Sequence[ClusterObject]) -> Iterator[Finding]:
    """A finding for each policy that denies all of a namespace before another one allows something there: in
    the sync waves of Argo CD, or by its name, in whose order kubectl and Flux apply.

    It is a warning where nothing orders them, and an info where one of both does; the sync waves count where
    some object of the bundle speaks to Argo CD.
    """
    policies = [policy for policy in bundle if isinstance(policy, NetworkPolicy)]
    annotated = (member for member in bundle if isinstance(member, NetworkPolicy | Namespace))
    is_for_argo_cd = any(key.startswith(ARGO_CD) for member in annotated for key in member.annotations)
    for policy in filter(denies_all, policies):
        others = [other for other in _allowing(policies, policy.namespace) if other is not policy]
        wave = _wave(policy.annotations)
        by_wave = [other for other in others if _wave(other.annotations) >= wave]
        by_name = [other for other in others if other.name > policy.name]
        if by_wave:
            severity = Severity.WARNING if is_for_argo_cd or by_name else Severity.INFO
            yield _by_wave(policy, by_wave, severity)
        if by_name:
            yield _by_name(policy, by_name, Severity.WARNING if by_wave else Severity.INFO)


def _allowing(policies: Iterable[NetworkPolicy], namespace: str) -> Iterator[NetworkPolicy]:
    for policy in policies:
        if policy.namespace == namespace and any(map(policy.rules, policy.policy_types)):
            yield policy


def _wave(annotations: Mapping[str, str]) -> int:
    """Argo CD takes what is not a number for 0 (argoproj/gitops-engine `pkg/sync/syncwaves`)."""
    try:
        return int(annotations.get(SYNC_WAVE, "0"))
    except ValueError:
        return 0


def _by_wave(policy: NetworkPolicy, late: Sequence[NetworkPolicy], severity: Severity) -> Finding:
    last = max(_wave(other.annotations) for other in late)
    message = (
        f"{policy.ref}: Argo CD applies it in sync wave {_wave(policy.annotations)}, no later than the "
        f"policies that allow something there ({_named(late)}, up to wave {last}), so that connections are "
        f'cut until these follow; annotate it with {SYNC_WAVE}: "{last + 1}"'
    )
    field = f"metadata.annotations[{SYNC_WAVE}]"
    return Finding(Issue.APPLY_ORDER, severity, policy.ref, message, field=field)


def _by_name(policy: NetworkPolicy, late: Sequence[NetworkPolicy], severity: Severity) -> Finding:
    message = (
        f"{policy.ref}: kubectl and Flux apply policies by their names, this one before those that allow "
        f"something there ({_named(late)}), so that connections are cut until these follow; give it a "
        "name that comes last, such as zz-default-deny"
    )
    return Finding(Issue.APPLY_ORDER, severity, policy.ref, message, field="metadata.name")


def _named(policies: Sequence[NetworkPolicy]) -> str:
    """The first few by name."""
    more = f" and {len(policies) - 3} more" if len(policies) > 3 else ""
    return ", ".join(sorted(policy.name for policy in policies)[:3]) + more
