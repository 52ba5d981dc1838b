"""Policies of a bundle that select more pods than those which need what they open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from istio_netpol.model.flows import FlowKind, PodsPeer, RequiredFlow
from istio_netpol.model.labels import Operator, Requirement, Selector
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.workloads import Workload
from istio_netpol.policy_lint.narrower import Followed, RulePlace
from istio_netpol.policy_lint.rule_uses import RuleUses
from istio_netpol.remedies.pod_selector import selector_of
from istio_netpol.state.pod_classes import INSTANCE_LABELS
from istio_netpol.state.snapshot import Snapshot

NAMING_LABELS = ("app", "istio", "k8s-app", "app.kubernetes.io/name", "app.kubernetes.io/component")
"""The labels by which charts and operators tell their pods apart."""

MOST_NAMES = 3
"""Workloads that a message names."""


class Selection(Struct, frozen=True):
    """Which workloads a policy is for, those that need what it opens, and whom it selects besides: `spare`
    workloads, and where it `is_loose` pods to come, since it asks for no value of any label."""

    policy: NetworkPolicy
    needy: tuple[Workload, ...]
    spare: tuple[Workload, ...]
    is_loose: bool

    @property
    def clause(self) -> str:
        """What is said of it, after the place."""
        namespace, needy = self.policy.namespace, _named(self.needy)
        verb = "needs" if len(self.needy) == 1 else "need"
        if self.is_loose:
            whom = "every pod" if self.policy.pod_selector.is_everything else "pods by no value of a label"
            return f"selects {whom} in namespace {namespace}, where only {needy} {verb} what it opens"
        return f"selects {_named(self.spare)} as well, where only {needy} {verb} what it opens"


def too_many_pods(
    policy: NetworkPolicy, followed: Followed, everybodys: frozenset[str], told: frozenset[RulePlace]
) -> Selection | None:
    """The selection of a policy that selects more than needs it; None where it does not, or nobody needs it.
    In the namespaces `everybodys` pods are alike, and a policy for all of them is right. Rules that are
    `told` apart don't count."""
    if policy.namespace in everybodys:
        return None
    through = _through(policy, followed.uses, told)
    needy = _workloads(through)
    if not needy:
        return None
    if policy.pod_selector.is_loose:
        counted = set(through)
        without = followed.snapshot.with_changes(remove=[policy])
        alone = _workloads(pair for pair in followed.lost(policy, without) if pair in counted)
        return Selection(policy, alone or needy, (), True)
    selected = followed.snapshot.select(policy.namespace, policy.pod_selector)
    spare = tuple(pods for pods in selected if pods not in needy and not pods.host_network)
    return Selection(policy, needy, spare, False) if spare else None


def _through(
    policy: NetworkPolicy, uses: RuleUses, told: frozenset[RulePlace]
) -> tuple[tuple[Direction, RequiredFlow], ...]:
    """The flows through a policy and the side on which it allows them; none where these are of pods that
    scrape, of which the pods that are scraped decide."""
    found = tuple(
        (direction, judged.flow)
        for direction in policy.policy_types
        for index in range(len(policy.rules(direction)))
        if (direction, index) not in told
        for judged in uses.of(policy, direction, index)
    )
    is_scraper = all(
        direction is Direction.EGRESS and flow.kind is FlowKind.SCRAPE for direction, flow in found
    )
    return () if is_scraper else found


def _workloads(through: Iterable[tuple[Direction, RequiredFlow]]) -> tuple[Workload, ...]:
    """Whose policies the flows concern on these sides."""
    ends = (flow.source if direction is Direction.EGRESS else flow.destination for direction, flow in through)
    return tuple({end.key: end.workload for end in ends if isinstance(end, PodsPeer)}.values())


def for_its_pods(selection: Selection, snapshot: Snapshot) -> Iterator[Selector]:
    """Selectors for those who need the policy and nobody else, the plainest first; none where the others
    would be isolated no more."""
    policy = selection.policy
    if _stay_isolated(selection, snapshot.with_changes(remove=[policy])):
        for selector in _selectors(selection.needy, snapshot):
            if set(snapshot.select(policy.namespace, selector)) == set(selection.needy):
                yield selector


def _stay_isolated(selection: Selection, left: Snapshot) -> bool:
    policy = selection.policy
    if selection.is_loose:
        return all(left.isolates_all(policy.namespace, direction) for direction in policy.policy_types)
    return all(
        policy.policy_types <= {kind for other in left.policies_for(pods) for kind in other.policy_types}
        for pods in selection.spare
    )


def _selectors(needy: Sequence[Workload], snapshot: Snapshot) -> Iterator[Selector]:
    """Selectors that may tell these pods from others: the workload's own, or values of a label of all."""
    if len(needy) == 1:
        found = selector_of(needy[0], snapshot)
        yield from (found,) if found else ()
        yield Selector.of({k: v for k, v in needy[0].labels.items() if k not in INSTANCE_LABELS})
        return
    for key in NAMING_LABELS:
        if not all(key in pods.labels for pods in needy):
            continue
        values = frozenset(pods.labels[key] for pods in needy)
        if len(values) == 1:
            yield Selector.of({key: next(iter(values))})
        else:
            yield Selector((), (Requirement(key, Operator.IN, values),))


def _named(workloads: Sequence[Workload]) -> str:
    """The first few workloads by name."""
    names = list(dict.fromkeys(str(workload.ref) for workload in workloads))
    if len(names) > MOST_NAMES:
        return f"{', '.join(names[:MOST_NAMES])} and {len(names) - MOST_NAMES} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
