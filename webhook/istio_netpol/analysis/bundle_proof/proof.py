"""Proof of a bundle: the connections its control plane needs, and whether each rule serves one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.analysis.bundle_coverage.results import Coverage
from istio_netpol.analysis.bundle_proof.applications import application_namespaces, pods_to_come, their_flows
from istio_netpol.analysis.bundle_proof.apply_order import apply_order_findings
from istio_netpol.analysis.bundle_proof.gateways import usual_gateways
from istio_netpol.analysis.bundle_proof.isolation import not_isolated, opened, opened_findings
from istio_netpol.analysis.bundle_proof.node_local_dns import with_node_local_dns
from istio_netpol.analysis.bundle_proof.placeholders import unset
from istio_netpol.analysis.bundle_proof.proxies import proxies_anywhere, proxy_flows
from istio_netpol.analysis.bundle_proof.purposes import purposes_of
from istio_netpol.analysis.bundle_proof.unproved import unproved
from istio_netpol.analysis.bundle_proof.without_deny import findings_without_deny, policies_beside
from istio_netpol.analysis.check import check_table, judge_of
from istio_netpol.analysis.flow_verdicts import FlowJudge
from istio_netpol.analysis.refused_policies import refused_findings
from istio_netpol.analysis.results import Report, Summary
from istio_netpol.flows.table import FlowTable
from istio_netpol.istio.rules.gateway_services import HEALTH_CHECKS
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.flows import FlowKind, RequiredFlow
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.policy_store import Tried
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.model.verdicts import Judged
from istio_netpol.policy_lint.followed import Followed
from istio_netpol.policy_lint.narrowing import NarrowingScope, broad_findings
from istio_netpol.policy_lint.redundancy import needless
from istio_netpol.policy_lint.uses import RuleUses
from istio_netpol.state.snapshot import Snapshot

Objects = Sequence[ClusterObject]
"""Decoded objects, in any order."""


class PolicyChanges(Struct, frozen=True):
    """How a bundle's policies differ from its base's, as sorted `namespace/name`."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class BundleReport(Struct, frozen=True):
    """The findings, every required flow with what allows it, the difference from the base, what the bundle
    meets in a cluster, where one was named, and what came of trying it there."""

    report: Report
    flows: tuple[Judged, ...]
    changes: PolicyChanges
    coverage: Coverage | None = None
    dry_run: tuple[Tried, ...] = ()


def verify(
    bundle: Objects, control_plane: Objects, base: Objects, settings: Settings, resolver: Resolver
) -> BundleReport:
    """Judges the control plane under the bundle's policies and under no others."""
    policies = _policies(bundle)
    proxies = proxies_anywhere(policies)
    snapshot = with_node_local_dns(_together([*proxies.namespaces, *bundle], control_plane), settings)
    others = () if settings.bundle.default_deny else policies_beside(policies, control_plane)
    snapshot = snapshot.with_changes(put=others)
    table = FlowTable.of(snapshot, settings)
    applications = application_namespaces(policies, snapshot, table.view)
    pods = pods_to_come(applications)
    beside = [*proxy_flows(proxies, table.view), *their_flows(pods, snapshot, settings)]
    judge = judge_of(table, resolver)
    # Each rule is held to the flows through it below, which is stricter than what is said of any policy.
    report = check_table(table, judge_of(table, resolver), in_full=False, beside=beside)
    asked = sorted(filter(_is_of_bundle, (*table.flows(), *beside)), key=lambda flow: flow.sort_key)
    flows = tuple(Judged(flow, judge.verdict(flow)) for flow in asked)
    strangers = {policy.ref.key for policy in others}
    told = [
        finding
        for finding in report.findings
        if finding.object.key not in strangers and (finding.flow is None or _is_of_bundle(finding.flow))
    ]
    if settings.bundle.default_deny:
        isolation = not_isolated(policies, snapshot)
    else:
        isolation = findings_without_deny(policies, Snapshot.of([*_running(control_plane), *others]))
    uses = RuleUses(table.snapshot.with_changes(put=pods), flows)
    ours = [
        *isolation,
        *unset(policies),
        *unproved(policies, applications, snapshot, table.view),
        *apply_order_findings(bundle),
        *_of_breadth(policies, uses, NarrowingScope(applications, opened(policies)), settings),
    ]
    found = (*_besides(map(_in_full, told), ours), *ours)
    findings = tuple(sorted(found, key=lambda finding: finding.sort_key))
    summary = _without_others(report.summary, table, judge)
    report = replace(report, findings=findings, summary=summary)
    return BundleReport(report, flows, changes(base, bundle))


def _without_others(summary: Summary, table: FlowTable, judge: FlowJudge) -> Summary:
    """The counts without the flows that the bundle is not meant to allow. Only those flows have the same
    sources."""
    others = [flow for flow in table.flows() if not _is_of_bundle(flow)]
    denied = {(flow.destination.key, flow.port) for flow in others if not judge.verdict(flow).allowed}
    cut = sum((flow.destination.key, flow.port) in denied for flow in others)
    return replace(
        summary,
        flows=summary.flows - len(others),
        denied=summary.denied - cut,
        denied_connections=summary.denied_connections - len(denied),
        denied_pairs=summary.denied_pairs - len({pods for pods, _ in denied}),
    )


def _of_breadth(
    policies: Sequence[NetworkPolicy], uses: RuleUses, scope: NarrowingScope, settings: Settings
) -> list[Finding]:
    """What is said of rules and policies that open too much, or what others open."""
    purposes = purposes_of(uses.snapshot, settings)
    followed = Followed(uses)
    open_ = list(opened_findings(policies, scope.told, followed))
    wide = broad_findings(policies, followed, purposes, scope)
    told = {finding.object.key for finding in (*open_, *wide) if finding.severity is not Severity.INFO}
    keys = {policy.key for policy in policies if policy.ref.key in told}
    by_namespace: dict[str, list[NetworkPolicy]] = {}
    for policy in policies:
        by_namespace.setdefault(policy.namespace, []).append(policy)
    double = [finding for some in by_namespace.values() for finding in needless(some, keys)]
    return [*open_, *wide, *double]


def _in_full(finding: Finding) -> Finding:
    """The finding as the proof of a bundle tells it. A bundle has to open DNS over TCP as well, though most
    answers come over UDP. Where the given control plane has no DNS, the environment's settings say where DNS
    is."""
    is_dns = finding.rule is FlowKind.DNS and finding.flow is not None
    return replace(finding, severity=Severity.ERROR) if is_dns else finding


def _is_of_bundle(flow: RequiredFlow) -> bool:
    """Whether the bundle is meant to allow a flow. Whether a gateway's health is checked from outside of the
    node depends on the cloud, so such a flow counts only where the settings say so."""
    return flow.source != HEALTH_CHECKS or not flow.dispensable


def _besides(told: Iterable[Finding], ours: Iterable[Finding]) -> Iterator[Finding]:
    """What `check` says, without the breadth of rules of which the proof says more."""
    places = {(finding.object.key, finding.field) for finding in ours}
    for finding in told:
        if finding.rule is not Issue.BROAD_POLICY or (finding.object.key, finding.field) not in places:
            yield finding


def _policies(objects: Objects) -> tuple[NetworkPolicy, ...]:
    return tuple(policy for policy in objects if isinstance(policy, NetworkPolicy))


def _together(bundle: Objects, control_plane: Objects) -> Snapshot:
    """The control plane under the bundle; with a Gateway on 80 and 443 for each ingress gateway where none is
    given."""
    snapshot = Snapshot.of([*_running(control_plane), *bundle])
    return snapshot.with_changes(put=tuple(usual_gateways(snapshot)))


def _running(control_plane: Objects) -> list[ClusterObject]:
    """The control plane without its policies."""
    return [part for part in control_plane if not isinstance(part, NetworkPolicy)]


def with_coverage(proof: BundleReport, coverage: Coverage) -> BundleReport:
    """The proof with what the bundle meets in a cluster. A connection of which both tell is reported once."""
    known = {_identity(finding) for finding in proof.report.findings}
    new = [finding for finding in coverage.findings if _identity(finding) not in known]
    proof = with_findings(proof, new)
    assumptions = tuple(sorted({*proof.report.assumptions, *coverage.assumptions}))
    return replace(proof, report=replace(proof.report, assumptions=assumptions), coverage=coverage)


def with_findings(proof: BundleReport, more: Iterable[Finding]) -> BundleReport:
    """The proof with what else was found."""
    findings = sorted([*proof.report.findings, *more], key=lambda finding: finding.sort_key)
    return replace(proof, report=replace(proof.report, findings=tuple(findings)))


def with_dry_run(proof: BundleReport, tried: tuple[Tried, ...]) -> BundleReport:
    """The proof with what came of trying the bundle's policies on a cluster."""
    return replace(with_findings(proof, refused_findings(tried)), dry_run=tried)


def _identity(finding: Finding) -> tuple[object, ...]:
    return (finding.rule, finding.object.key, finding.field, finding.flow.key if finding.flow else ())


def changes(base: Objects, bundle: Objects) -> PolicyChanges:
    """Which policies the bundle adds to its base, changes and leaves out."""
    before, after = _by_key(base), _by_key(bundle)
    return PolicyChanges(
        tuple(sorted(after.keys() - before.keys())),
        tuple(sorted(key for key in after.keys() & before.keys() if after[key] != before[key])),
        tuple(sorted(before.keys() - after.keys())),
    )


def _by_key(objects: Objects) -> dict[str, tuple[object, ...]]:
    return {
        policy.key: (policy.pod_selector, policy.policy_types, policy.ingress, policy.egress)
        for policy in _policies(objects)
    }
