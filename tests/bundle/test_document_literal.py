"""The component for those who are audited against the policies of Kyma's NetworkPolicy scenarios."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.bundle.overlays import Built, kustomize_build, policies, standard, with_components
from tests.values import UDP, pods, policy, port, rule

from istio_netpol.model.findings import Severity
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.state.snapshot import Snapshot

ACCEPTED = "documentLiteral:\n  acceptedBy: the auditors of 2026\n"
DNS, HTTPS = rule(port(53, UDP), port(53)), rule(port(443))
ISTIOD, GATEWAY = {"istio": "pilot"}, {"istio": "ingressgateway"}
DOCUMENT = (
    policy("kyma-system/allow-dns", egress=[DNS]),
    policy("istio-system/allow-dns", egress=[DNS]),
    policy(
        "kyma-system/istio-operator-allow-apiserver",
        selects={"app.kubernetes.io/name": "istio-operator"},
        egress=[HTTPS],
    ),
    policy("istio-system/istio-pilot-allow-apiserver", selects=ISTIOD, egress=[HTTPS]),
    policy("istio-system/istio-cni-allow-apiserver", selects={"k8s-app": "istio-cni-node"}, egress=[HTTPS]),
    policy(
        "istio-system/ingress-gateway-allow-egress",
        selects=GATEWAY,
        egress=[rule(pods(**ISTIOD)), rule(port(80), port(443), port(15006), port(15012))],
    ),
    policy(
        "istio-system/pilot-allow-ingress",
        selects=ISTIOD,
        ingress=[
            rule(pods(**{"security.istio.io/tlsMode": "istio"}), pods(**GATEWAY), port(15001), port(15002)),
            rule(*map(port, (15010, 15012, 15017, 15014, 15021, 15090))),
        ],
    ),
)
"""Its policies for istio-system and kyma-system, without the default-deny that the bases have too."""

EXCESS = {
    ("broad-policy", "istio-system/allow-dns", "spec.egress[0]"),
    ("broad-policy", "istio-system/ingress-gateway-allow-egress", "spec.egress[0]"),
    ("broad-policy", "istio-system/ingress-gateway-allow-egress", "spec.egress[1]"),
    ("broad-policy", "istio-system/istio-cni-allow-apiserver", "spec.egress[0]"),
    ("broad-policy", "istio-system/istio-pilot-allow-apiserver", "spec.egress[0]"),
    ("broad-policy", "istio-system/pilot-allow-ingress", "spec.ingress[0]"),
    ("broad-policy", "istio-system/pilot-allow-ingress", "spec.ingress[1]"),
    ("broad-policy", "kyma-system/allow-dns", "spec.egress[0]"),
    ("broad-policy", "istio-system/allow-dns", "spec.podSelector"),
    ("broad-policy", "kyma-system/allow-dns", "spec.podSelector"),
    ("broad-policy", "kyma-system/istio-operator-allow-apiserver", "spec.egress[0]"),
    ("in-pod-port", "istio-system/ingress-gateway-allow-egress", "spec.egress[1].ports[2].port"),
    ("in-pod-port", "istio-system/pilot-allow-ingress", "spec.ingress[0].ports[0].port"),
    ("in-pod-port", "istio-system/pilot-allow-ingress", "spec.ingress[0].ports[1].port"),
}
"""What the proof says of them: every rule is one of these."""


@pytest.fixture(scope="module")
def literal(tree: Path) -> Built:
    """The overlay for kind with Kyma and the component."""
    return with_components(tree, "kind", ["kyma", "document-literal"], ACCEPTED)


def _content(network_policy: NetworkPolicy) -> tuple[object, ...]:
    return (
        network_policy.key,
        network_policy.pod_selector,
        network_policy.policy_types,
        network_policy.ingress,
        network_policy.egress,
    )


def _own(bundle: Built) -> list[NetworkPolicy]:
    return [
        network_policy
        for network_policy in policies(bundle.objects)
        if "istio-netpol.io/accepted-by" in network_policy.annotations
    ]


def test_the_policies_are_the_document_s_to_the_letter(literal: Built) -> None:
    """An auditor who compares them finds every rule, port and peer, and none besides."""
    assert {_content(network_policy) for network_policy in _own(literal)} == {
        _content(network_policy) for network_policy in DOCUMENT
    }


def test_what_they_open_too_wide_is_told_rule_by_rule(literal: Built) -> None:
    """Nothing becomes wider silently: the proof warns of each rule, and `--strict` fails."""
    found = literal.proof(standard()).report.findings
    assert {
        (str(finding.rule), f"{finding.object.namespace}/{finding.object.name}", finding.field)
        for finding in found
    } == EXCESS
    assert {finding.severity for finding in found} == {Severity.WARNING}
    places = {(key, field) for _, key, field in EXCESS if field.endswith("]")}
    assert len(places) == sum(
        len(network_policy.ingress) + len(network_policy.egress) for network_policy in DOCUMENT
    )


def test_who_accepts_it_has_to_be_named(tree: Path, literal: Built) -> None:
    """A build without a name fails; with one, each policy carries it."""
    with pytest.raises(AssertionError, match=r"`documentLiteral\.acceptedBy` is missing"):
        with_components(tree, "kind", ["kyma", "document-literal"])
    names = {network_policy.annotations["istio-netpol.io/accepted-by"] for network_policy in _own(literal)}
    assert names == {"the auditors of 2026"}


def test_it_does_not_build_without_the_default_deny_of_the_bases(tree: Path) -> None:
    """On their own these policies would isolate whom nothing isolates: the one for DNS every pod."""
    folder = tree / "overlays" / "alone"
    folder.mkdir()
    values = (tree / "overlays" / "kind" / "values.yaml").read_text() + ACCEPTED
    (folder / "values.yaml").write_text(values)
    components = "resources: [values.yaml]\ncomponents: [../../components/document-literal]\n"
    (folder / "kustomization.yaml").write_text(components)
    result = kustomize_build(folder)
    assert result.returncode != 0
    assert "nothing selected by NetworkPolicy" in result.stderr
    assert "zz-default-deny" in result.stderr


def test_it_isolates_nobody_besides(literal: Built) -> None:
    """Each policy is in a namespace and a direction that default-deny isolates."""
    own = {network_policy.key for network_policy in _own(literal)}
    others = [resource for resource in literal.objects if getattr(resource, "key", "") not in own]
    snapshot = Snapshot.of([*standard(), *others])
    places = [
        (network_policy.namespace, direction)
        for network_policy in _own(literal)
        for direction in network_policy.policy_types
    ]
    assert all(snapshot.isolates_all(namespace, direction) for namespace, direction in places)


def test_alone_they_leave_connections_denied(literal: Built) -> None:
    """Why the bases stay: no API server on 6443 is reached, and no client reaches the gateway."""
    alone = [resource for resource in literal.objects if getattr(resource, "name", "") == "zz-default-deny"]
    flows = literal.proof(standard(), [*alone, *_own(literal)]).flows
    denied = {(str(flow.flow.kind), flow.flow.port) for flow in flows if not flow.verdict.allowed}
    assert denied == {
        ("to-apiserver", 6443),
        ("client-to-gateway", 8080),
        ("client-to-gateway", 8443),
        ("webhook-from-apiserver", 9443),
    }
