"""The findings of a check by their cause: one missing policy or one deny-all, and the workloads that it cuts
off."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from msgspec import Struct

from istio_netpol.analysis import denial_wording
from istio_netpol.analysis.results import Report
from istio_netpol.model.findings import Finding, RuleId, Severity
from istio_netpol.model.flows import Peer, PodsPeer, RequiredFlow
from istio_netpol.model.policies import Direction
from istio_netpol.model.references import ASSUMED
from istio_netpol.report.places import plural
from istio_netpol.report.rules import TITLES

_MOST_PORTS = 3
"""Ports that a title names."""
_CLUSTER = "cluster-wide"
"""Where objects are that are in no namespace."""


class CausePlace(Struct, frozen=True):
    """The objects that a cause concerns in one namespace (of one of several inputs), and the policies that
    deny there."""

    namespace: str
    members: tuple[str, ...]
    policies: tuple[str, ...] = ()
    input_name: str = ""

    @property
    def name(self) -> str:
        return f"{self.input_name}, {self.namespace}" if self.input_name else self.namespace

    def __str__(self) -> str:
        denied = f"; denied by {', '.join(self.policies)}" if self.policies else ""
        return f"{self.name}: {', '.join(self.members)}{denied}"


class Cause(Struct, frozen=True):
    """Findings of one rule and severity that are denied on the same sides, with a sentence that is true of
    all of them."""

    rule: RuleId
    severity: Severity
    title: str
    places: tuple[CausePlace, ...]
    findings: tuple[Finding, ...]

    @property
    def title_of_rule(self) -> str:
        return TITLES[self.rule]


class _CauseKey(Struct, frozen=True):
    """What findings of one cause have in common."""

    rule: RuleId
    severity: Severity
    sides: tuple[Direction, ...]
    is_assumed: bool


def causes(report: Report) -> tuple[Cause, ...]:
    """All causes, the worst first: errors before warnings, and then those that concern the most."""
    groups: defaultdict[_CauseKey, list[tuple[str, Finding]]] = defaultdict(list)
    for name, part in report.by_input():
        for finding in part.findings:
            sides = denied_sides(finding)
            assumed = bool(sides) and denial_wording.is_only_assumed(finding)
            kind = _CauseKey(finding.rule, finding.severity, sides, assumed)
            groups[kind].append((name, finding))
    found = [_cause(kind, members) for kind, members in groups.items()]
    rank = list(Severity)
    return tuple(
        sorted(
            found, key=lambda cause: (rank.index(cause.severity), -_extent(cause), cause.rule, cause.title)
        )
    )


def denied_sides(finding: Finding) -> tuple[Direction, ...]:
    """The sides on which the connection of a finding is surely denied."""
    if finding.flow is None or finding.verdict is None:
        return ()
    sides = ((direction, finding.verdict.side(direction)) for direction in Direction)
    return tuple(direction for direction, side in sides if side.is_denied)


def _extent(cause: Cause) -> int:
    return sum(len(place.members) for place in cause.places)


def _cause(kind: _CauseKey, members: Sequence[tuple[str, Finding]]) -> Cause:
    findings = tuple(finding for _, finding in members)
    flows = [(name, finding, finding.flow) for name, finding in members if finding.flow and kind.sides]
    if not flows:
        places = _places(
            (name, finding.object.namespace, _object_name(finding), ()) for name, finding in members
        )
        title = _title_of_objects(kind.rule, findings, places)
        return Cause(kind.rule, kind.severity, title, places, findings)
    far = {_short(_ends(flow, kind.sides)[1]) for _, _, flow in flows}
    is_common = len(kind.sides) == 1 and len(far) == 1
    places = _places(
        (name, _near_namespace(flow, kind.sides), _cut(flow, kind.sides, is_common), _denying(finding))
        for name, finding, flow in flows
    )
    title = _title_of_flows(kind, findings, next(iter(far)) if is_common else "", places)
    return Cause(kind.rule, kind.severity, title, places, findings)


def _ends(flow: RequiredFlow, sides: Sequence[Direction]) -> tuple[Peer, Peer]:
    """The end whose policies deny, which is the caller where both do, and the other one."""
    if sides[0] is Direction.EGRESS:
        return flow.source, flow.destination
    return flow.destination, flow.source


def _near_namespace(flow: RequiredFlow, sides: Sequence[Direction]) -> str:
    near, _ = _ends(flow, sides)
    return near.workload.namespace if isinstance(near, PodsPeer) else flow.object.namespace


def _cut(flow: RequiredFlow, sides: Sequence[Direction], is_common: bool) -> str:
    """The workload that is cut; with the other end where that is not the same for all."""
    namespace = _near_namespace(flow, sides)
    if is_common:
        return _short(_ends(flow, sides)[0], namespace)
    return f"{_short(flow.source, namespace)} -> {_short(flow.destination, namespace)}"


def _short(peer: Peer, namespace: str = "") -> str:
    """`cart`, or `pay/cart` where that is in another namespace."""
    if not isinstance(peer, PodsPeer):
        return str(peer)
    ref = peer.workload.ref
    name = ref.name if ref.namespace == namespace else f"{ref.namespace}/{ref.name}"
    return f"{name} {ASSUMED}" if ref.is_assumed else name


def _denying(finding: Finding) -> tuple[str, ...]:
    names = {name for direction in Direction for name in finding.denied_by(direction)}
    return tuple(sorted(names))


def _object_name(finding: Finding) -> str:
    return f"{finding.object.kind} {finding.object.name}"


def _places(found: Iterable[tuple[str, str, str, tuple[str, ...]]]) -> tuple[CausePlace, ...]:
    """The members by input, namespace and denying policies; the place with the most comes first."""
    groups: defaultdict[tuple[str, str, tuple[str, ...]], dict[str, None]] = defaultdict(dict)
    for input_name, namespace, member, policies in found:
        groups[input_name, namespace, policies][member] = None
    places = [
        CausePlace(
            namespace or _CLUSTER,
            tuple(sorted(members)),
            tuple(policy.removeprefix(f"{namespace}/") for policy in policies),
            input_name,
        )
        for (input_name, namespace, policies), members in groups.items()
    ]
    return tuple(sorted(places, key=lambda place: (-len(place.members), place.name, place.policies)))


def _title_of_objects(rule: RuleId, findings: Sequence[Finding], places: Sequence[CausePlace]) -> str:
    objects = len({finding.object.key for finding in findings})
    return f"{TITLES[rule].rstrip('.')} ({plural(objects, 'object')}{_in_namespaces(places)})"


def _title_of_flows(
    kind: _CauseKey, findings: Sequence[Finding], far: str, places: Sequence[CausePlace]
) -> str:
    """`18 workloads in 6 namespaces: no egress to istio-system/istiod, TCP 15012`."""
    count = sum(len(place.members) for place in places)
    where = _in_namespaces(places)
    condition = ", if the assumed pods are like these" if kind.is_assumed else ""
    if far:
        side = "egress to" if kind.sides[0] is Direction.EGRESS else "ingress from"
        return f"{plural(count, 'workload')}{where}: no {side} {far}{_ports(findings)}{condition}"
    sides = " and ".join(str(side).lower() for side in kind.sides)
    verb = "is" if count == 1 else "are"
    return f"{plural(count, 'connection')}{where} {verb} denied on {sides}{condition}"


def _in_namespaces(places: Sequence[CausePlace]) -> str:
    """Where there are several: ` in 6 namespaces`, ` in 2 inputs`, ` in 6 namespaces of 2 inputs`."""
    counts = (
        ("namespaces", len({place.namespace for place in places})),
        ("inputs", len({place.input_name for place in places})),
    )
    several = [f"{count} {what}" for what, count in counts if count > 1]
    return f" in {' of '.join(several)}" if several else ""


def _ports(findings: Iterable[Finding]) -> str:
    """The ports, where they are few and the same for every connection."""
    ports: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for finding in findings:
        if finding.flow:
            ends = (finding.flow.source.key, finding.flow.destination.key)
            ports[ends].add(f"{finding.flow.protocol} {finding.flow.port}")
    first = next(iter(ports.values()), set())
    if len(first) <= _MOST_PORTS and all(others == first for others in ports.values()):
        return f", {', '.join(sorted(first))}"
    return " on ports that are needed"
