"""Findings: which policies deny, and the order of findings."""

from msgspec.structs import replace
from tests.values import EGRESS, INGRESS, TCP, deny_all, deployment, policy

from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.flows import AnyPeer, FlowKind, PodsPeer, RequiredFlow
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.verdicts import OPEN, RuleRef, SideVerdict, Verdict

CART = ObjectRef("apps/v1", "Deployment", "shop", "cart")
FLOW = RequiredFlow(FlowKind.DNS, CART, PodsPeer(deployment("shop/cart")), AnyPeer(), TCP, 53, "it asks")


def finding(**parts):
    return Finding(FlowKind.DNS, Severity.ERROR, CART, "denied", **parts)


def test_the_denying_policies_are_those_that_isolate_a_denied_side():
    """Sorted by name; a side that is open or allowed is denied by none."""
    later, earlier = policy("shop/z", egress=[]), deny_all("shop")
    verdict = Verdict(SideVerdict((later, earlier)), OPEN)
    assert finding(verdict=verdict).denied_by(EGRESS) == ("shop/deny-all", "shop/z")
    assert finding(verdict=verdict).denied_by(INGRESS) == ()


def test_policies_that_isolate_an_allowed_side_deny_nothing():
    """Some rule allows, so nobody is to blame."""
    deny = deny_all("shop")
    verdict = Verdict(OPEN, SideVerdict((deny,), (RuleRef(deny, INGRESS, 0),)))
    assert finding(verdict=verdict).denied_by(INGRESS) == ()


def test_a_finding_without_verdict_is_denied_by_nothing():
    """It is about no connection."""
    assert finding().denied_by(EGRESS) == ()


def test_findings_are_sorted_by_object_rule_and_flow():
    """Findings of one object stay together, those without flow come first."""
    bare, with_flow = finding(), finding(flow=FLOW)
    elsewhere = replace(bare, object=ObjectRef("apps/v1", "Deployment", "a", "z"), rule=Issue.IMPACT)
    broad = replace(bare, rule=Issue.BROAD_POLICY)
    found = sorted([with_flow, bare, broad, elsewhere], key=lambda finding: finding.sort_key)
    assert found == [elsewhere, broad, bare, with_flow]
