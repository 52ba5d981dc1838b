"""What a proof advises can be followed: nothing that worked fails afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.bundle.mutations import Mutation, mutations
from tests.bundle.overlays import KYMA, Built, built_variant, policies, standard, with_policy
from tests.values import namespaces, policy, port, rule

from istio_netpol.analysis.bundle_proof.bundle_report import BundleReport
from istio_netpol.model.addresses import IpBlock
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.labels import EVERYTHING, Operator, Requirement, Selector
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule
from istio_netpol.policy_lint.rule_uses import with_rules
from istio_netpol.state.snapshot import Snapshot


@pytest.fixture(scope="module")
def kind(tree: Path) -> Built:
    """The overlay for kind with Kyma, which has the most policies."""
    return built_variant(tree, f"kind{KYMA}")


def _followed(objects: list[Any], proof: BundleReport) -> list[Any]:
    """The objects once everybody did what the findings about breadth say."""
    for finding in proof.report.findings:
        for narrower in finding.remedy if finding.narrows else ():
            objects = with_policy(objects, narrower)
    return objects


def _allowed(proof: BundleReport) -> set[object]:
    return {judged.flow.key for judged in proof.flows if judged.verdict.allowed}


def _errors(proof: BundleReport) -> set[tuple[object, ...]]:
    errors = [finding for finding in proof.report.findings if finding.severity is Severity.ERROR]
    return {(error.rule, error.object.key, error.field, error.flow and error.flow.key) for error in errors}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whoever_follows_all_advice_loses_no_connection(kind: Built, data: st.DataObject) -> None:
    """After any mistakes: every required flow that was allowed stays allowed, and no error is new."""
    objects: list[Any] = list(kind.objects)
    for _ in range(data.draw(st.integers(1, 4), label="mistakes")):
        held = policies(objects)
        chosen = data.draw(st.sampled_from([network_policy.key for network_policy in held]), label="policy")
        found: list[Mutation] = list(
            mutations(next(network_policy for network_policy in held if network_policy.key == chosen))
        )
        objects = data.draw(st.sampled_from(found), label="mistake").applied(objects)
    before = kind.proof(standard(), objects)
    after = kind.proof(standard(), _followed(objects, before))
    assert _allowed(before) <= _allowed(after)
    assert _errors(after) <= _errors(before)


def _broad(kind: Built, *changed: NetworkPolicy, without: str = "") -> list[Finding]:
    """What is said of breadth where some policies are others, and one is not there."""
    objects: list[Any] = [resource for resource in kind.objects if getattr(resource, "key", "") != without]
    for other in changed:
        objects = with_policy(objects, other)
    findings = kind.proof(standard(), objects).report.findings
    return [finding for finding in findings if finding.rule is Issue.BROAD_POLICY]


def _not(key: str, *values: str) -> Selector:
    """Selects whoever lacks the label, or has none of its values."""
    operator = Operator.NOT_IN if values else Operator.DOES_NOT_EXIST
    return Selector((), (Requirement(key, operator, frozenset(values)),))


def _of(kind: Built, key: str) -> NetworkPolicy:
    return next(network_policy for network_policy in policies(kind.objects) if network_policy.key == key)


def test_a_rule_for_all_is_cut_down_to_each_peer_s_own_ports(kind: Built) -> None:
    """The rule serves DNS and, since its own policy is gone, the API server: both stay open, and no peer gets
    the ports of the other."""
    dns = _of(kind, "istio-system/istiod-to-dns")
    wide = with_rules(dns, Direction.EGRESS, (*dns.egress, PolicyRule()))
    (finding,) = _broad(kind, wide, without="istio-system/istiod-to-apiserver")
    (narrower,) = finding.remedy
    assert narrower.egress == (*dns.egress, PolicyRule((), (PolicyPort(port=6443),)))
    assert "the address of the API server is not known" in finding.message


def test_no_rule_is_advised_that_is_there_already(kind: Built) -> None:
    """Where nobody knows the address of the API server, the finding says so in place of a remedy."""
    server = _of(kind, "istio-system/istiod-to-apiserver")
    peers = (PolicyPeer(ip_block=IpBlock("0.0.0.0/0")),)
    wide = with_rules(server, Direction.EGRESS, (PolicyRule(peers, server.egress[0].ports),))
    (finding,) = _broad(kind, wide)
    assert (finding.severity, finding.remedy) == (Severity.WARNING, ())
    assert "name it with the setting apiServer.addresses" in finding.message


@pytest.mark.parametrize("direction", Direction)
def test_a_default_deny_that_allows_all_is_an_error(kind: Built, direction: Direction) -> None:
    """Its name does not count. Without the rule everything passes that has to."""
    deny = _of(kind, "istio-system/zz-default-deny")
    (finding,) = _broad(kind, with_rules(deny, direction, (PolicyRule(),)))
    assert finding.severity is Severity.ERROR
    assert finding.remedy[0].does_the_same(deny)


OPEN = {
    "to every pod": rule(namespaces()),
    "to the internet": PolicyRule((PolicyPeer(ip_block=IpBlock("0.0.0.0/0")),)),
    "every port of TCP": PolicyRule((), (PolicyPort(),)),
    "most ports": rule(port(1024, end=65535)),
}


@pytest.mark.parametrize("open_", OPEN.values(), ids=list(OPEN))
def test_a_policy_of_any_name_that_opens_a_namespace_is_an_error(kind: Built, open_: PolicyRule) -> None:
    """Beside a default-deny it makes that void."""
    added = policy("istio-system/helpful", egress=[open_])
    findings = kind.proof(standard(), [*kind.objects, added]).report.findings
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    assert [(error.object.name, error.field) for error in errors] == [("helpful", "spec.egress[0]")]


def test_an_opening_that_connections_rest_on_has_no_remedy(kind: Built) -> None:
    """The flows that nothing else allows are named, so that they are allowed first."""
    deny = _of(kind, "istio-system/zz-default-deny")
    wide = with_rules(deny, Direction.EGRESS, (PolicyRule(),))
    (finding,) = _broad(kind, wide, without="istio-system/istiod-to-apiserver")
    assert finding.remedy == ()
    assert "first allow what passes by it alone: Deployment istio-system/istiod -> the API" in finding.message


SELECTORS = {
    "every pod": Selector(),
    "pods with some label": Selector((), (Requirement("app", Operator.EXISTS),)),
}


@pytest.mark.parametrize(
    "name", ["istio-ingressgateway-from-clients", "istiod-to-apiserver", "istiod-to-dns"]
)
@pytest.mark.parametrize("selector", SELECTORS.values(), ids=list(SELECTORS))
def test_a_policy_for_more_pods_than_need_it_is_broad(kind: Built, name: str, selector: Selector) -> None:
    """The remedy selects the pods that need it, and no other."""
    own = _of(kind, f"istio-system/{name}")
    (finding,) = _broad(kind, replace(own, pod_selector=selector))
    assert (finding.severity, finding.field) == (Severity.WARNING, "spec.podSelector")
    (narrower,) = finding.remedy
    snapshot = Snapshot.of(standard())
    assert snapshot.select("istio-system", narrower.pod_selector) == snapshot.select(
        "istio-system", own.pod_selector
    )


PROXIES = {
    "those of istio-system": namespaces(**{"kubernetes.io/metadata.name": "istio-system"}),
    "namespaces with a label": namespaces(**{"istio-injection": "enabled"}),
    "pods with tlsMode": PolicyPeer(Selector.of({"security.istio.io/tlsMode": "istio"}), EVERYTHING),
    "sidecars without it": PolicyPeer(_not("security.istio.io/tlsMode"), EVERYTHING),
    "all but one namespace": PolicyPeer(None, _not("kubernetes.io/metadata.name", "shop")),
    "no ambient namespaces": PolicyPeer(None, _not("istio.io/dataplane-mode", "ambient")),
    "no namespaces of a team": PolicyPeer(None, _not("team")),
    "no gateways": PolicyPeer(_not("istio", "gateway"), EVERYTHING),
}


@pytest.mark.parametrize("peer", PROXIES.values(), ids=list(PROXIES))
def test_a_proxy_that_istiod_does_not_admit_is_an_error(kind: Built, peer: PolicyPeer) -> None:
    """However the rule leaves somebody out. The gateway of istio-system is admitted by one of its own."""
    own = _of(kind, "istio-system/istiod-from-proxies")
    gateway = PolicyPeer(Selector.of({"istio": "ingressgateway"}))
    narrowed = with_rules(own, Direction.INGRESS, (PolicyRule((peer, gateway), own.ingress[0].ports),))
    findings = kind.proof(standard(), with_policy(kind.objects, narrowed)).report.findings
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    assert errors
    assert {error.object.name for error in errors} == {"istiod"}
    assert all("in any namespace that is injected" in error.message for error in errors)


def test_kubernetes_own_namespaces_have_no_proxies(kind: Built) -> None:
    """Who leaves them out leaves nobody out."""
    own = _of(kind, "istio-system/istiod-from-proxies")
    peer = PolicyPeer(None, _not("kubernetes.io/metadata.name", "kube-system", "kube-public"))
    narrowed = with_rules(own, Direction.INGRESS, (PolicyRule((peer,), own.ingress[0].ports),))
    assert kind.proof(standard(), with_policy(kind.objects, narrowed)).report.findings == ()


def test_istiod_without_a_gateway_keeps_the_rule_for_proxies(kind: Built) -> None:
    """Nothing in such a control plane calls istiod, and all of the mesh will."""
    alone = [workload for workload in standard() if workload.name in ("istiod", "istio-cni-node")]
    assert kind.complaints(alone, warnings=True) == []
