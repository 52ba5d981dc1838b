"""What a deny-all everywhere would cost a cluster, and the plan by which it costs nothing: behind
`istio-netpol readiness`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Set

from msgspec import Struct

from istio_netpol.analysis.check import check, judge_of
from istio_netpol.analysis.denial_wording import denial
from istio_netpol.analysis.flow_verdicts import FlowJudge
from istio_netpol.analysis.generate import generate_ahead
from istio_netpol.analysis.readiness.deny_all import denials
from istio_netpol.analysis.readiness.rollout import ConnectionKey, Rollout, RolloutStep, connection_key
from istio_netpol.analysis.results import Report, Undeclared
from istio_netpol.analysis.undeclared import undeclared
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.assumptions import Assumption
from istio_netpol.model.findings import Finding, Issue, RuleId
from istio_netpol.model.flows import HostPeer, PodsPeer, RequiredFlow
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.references import ObjectKey, ObjectRef
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import RuleSeverity, Settings
from istio_netpol.model.verdicts import Judged, Verdict
from istio_netpol.remedies.ahead import Today
from istio_netpol.state.snapshot import Snapshot

DENIAL_NAME = "default-deny-all"

NOT_JUDGED = frozenset(
    {
        Issue.JWKS_UNRESOLVABLE,
        Issue.HOST_UNRESOLVABLE,
        Issue.UNKNOWN_DESTINATION,
        Issue.FOREIGN_ROUTING,
        Issue.TIER_UNDECIDED,
        Issue.POLICY_NOT_READ,
        Issue.NOT_JUDGED,
    }
)
"""Findings that say that something is not known, rather than denied."""


class Cut(Struct, frozen=True):
    """A required connection that is denied. `step` is the step of the plan that cuts it, 0 where it is denied
    today already. `rule` and `message` say why, `namespaces` are those of the ends that deny it."""

    flow: RequiredFlow
    rule: RuleId
    message: str
    namespaces: frozenset[str]
    step: int = 0


class KeptConnection(Struct, frozen=True):
    """A required connection that a deny-all alone would cut, with the steps that keep it on each side."""

    flow: RequiredFlow
    egress_steps: tuple[int, ...] = ()
    ingress_steps: tuple[int, ...] = ()


class NamespaceReadiness(Struct, frozen=True):
    """One namespace. `denied` are the directions in which all its pods are isolated today, `opened_by` the
    policies that open one of them to everybody all the same, for all pods. `left` says why the plan brings no
    deny-all, if it does not. `would_cut` counts the connections that a deny-all alone would deny on this
    side, `cuts` those that the plan still does, `asks` the workloads whose owners have to be asked first."""

    name: str
    denied: frozenset[Direction]
    opened_by: tuple[str, ...]
    left: str
    workloads: int
    would_cut: int
    egress_policies: int
    ingress_policies: int
    cuts: int
    asks: int

    @property
    def is_denied(self) -> bool:
        """Whether both directions are denied today."""
        return len(self.denied) == len(Direction)


class OpenQuestion(Struct, frozen=True):
    """A workload of which nothing says what it needs. `directions` are those in which the plan isolates it
    newly, `policies` those that somebody wrote for its pods."""

    workload: ObjectRef
    directions: tuple[Direction, ...]
    policies: tuple[str, ...]


class ReadinessReport(Struct, frozen=True):
    """The plan, and all that it leaves open. `opened` are the connections that a deny-all alone would cut and
    the plan keeps, `cuts` those that are denied when all steps are applied."""

    namespaces: tuple[NamespaceReadiness, ...]
    steps: tuple[RolloutStep, ...]
    opened: tuple[KeptConnection, ...]
    cuts: tuple[Cut, ...]
    asked: tuple[OpenQuestion, ...]
    not_judged: tuple[Finding, ...]
    assumptions: tuple[Assumption, ...]
    flows: int
    would_cut: int

    @property
    def is_safe(self) -> bool:
        """Whether all steps can be applied without losing anything that is needed: nothing required is denied
        at the end, and nothing is unknown."""
        return not (self.cuts or self.asked or self.not_judged or self.assumptions)

    @property
    def safe_steps(self) -> int:
        """How many steps come first that cost nothing; the others wait for answers."""
        return sum(not step.waits for step in self.steps)


def readiness(
    today: Snapshot,
    settings: Settings,
    resolver: Resolver,
    left_alone: Mapping[str, str],
    *,
    untouched: Collection[str] = (),
    per_namespace: bool = False,
    proposals: bool = False,
) -> ReadinessReport:
    """Plans a deny-all in every namespace but those of `left_alone`, which has the reason of each. No policy
    at all is written into those that are `untouched`."""
    denying = denials(today, DENIAL_NAME, left_alone)
    denied = today.with_changes(put=denying)
    found = generate_ahead(denied, today, settings, resolver, per_namespace, proposals=proposals)
    policies = [policy for policy in found.policies if policy.namespace not in untouched]
    table = FlowTable.of(denied, settings)
    judge = judge_of(table, resolver)
    outcomes = list(_outcomes(table, judge))
    unknown = {workload.ref.key: workload for workload in undeclared(table)}
    refs = {key: workload.ref for key, workload in unknown.items()}
    rollout = Rollout(Today.of(today, settings), judge, (flow for flow, _ in outcomes), refs)
    denied_today = frozenset(rollout.denied)
    would_cut = {
        connection_key(flow): _denied_sides(flow, verdict)
        for flow, verdict in outcomes
        if not verdict.allowed and connection_key(flow) not in denied_today
    }
    steps = rollout.order(policies, denying)
    end = today.with_changes(put=[step.policy for step in steps])
    report = check(end, settings, resolver)
    cuts = tuple(_cuts(rollout, steps, report, judge, untouched, denied_today))
    asked = tuple(_asked(steps, unknown))
    counted = _Counts(would_cut, steps, cuts, asked)
    return ReadinessReport(
        tuple(counted.of(name, today, left_alone.get(name, "")) for name in sorted(today.namespace_names)),
        steps,
        tuple(_opened(rollout, would_cut, steps, judge)),
        cuts,
        asked,
        tuple(finding for finding in report.findings if _leaves_open(finding, settings)),
        report.assumptions,
        len(rollout.connections),
        len(would_cut),
    )


def _leaves_open(finding: Finding, settings: Settings) -> bool:
    """Whether a finding says that something is not known, unless the settings turn its rule off."""
    return finding.rule in NOT_JUDGED and settings.severities.get(finding.rule) is not RuleSeverity.OFF


def _outcomes(table: FlowTable, judge: FlowJudge) -> Iterator[tuple[RequiredFlow, Verdict]]:
    """Every required flow, its host resolved where that is possible, and the verdict on it; not those that an
    error of our own leaves unjudged, of which a finding tells."""
    for flow in sorted(table.flows(), key=lambda flow: flow.sort_key):
        for outcome in judge.resolved(flow):
            if isinstance(outcome, Judged):
                yield outcome.flow, outcome.verdict
            elif outcome.failure is None:
                yield outcome.flow, judge.verdict(judge.at_any_address(outcome.flow))


def _denied_sides(flow: RequiredFlow, verdict: Verdict) -> frozenset[str]:
    """The namespaces of the ends that are denied."""
    ends = ((flow.source, verdict.egress), (flow.destination, verdict.ingress))
    return frozenset(
        peer.workload.namespace for peer, side in ends if isinstance(peer, PodsPeer) and not side.allowed
    )


def _cuts(
    rollout: Rollout,
    steps: Iterable[RolloutStep],
    report: Report,
    judge: FlowJudge,
    untouched: Collection[str],
    denied_today: Set[ConnectionKey],
) -> Iterator[Cut]:
    """The connections that are denied when all steps are applied, with the reason. A connection that is
    denied today already is left out where its object's namespace may not be judged."""
    told: dict[ConnectionKey, Finding] = {}
    of_hosts: dict[str, Finding] = {}
    for finding in report.findings:
        flow = finding.flow
        if flow is None or (finding.verdict is not None and finding.verdict.allowed):
            continue
        told.setdefault(connection_key(flow), finding)
        if isinstance(flow.destination, HostPeer) and finding.verdict is None:
            of_hosts.setdefault(flow.destination.host, finding)
    step_of = {connection_key(flow): step.number for step in steps for flow in step.cuts}
    after = FlowJudge(rollout.snapshot, judge.view, judge.gate)
    for key, flow in sorted(rollout.denied.items()):
        if key in denied_today and flow.object.namespace in untouched:
            continue
        verdict, step = after.verdict(after.at_any_address(flow)), step_of.get(key, 0)
        of_host = of_hosts.get(flow.destination.host) if isinstance(flow.destination, HostPeer) else None
        reason = of_host or told.get(key)
        rule, message = (
            (reason.rule, reason.message) if reason else (flow.kind, denial(Judged(flow, verdict)))
        )
        yield Cut(flow, rule, message, _denied_sides(flow, verdict), step)


def _asked(steps: Iterable[RolloutStep], unknown: Mapping[ObjectKey, Undeclared]) -> Iterator[OpenQuestion]:
    directions: defaultdict[ObjectKey, set[Direction]] = defaultdict(set)
    for ask in (ask for step in steps for ask in step.asks):
        directions[ask.workload.key].update(ask.directions)
    for workload in unknown.values():
        found = directions.get(workload.ref.key)
        if found:
            yield OpenQuestion(workload.ref, tuple(sorted(found)), workload.policies)


def _opened(
    rollout: Rollout,
    would_cut: Mapping[ConnectionKey, frozenset[str]],
    steps: Iterable[RolloutStep],
    judge: FlowJudge,
) -> Iterator[KeptConnection]:
    """What the plan keeps of what a deny-all alone would cut, with the steps that allow it."""
    number = {step.policy.key: step.number for step in steps}
    after = FlowJudge(rollout.snapshot, judge.view, judge.gate)
    for key in sorted(would_cut.keys() - rollout.denied.keys()):
        flow = rollout.connections[key]
        verdict = after.verdict(flow)
        by_side = (
            sorted({number[rule.policy.key] for rule in side.allowed_by if rule.policy.key in number})
            for side in (verdict.egress, verdict.ingress)
        )
        yield KeptConnection(flow, *map(tuple, by_side))


class _Counts:
    """The figures of each namespace."""

    def __init__(
        self,
        would_cut: Mapping[ConnectionKey, frozenset[str]],
        steps: Iterable[RolloutStep],
        cuts: Iterable[Cut],
        asked: Iterable[OpenQuestion],
    ) -> None:
        self._would_cut = Counter(name for names in would_cut.values() for name in names)
        self._cuts = Counter(name for cut in cuts for name in cut.namespaces)
        self._asked = Counter(question.workload.namespace for question in asked)
        self._policies = Counter(
            (step.policy.namespace, direction)
            for step in steps
            if not step.is_denial
            for direction in step.policy.policy_types
        )

    def of(self, name: str, today: Snapshot, left: str) -> NamespaceReadiness:
        return NamespaceReadiness(
            name,
            frozenset(direction for direction in Direction if today.isolates_all(name, direction)),
            tuple(sorted(policy.key for policy in today.of_type(NetworkPolicy, name) if _opens_all(policy))),
            left,
            sum(1 for _ in today.workloads(name)),
            self._would_cut[name],
            self._policies[name, Direction.EGRESS],
            self._policies[name, Direction.INGRESS],
            self._cuts[name],
            self._asked[name],
        )


def _opens_all(policy: NetworkPolicy) -> bool:
    """Whether a policy allows all pods of its namespace everything in one direction."""
    return policy.pod_selector.is_everything and any(
        not rule.peers and not rule.ports
        for direction in policy.policy_types
        for rule in policy.rules(direction)
    )
