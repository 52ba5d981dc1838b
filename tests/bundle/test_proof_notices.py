"""The proof itself: it notices every rule that is taken away, and every one that nobody needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.bundle.overlays import OVERLAYS, Built, built, filled_tree, standard

from istio_netpol.analysis.narrowing import with_rules
from istio_netpol.model.addresses import IpBlock
from istio_netpol.model.findings import Issue, Severity
from istio_netpol.model.labels import EVERYTHING, Selector, namespace_named
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule


@pytest.fixture(scope="module")
def overlays(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    """All overlays, built once."""
    tree = filled_tree(tmp_path_factory.mktemp("bundle"))
    return {name: built(tree / "overlays" / name) for name in OVERLAYS}


def _policies(objects: Sequence[Any]) -> list[NetworkPolicy]:
    return [each for each in objects if isinstance(each, NetworkPolicy)]


def _with(objects: Sequence[Any], policy: NetworkPolicy) -> list[Any]:
    return [
        policy if isinstance(each, NetworkPolicy) and each.key == policy.key else each for each in objects
    ]


def _weakened(policy: NetworkPolicy) -> Iterator[tuple[str, NetworkPolicy]]:
    """The policy without one of its rules, and without one port or one peer of a rule."""
    for direction in Direction:
        rules = policy.rules(direction)
        for index, rule in enumerate(rules):
            before, after = rules[:index], rules[index + 1 :]
            place = f"{policy.key} {direction.lower()}[{index}]"
            yield place, with_rules(policy, direction, before + after)
            if len(rule.ports) > 1:
                for port in rule.ports:
                    rest = tuple(each for each in rule.ports if each is not port)
                    kept = (replace(rule, ports=rest),)
                    yield f"{place} {port}", with_rules(policy, direction, before + kept + after)


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_rule_that_is_taken_away_is_missed(overlays: dict[str, Built], name: str) -> None:
    """A rule that somebody deletes by mistake fails the proof before it fails the cluster."""
    overlay = overlays[name]
    control_plane = standard()
    unnoticed = [
        place
        for policy in _policies(overlay.objects)
        for place, weaker in _weakened(policy)
        if not _errors(overlay, control_plane, _with(overlay.objects, weaker))
    ]
    assert unnoticed == []


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_policy_that_is_taken_away_is_missed(overlays: dict[str, Built], name: str) -> None:
    """That includes the default-deny, without which everything is allowed."""
    overlay = overlays[name]
    control_plane = standard()
    unnoticed = [
        policy.key
        for policy in _policies(overlay.objects)
        if not _errors(overlay, control_plane, [each for each in overlay.objects if each is not policy])
    ]
    assert unnoticed == []


def _errors(overlay: Built, control_plane: Sequence[Any], objects: Sequence[Any]) -> list[str]:
    findings = overlay.proof(control_plane, objects).report.findings
    return [each.message for each in findings if each.severity is Severity.ERROR]


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
    for policy in _policies(overlay.objects):
        for direction in Direction:
            if not policy.rules(direction):
                continue
            wider = with_rules(policy, direction, (*policy.rules(direction), added))
            proof = overlay.proof(control_plane, _with(overlay.objects, wider))
            place = f"spec.{direction.lower()}[{len(policy.rules(direction))}]"
            found = [each for each in proof.report.findings if each.rule is Issue.BROAD_POLICY]
            assert [(each.object.name, each.field) for each in found] == [(policy.name, place)]
            (narrower,) = found[0].remedy
            assert not _errors(overlay, control_plane, _with(overlay.objects, narrower))


def test_the_difference_from_the_base_names_each_policy(overlays: dict[str, Built]) -> None:
    """A reviewer reads which policies the overlay adds, changes and leaves out."""
    overlay = overlays["kind"]
    first, second, *others = _policies(overlay.objects)
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
    for policy in _policies(overlay.objects):
        if policy.name.endswith("-to-apiserver"):
            unset = with_rules(policy, Direction.EGRESS, (PolicyRule((nobody,), (PolicyPort(port=6443),)),))
            (error,) = _errors(overlay, standard(), _with(overlay.objects, unset))
            assert "the address was never set" in error
