"""Every required flow of a snapshot, judged: the findings behind `istio-netpol check`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from istio_netpol.analysis.ambient.tunnel_ports import closed_tunnels
from istio_netpol.analysis.assumed_pods import undeclared_namespaces
from istio_netpol.analysis.findings_writer import FindingsWriter
from istio_netpol.analysis.flow_verdicts import FlowJudge
from istio_netpol.analysis.focus import WHOLE, Focus
from istio_netpol.analysis.operator_policies import for_owners
from istio_netpol.analysis.results import NotRead, Report, Summary
from istio_netpol.analysis.undeclared import undeclared
from istio_netpol.analysis.unread_policies import UnreadPolicies
from istio_netpol.flows.cache import NamespaceAnswers
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.findings import Finding, Issue
from istio_netpol.model.flows import RequiredFlow
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.policy_lint.lint import lint
from istio_netpol.policy_lint.open_namespaces import open_namespaces
from istio_netpol.policy_lint.rule_uses import RuleUses
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.trust.authority import OPERATOR
from istio_netpol.trust.host_policy import HostGate

_OF_HOSTS = frozenset(
    {
        Issue.JWKS_UNRESOLVABLE,
        Issue.HOST_UNRESOLVABLE,
        Issue.JWKS_HOST_REFUSED,
        Issue.ADDRESS_REFUSED,
    }
)
_MOST_NAMED = 20


def check(
    snapshot: Snapshot,
    settings: Settings,
    resolver: Resolver,
    skipped: Mapping[tuple[str, str], int] = {},
    *,
    proposals: bool = False,
    focus: Focus = WHOLE,
) -> Report:
    """Judges every required flow. `skipped` are the numbers of objects that no decoder knows, by apiVersion
    and kind; they are only reported. `proposals` says whether what is denied by assumption only gets a remedy
    too, and `focus` what of it is reported."""
    table = FlowTable.of(snapshot, settings)
    report = check_table(table, judge_of(table, resolver), skipped, proposals=proposals, focus=focus)
    joined = sorted(one_per_host(report.findings), key=lambda finding: finding.sort_key)
    silent = tuple(workload for workload in undeclared(table) if focus.concerns_object(workload.ref))
    return replace(report, findings=tuple(joined), undeclared=silent)


def check_table(
    table: FlowTable,
    judge: FlowJudge,
    skipped: Mapping[tuple[str, str], int] = {},
    *,
    proposals: bool = False,
    in_full: bool = True,
    focus: Focus = WHOLE,
    beside: Iterable[RequiredFlow] = (),
) -> Report:
    """Judges the flows of a table, and the flows `beside` them. All are judged, whatever `focus` says.
    Without `in_full`, policies are looked at one by one, and no narrower form of a policy is worked out."""
    writer = FindingsWriter(judge, OPERATOR, proposals=proposals)
    flows = sorted((*table.flows(), *beside), key=lambda flow: flow.sort_key)
    for flow in flows:
        writer.take(flow)
    unnamed = list(table.findings())
    policies = table.snapshot.every(NetworkPolicy)
    uses = RuleUses(table.snapshot, writer.judged)
    odd = [*lint(uses, table.view, in_full=in_full), *closed_tunnels(policies, table.snapshot, table.view)]
    if in_full:
        odd += open_namespaces(table.snapshot, flows, table.view.trusted_namespaces)
    unread = UnreadPolicies(table.snapshot)
    judged = map(unread.added_to, writer.findings())
    findings = sorted(
        filter(
            focus.concerns, [*judged, *unread.findings(flows), *unnamed, *for_owners(odd, table.snapshot)]
        ),
        key=lambda finding: finding.sort_key,
    )
    kinds = unread.kinds()
    told, denied, undecided = (
        list(filter(focus.concerns_flow, some)) for some in (flows, writer.denied, writer.unknown)
    )
    nowhere = sum(1 for finding in findings if finding.rule is Issue.UNKNOWN_DESTINATION)
    count = table.stored.object_count - kinds.total()
    summary = _summary(count, told, denied, len(undecided) + nowhere)
    assumptions = sorted([*table.assumptions, *undeclared_namespaces(table.stored)])
    return Report(tuple(findings), summary, tuple(assumptions), not_read(kinds + Counter(skipped)))


def _summary(
    objects: int, told: Sequence[RequiredFlow], denied: Sequence[RequiredFlow], undecided: int
) -> Summary:
    """The counts; several flows may be one connection, and several connections have the same two ends."""
    connections = {(flow.source.key, flow.destination.key, flow.protocol, flow.port) for flow in denied}
    pairs = {(source, destination) for source, destination, _, _ in connections}
    return Summary(objects, len(told), len(denied), undecided, len(connections), len(pairs))


def not_read(skipped: Mapping[tuple[str, str], int]) -> tuple[NotRead, ...]:
    """The kinds of objects that no decoder knows, as a report lists them."""
    return tuple(sorted(NotRead(*kind, count) for kind, count in skipped.items()))


def judge_of(table: FlowTable, resolver: Resolver, known: NamespaceAnswers | None = None) -> FlowJudge:
    """A judge for one analysis of a table, with a fresh count of the addresses that namespaces bring;
    `known` are the answers of earlier analyses that hold still."""
    return FlowJudge(table.snapshot, table.view, gate_of(table, resolver), known)


def gate_of(table: FlowTable, resolver: Resolver) -> HostGate:
    """A host gate that refuses the cluster's own addresses."""
    return HostGate(resolver, table.host_limits)


def one_per_host(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, in which several that say the same about a host become one: that of the first object
    that needs the host, with the others named."""
    found: list[Finding] = []
    alike: dict[tuple[object, str], list[Finding]] = {}
    for finding in findings:
        if finding.rule in _OF_HOSTS:
            sentence = finding.message.removeprefix(f"{finding.object}: ")
            alike.setdefault((finding.rule, sentence), []).append(finding)
        else:
            found.append(finding)
    return found + [_joined(sorted(group, key=lambda finding: finding.sort_key)) for group in alike.values()]


def _joined(alike: list[Finding]) -> Finding:
    first = alike[0]
    others = [
        name for name in dict.fromkeys(str(finding.object) for finding in alike) if name != str(first.object)
    ]
    if not others:
        return first
    more = [f"{len(others) - _MOST_NAMED} more"] if len(others) > _MOST_NAMED else []
    return replace(
        first, message=f"{first.message}; needed as well by {', '.join(others[:_MOST_NAMED] + more)}"
    )
