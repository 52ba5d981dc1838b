"""Which workloads of a cluster a bundle's default-deny would cut: behind `istio-netpol bundle verify
--cluster-dump`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from istio_netpol.analysis.bundle_coverage import wording
from istio_netpol.analysis.bundle_coverage.applied_bundle import Applied, Examined
from istio_netpol.analysis.bundle_coverage.egress import egress_side
from istio_netpol.analysis.bundle_coverage.ingress import ingress_side
from istio_netpol.analysis.bundle_coverage.results import Coverage, ExaminedSide, SideState
from istio_netpol.analysis.bundle_proof.default_deny import newly_isolated
from istio_netpol.analysis.findings_writer import FindingsWriter
from istio_netpol.istio.rules.gateway_services import HEALTH_CHECKS
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.flows import RequiredFlow
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.trust.authority import OPERATOR


def coverage_of(
    bundle: Sequence[ClusterObject], cluster: Snapshot, settings: Settings, resolver: Resolver
) -> Coverage:
    """Judges every workload that the bundle isolates, with all policies that the cluster has and the bundle
    brings. Policies of others count by what they select and admit, whatever they are called."""
    examined = Examined(Applied.of(bundle, cluster), settings, resolver)
    names = examined.applied.namespaces
    workloads = {name: examined.workloads(name) for name in names}
    sides = [side for name in names for workload in workloads[name] for side in _sides_of(workload, examined)]
    applied = examined.applied
    new = () if settings.bundle.default_deny else newly_isolated(_own(applied), applied.before)
    findings = [
        *new,
        *_denied_flows(examined),
        *(finding for side in sides for finding in _findings_of(side)),
    ]
    return Coverage(
        names,
        tuple(name for name in names if not workloads[name]),
        tuple(side.side for side in sides),
        len(examined.flows),
        tuple(sorted(findings, key=lambda finding: finding.sort_key)),
        examined.table.assumptions,
    )


def _own(applied: Applied) -> list[NetworkPolicy]:
    """The bundle's policies."""
    return [policy for policy in applied.after.every(NetworkPolicy) if policy.key in applied.own]


def _sides_of(workload: Workload, examined: Examined) -> Iterator[ExaminedSide]:
    """Those of its sides that the bundle isolates."""
    if examined.applied.isolates(workload, Direction.INGRESS):
        yield ingress_side(workload, examined)
    if examined.applied.isolates(workload, Direction.EGRESS):
        yield egress_side(workload, examined)


def _findings_of(examined: ExaminedSide) -> Iterator[Finding]:
    """A warning for a side that loses something; an info where that is metrics, or nothing says that it is
    ever used."""
    side = examined.side
    if side.state is SideState.COVERED or examined.is_told:
        return
    severity = Severity.WARNING if side.loses and not examined.is_minor else Severity.INFO
    yield Finding(
        Issue.UNCOVERED_WORKLOAD,
        severity,
        side.workload,
        wording.cut(side),
        remedy=examined.policies,
        field=str(side.direction),
    )


def _denied_flows(examined: Examined) -> Iterator[Finding]:
    """What `check` finds of required connections that are denied where the bundle isolates pods. What is
    denied without the bundle, too, is only a warning."""
    writer = FindingsWriter(examined.judge, OPERATOR)
    for flow in examined.flows:
        writer.take(flow)
    for finding in writer.findings():
        if finding.flow is not None and _is_denied_here(finding, finding.flow, examined):
            yield _by_effect(finding, finding.flow, examined)


def _is_denied_here(finding: Finding, flow: RequiredFlow, examined: Examined) -> bool:
    verdict = finding.verdict
    return verdict is not None and any(
        not verdict.side(direction).allowed for direction in examined.ends(flow)
    )


def _by_effect(finding: Finding, flow: RequiredFlow, examined: Examined) -> Finding:
    """The finding with what is hard to see: that it is so already, and that a rule only seems to help."""
    verdict = examined.before.verdict(flow)
    denying = {
        name for direction in Direction for name in replace(finding, verdict=verdict).denied_by(direction)
    }
    anyway = "" if verdict.allowed else wording.without_overlay(sorted(denying))
    severity = Severity.WARNING if anyway and finding.severity is Severity.ERROR else finding.severity
    message = f"{finding.message}{wording.only_on_paper(examined.judge.on_paper(flow))}{anyway}"
    if flow.source == HEALTH_CHECKS:
        message += _HEALTH_CHECKS
    return replace(finding, severity=severity, message=message)


_HEALTH_CHECKS = (
    "; if the load balancer asks this port from outside the node, as classic ones of AWS do, take the "
    "component health-checks into the overlay, for a gateway with a folder of its own gateway-health-checks"
)
