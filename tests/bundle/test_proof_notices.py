"""The proof itself: it notices every rule that is taken away, and every one that nobody needs."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.bundle.overlays import (
    Built,
    built_variant,
    policies,
    standard,
    standard_for,
    variants,
    with_policy,
)

from istio_netpol.model.addresses import IpBlock
from istio_netpol.model.findings import Issue
from istio_netpol.model.labels import EVERYTHING, Selector, namespace_named
from istio_netpol.model.policies import Direction, PolicyPeer, PolicyPort, PolicyRule
from istio_netpol.policy_lint.rule_uses import with_rules


@pytest.fixture(scope="module")
def overlays(tree: Path) -> dict[str, Built]:
    """All overlays, without Kyma and with it, built once."""
    return {name: built_variant(tree, name) for name in variants()}


EXACT = [name for name in variants() if name != "kyma-gardener"]
"""Without the overlay in which 443 to the API server and 443 to the outside are alike; what it lists for
Kyma's modules is tested by test_kyma_modules.py, on kind."""


@pytest.mark.parametrize("name", EXACT)
def test_every_rule_that_is_taken_away_is_missed(overlays: dict[str, Built], name: str) -> None:
    """A rule that somebody deletes by mistake fails the proof before it fails the cluster."""
    overlay = overlays[name]
    unnoticed = overlay.unnoticed(standard_for(overlay), policies(overlay.objects))
    assert [
        place for place in unnoticed if not (place == HEALTH_ROUTE and _opens_health_to_all(overlay))
    ] == []


HEALTH_ROUTE = "istio-system/istio-ingressgateway-to-itself ingress[0]"


def _opens_health_to_all(overlay: Built) -> bool:
    """Whether load balancers check the gateway from anywhere, so that Kyma's route to it is among that."""
    checks = [
        policy
        for policy in policies(overlay.objects)
        if policy.name == "istio-ingressgateway-from-health-checks"
    ]
    return any(not rule.peers for policy in checks for rule in policy.ingress)


@pytest.mark.parametrize("name", EXACT)
def test_every_policy_that_is_taken_away_is_missed(overlays: dict[str, Built], name: str) -> None:
    """That includes the default-deny, without which everything is allowed."""
    overlay = overlays[name]
    control_plane = standard_for(overlay)
    unnoticed = [
        policy.key
        for policy in policies(overlay.objects)
        if not overlay.complaints(
            control_plane, [resource for resource in overlay.objects if resource is not policy]
        )
    ]
    assert unnoticed == []


SUPERFLUOUS = {
    "another port": PolicyRule((), (PolicyPort(port=9999),)),
    "everything": PolicyRule(),
    "every pod of a namespace": PolicyRule((PolicyPeer(EVERYTHING, namespace_named("shop")),)),
    "a peer nobody knows": PolicyRule((PolicyPeer(Selector.of({"app": "none"})),), (PolicyPort(port=15012),)),
}


@pytest.mark.parametrize("added", SUPERFLUOUS.values(), ids=list(SUPERFLUOUS))
def test_a_rule_that_nobody_needs_is_reported_with_the_narrower_policy(
    overlays: dict[str, Built], added: PolicyRule
) -> None:
    """For every policy with rules: the remedy is narrower, and passes the proof itself."""
    overlay, control_plane = overlays["kind"], standard()
    for policy in policies(overlay.objects):
        for direction in Direction:
            if not policy.rules(direction):
                continue
            wider = with_rules(policy, direction, (*policy.rules(direction), added))
            proof = overlay.proof(control_plane, with_policy(overlay.objects, wider))
            place = f"spec.{direction.lower()}[{len(policy.rules(direction))}]"
            found = [finding for finding in proof.report.findings if finding.rule is Issue.BROAD_POLICY]
            assert [(finding.object.name, finding.field) for finding in found] == [(policy.name, place)]
            (narrower,) = found[0].remedy
            assert not overlay.complaints(control_plane, with_policy(overlay.objects, narrower))


def test_the_difference_from_the_base_names_each_policy(overlays: dict[str, Built]) -> None:
    """A reviewer reads which policies the overlay adds, changes and leaves out."""
    overlay = overlays["kind"]
    first, second, *others = policies(overlay.objects)
    changed = replace(second, pod_selector=Selector.of({"app": "other"}))
    added = replace(first, ref=replace(first.ref, name="new"))
    proof = overlay.proof(standard(), [added, changed, *others])
    assert proof.changes.added == (added.key,)
    assert proof.changes.changed == (second.key,)
    assert proof.changes.removed == (first.key,)


def test_an_address_that_was_never_set_is_an_error(overlays: dict[str, Built]) -> None:
    """Without the component that sets it, istiod would look for the API server where nobody is."""
    overlay = overlays["kind"]
    nobody = PolicyPeer(ip_block=IpBlock("192.0.2.0/24"))
    for policy in policies(overlay.objects):
        if policy.name.endswith("-to-apiserver"):
            unset = with_rules(policy, Direction.EGRESS, (PolicyRule((nobody,), (PolicyPort(port=6443),)),))
            (error,) = overlay.complaints(standard(), with_policy(overlay.objects, unset))
            assert "the address was never set" in error
