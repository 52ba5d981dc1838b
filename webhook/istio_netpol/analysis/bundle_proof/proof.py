"""Proof of a bundle: the connections its control plane needs, and whether each rule serves one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from istio_netpol.analysis.bundle_proof.application_pods import (
    application_namespaces,
    pods_to_come,
    proxies_anywhere,
    proxy_flows,
    their_flows,
)
from istio_netpol.analysis.bundle_proof.bundle_report import BundleObjects, BundleReport, changes, policies_in
from istio_netpol.analysis.bundle_proof.control_plane import under_bundle, without_policies
from istio_netpol.analysis.bundle_proof.default_deny import (
    apply_order_findings,
    findings_without_deny,
    not_isolated,
    opened,
    opened_findings,
    policies_beside,
)
from istio_netpol.analysis.check import check_table, judge_of
from istio_netpol.analysis.flow_verdicts import FlowJudge
from istio_netpol.analysis.results import Summary
from istio_netpol.flows.table import FlowTable
from istio_netpol.istio.rules.gateway_services import HEALTH_CHECKS
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.flows import FlowKind, RequiredFlow
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.model.verdicts import Judged
from istio_netpol.policy_lint.bundle_narrowing import NarrowingScope, broad_findings
from istio_netpol.policy_lint.narrower import Followed
from istio_netpol.policy_lint.purposes import purposes_of
from istio_netpol.policy_lint.redundancy import needless
from istio_netpol.policy_lint.rule_uses import RuleUses
from istio_netpol.state.snapshot import Snapshot

NOBODY_CIDR = "192.0.2.0/24"
NOBODYS_ADDRESSES = AddressSet.of(NOBODY_CIDR)
"""Addresses that stand in a base until the component `values` sets those of the API server."""


def verify(
    bundle: BundleObjects,
    control_plane: BundleObjects,
    base: BundleObjects,
    settings: Settings,
    resolver: Resolver,
) -> BundleReport:
    """Judges the control plane under the bundle's policies and under no others."""
    policies = policies_in(bundle)
    proxies = proxies_anywhere(policies)
    snapshot = under_bundle([*proxies.namespaces, *bundle], control_plane, settings)
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
        isolation = findings_without_deny(policies, Snapshot.of([*without_policies(control_plane), *others]))
    uses = RuleUses(table.snapshot.with_changes(put=pods), flows)
    ours = [
        *isolation,
        *_unset(policies),
        *_unproved(policies, applications, snapshot, table.view),
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


def _unproved(
    policies: Iterable[NetworkPolicy], proved: frozenset[str], snapshot: Snapshot, view: MeshView
) -> Iterator[Finding]:
    """An info for each namespace of the bundle in which nothing runs, besides those that are `proved` for
    pods to come; and one where there is no istiod."""
    counts = Counter(policy.namespace for policy in policies)
    for name, count in sorted(counts.items()):
        if name not in proved and not snapshot.workloads(name):
            ref = snapshot.namespace(name).ref
            noun = "policy" if count == 1 else "policies"
            message = (
                f"{ref}: the control plane has no workload there, so that nothing is proved of the {count} "
                f"{noun} of the bundle in it; add what runs there with --control-plane"
            )
            yield Finding(Issue.POLICY_SELECTS_NOTHING, Severity.INFO, ref, message)
    if all(map(view.is_stand_in, view.every_istiod())):
        ref = snapshot.namespace(view.root_namespace).ref
        message = (
            f"{ref}: the control plane holds no istiod, so that nothing is proved of what proxies and the "
            "API server need of it; add its Deployment with --control-plane"
        )
        yield Finding(Issue.POLICY_SELECTS_NOTHING, Severity.INFO, ref, message, field="istiod")


def _unset(policies: Iterable[NetworkPolicy]) -> Iterator[Finding]:
    """An error for each rule that still names addresses which were never set."""
    for policy in policies:
        for index, rule in enumerate(policy.egress):
            if rule.addresses and rule.addresses & NOBODYS_ADDRESSES == rule.addresses:
                place = f"spec.egress[{index}].to"
                message = (
                    f"{policy.ref}: {place} names {NOBODY_CIDR}, where nobody is (RFC 5737): the address was "
                    "never set; list the component `values` last, and set the address in values.yaml"
                )
                yield Finding(Issue.UNKNOWN_DESTINATION, Severity.ERROR, policy.ref, message, field=place)
