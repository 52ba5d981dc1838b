"""How many policies come of what objects need, and for whom."""

from __future__ import annotations

from typing import Any

import pytest
from tests.istio.builders import endpoint, ref, service_entry
from tests.values import deny_all, deployment, namespace

from istio_netpol.analysis.check import check
from istio_netpol.analysis.generate import generate
from istio_netpol.cli.settings import Offline
from istio_netpol.model.istio_security import (
    AuthorizationPolicy,
    AuthorizationRule,
    AuthorizationSource,
    PortMatch,
)
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.settings import Settings
from istio_netpol.remedies.required_by import needers_of
from istio_netpol.state.snapshot import Snapshot


def workloads(count: int) -> list[Any]:
    """As many as that with sidecars, isolated."""
    pods = (deployment(f"shop/w{number}", app=f"w{number}") for number in range(count))
    return [namespace("shop", **{"istio-injection": "enabled"}), deny_all("shop"), *pods]


def allow(name: str, *ports: int) -> AuthorizationPolicy:
    """Everybody of the namespace may call everybody."""
    rule = AuthorizationRule((AuthorizationSource(namespaces=("shop",)),), (PortMatch(ports),))
    found = ref("security.istio.io/v1", "AuthorizationPolicy", f"shop/{name}")
    return AuthorizationPolicy(found, selector=None, rules=(rule,))


def generated(*objects: Any) -> tuple[NetworkPolicy, ...]:
    return generate(Snapshot.of(objects), Settings(), Offline())


def by_needer(policies: tuple[NetworkPolicy, ...]) -> dict[str, list[NetworkPolicy]]:
    found: dict[str, list[NetworkPolicy]] = {}
    for policy in policies:
        for name in needers_of(policy).names:
            found.setdefault(name, []).append(policy)
    return found


def test_workloads_under_one_allow_have_two_policies_each() -> None:
    """One to call and one to be called, whatever the number of the others and of the ports."""
    found = by_needer(generated(*workloads(12), allow("all", 80, 8080)))["AuthorizationPolicy/shop/all"]
    assert len(found) == 24
    sizes = {
        (len(rule.peers), len(rule.ports)) for policy in found for rule in (*policy.ingress, *policy.egress)
    }
    assert sizes == {(11, 2)}


def test_the_ports_of_a_service_entry_are_joined() -> None:
    """A policy for each workload, not for each workload and port."""
    external = {"resolution": "STATIC", "endpoints": (endpoint("198.51.99.8"),)}
    entry = service_entry("shop/api", "api.example.com", ports=(80, 443), **external)
    found = by_needer(generated(*workloads(11), entry))["ServiceEntry/shop/api"]
    assert [len(policy.egress[0].ports) for policy in found] == 11 * [2]


def test_what_one_object_needs_never_changes_the_policy_of_another() -> None:
    """Policies of different objects are apart, even for the same pods, unless they say the very same."""
    one = by_needer(generated(*workloads(3), allow("a", 80)))
    both = by_needer(generated(*workloads(3), allow("a", 80), allow("b", 80, 81)))
    named = {name: [policy.key for policy in policies] for name, policies in both.items()}
    assert named["AuthorizationPolicy/shop/a"] == [policy.key for policy in one["AuthorizationPolicy/shop/a"]]
    assert set(named["AuthorizationPolicy/shop/b"]).isdisjoint(named["AuthorizationPolicy/shop/a"])
    same = by_needer(generated(*workloads(3), allow("a", 80), allow("b", 80)))
    assert [policy.key for policy in same["AuthorizationPolicy/shop/b"]] == named[
        "AuthorizationPolicy/shop/a"
    ]


@pytest.mark.parametrize("ports", [(80,), (80, 8080)])
def test_a_finding_shows_the_policies_that_generate_prints(ports: tuple[int, ...]) -> None:
    """Each those that open its own connection, joined as they are for all."""
    objects = [*workloads(4), allow("all", *ports)]
    printed = {policy.key: policy.annotations for policy in generated(*objects)}
    report = check(Snapshot.of(objects), Settings(), Offline())
    shown = {policy.key: policy.annotations for finding in report.findings for policy in finding.remedy}
    assert shown == printed
    called = [finding for finding in report.findings if finding.object.name == "all"]
    assert [len(finding.remedy) for finding in called] == 12 * len(ports) * [2]
