"""Required connections that are denied where a bundle isolates pods."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from istio_netpol.analysis.bundle_coverage import wording
from istio_netpol.analysis.bundle_coverage.examined import Examined
from istio_netpol.analysis.check import FindingsWriter
from istio_netpol.istio.rules.gateway_services import HEALTH_CHECKS
from istio_netpol.model.findings import Finding, Severity
from istio_netpol.model.flows import RequiredFlow
from istio_netpol.model.policies import Direction
from istio_netpol.trust.authority import OPERATOR


def denied_flows(examined: Examined) -> Iterator[Finding]:
    """The findings that `check` has of them. What is denied without the bundle, too, is only a warning."""
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
