"""Proof of a bundle: the connections its control plane needs, and whether each rule serves one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from istio_netpol.analysis.bundle_coverage.results import Coverage
from istio_netpol.analysis.check import check_table, judge_of
from istio_netpol.analysis.dry_run import refused_findings
from istio_netpol.analysis.judge import FlowJudge
from istio_netpol.analysis.node_local_dns import with_node_local_dns
from istio_netpol.analysis.results import Report, Summary
from istio_netpol.analysis.without_deny import findings_without_deny, policies_beside
from istio_netpol.analysis.wording import DNS_BY_UDP
from istio_netpol.flows.table import FlowTable
from istio_netpol.istio.rules.gateway_services import HEALTH_CHECKS
from istio_netpol.istio.view.gateways import is_egress_gateway
from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.dry_runs import Tried
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.flows import FlowKind, RequiredFlow
from istio_netpol.model.gateway_api import KubernetesGateway
from istio_netpol.model.labels import Selector
from istio_netpol.model.mesh import Gateway, GatewayServer
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.references import ASSUMED, ObjectRef
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.model.verdicts import Judged
from istio_netpol.policy_lint.narrowing import broad_findings
from istio_netpol.policy_lint.uses import Uses
from istio_netpol.state.snapshot import Snapshot

Objects = Sequence[Any]
"""Decoded objects, in any order."""

NOBODY_CIDR = "192.0.2.0/24"
NOBODY = AddressSet.of(NOBODY_CIDR)

INGRESS_GATEWAY = {"istio": "ingressgateway"}


@dataclass(frozen=True, slots=True)
class PolicyChanges:
    """How a bundle's policies differ from its base's, as sorted `namespace/name`."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BundleReport:
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
    snapshot = with_node_local_dns(_together(bundle, control_plane), settings)
    beside = () if settings.bundle.default_deny else policies_beside(policies, control_plane)
    snapshot = snapshot.with_changes(put=beside)
    table = FlowTable.of(snapshot, settings)
    judge = judge_of(table, resolver)
    # Each rule is held to the flows through it below, which is stricter than what is said of any policy.
    report = check_table(table, judge_of(table, resolver), in_full=False)
    asked = sorted(filter(_is_of_bundle, table.flows()), key=lambda flow: flow.sort_key)
    flows = tuple(Judged(each, judge.verdict(each)) for each in asked)
    wide = broad_findings(policies, Uses(table.snapshot, flows))
    others = {policy.ref.key for policy in beside}
    told = [
        each
        for each in report.findings
        if each.object.key not in others and (each.flow is None or _is_of_bundle(each.flow))
    ]
    judged = map(_in_full, told)
    if settings.bundle.default_deny:
        isolation = _not_isolated(policies, snapshot)
    else:
        isolation = findings_without_deny(policies, Snapshot.of([*_running(control_plane), *beside]))
    found = _one_a_rule([*judged, *isolation, *_unset(policies), *wide])
    findings = tuple(sorted(found, key=lambda finding: finding.sort_key))
    summary = _without_others(report.summary, table, judge)
    report = replace(report, findings=findings, summary=summary)
    return BundleReport(report, flows, changes(base, bundle))


def _without_others(summary: Summary, table: FlowTable, judge: FlowJudge) -> Summary:
    """The counts without the flows that are not for the bundle to allow; no other has their source."""
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


def _in_full(finding: Finding) -> Finding:
    """The finding; a bundle has to open DNS over TCP as well, though most answers come without."""
    is_by_udp = finding.rule is FlowKind.DNS and DNS_BY_UDP in finding.message
    return replace(finding, severity=Severity.ERROR) if is_by_udp else finding


def _is_of_bundle(flow: RequiredFlow) -> bool:
    """Whether a flow is for the bundle to allow: whether a gateway's health is checked from outside the node
    is the cloud's choice, and counts where the settings say so."""
    return flow.source != HEALTH_CHECKS or not flow.dispensable


def _one_a_rule(found: list[Finding]) -> list[Finding]:
    """Without what is said of a rule's breadth where the same is said with the narrower rule."""
    broad = [each for each in found if each.rule is Issue.BROAD_POLICY and each.remedy]
    narrowed = {(each.object.key, each.field) for each in broad}
    return [
        each
        for each in found
        if each.rule is not Issue.BROAD_POLICY or each.remedy or (each.object.key, each.field) not in narrowed
    ]


def _policies(objects: Objects) -> tuple[NetworkPolicy, ...]:
    return tuple(each for each in objects if isinstance(each, NetworkPolicy))


def _together(bundle: Objects, control_plane: Objects) -> Snapshot:
    """The control plane under the bundle; with a Gateway on 80 and 443 where an ingress gateway has none."""
    running = _running(control_plane)
    snapshot = Snapshot.of([*running, *bundle])
    has_gateways = any(isinstance(each, Gateway | KubernetesGateway) for each in running)
    pods = snapshot.select_anywhere(Selector.of(INGRESS_GATEWAY))
    if has_gateways or not any(not is_egress_gateway(pod) for pod in pods):
        return snapshot
    return snapshot.with_changes(put=[_usual_gateway(pods[0].namespace)])


def _running(control_plane: Objects) -> list[Any]:
    """The control plane without its policies."""
    return [each for each in control_plane if not isinstance(each, NetworkPolicy)]


def _usual_gateway(namespace: str) -> Gateway:
    ref = ObjectRef("networking.istio.io/v1", "Gateway", namespace, "ports-80-and-443", ASSUMED)
    return Gateway(ref, INGRESS_GATEWAY, (GatewayServer(80, "HTTP"), GatewayServer(443, "HTTPS")))


def _not_isolated(policies: Iterable[NetworkPolicy], snapshot: Snapshot) -> Iterator[Finding]:
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


def _unset(policies: Iterable[NetworkPolicy]) -> Iterator[Finding]:
    """Rules that still name the addresses which stand in a base for those of the API server."""
    for policy in policies:
        for index, rule in enumerate(policy.egress):
            if rule.addresses and rule.addresses & NOBODY == rule.addresses:
                place = f"spec.egress[{index}].to"
                message = (
                    f"{policy.ref}: {place} names {NOBODY_CIDR}, where nobody is (RFC 5737): the address was "
                    "never set; list the component `values` last, and set the address in values.yaml"
                )
                yield Finding(Issue.UNKNOWN_DESTINATION, Severity.ERROR, policy.ref, message, field=place)


def with_coverage(proof: BundleReport, coverage: Coverage) -> BundleReport:
    """The proof with what the bundle meets in a cluster. What both tell of one connection is told once."""
    known = {_identity(finding) for finding in proof.report.findings}
    new = [finding for finding in coverage.findings if _identity(finding) not in known]
    findings = sorted([*proof.report.findings, *new], key=lambda finding: finding.sort_key)
    assumptions = tuple(sorted({*proof.report.assumptions, *coverage.assumptions}))
    report = replace(proof.report, findings=tuple(findings), assumptions=assumptions)
    return replace(proof, report=report, coverage=coverage)


def with_dry_run(proof: BundleReport, tried: tuple[Tried, ...]) -> BundleReport:
    """The proof with what came of trying the bundle's policies on a cluster."""
    findings = sorted([*proof.report.findings, *refused_findings(tried)], key=lambda each: each.sort_key)
    return replace(proof, report=replace(proof.report, findings=tuple(findings)), dry_run=tried)


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
        each.key: (each.pod_selector, each.policy_types, each.ingress, each.egress)
        for each in _policies(objects)
    }
