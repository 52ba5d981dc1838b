"""What is assumed is said, makes no error by itself, and is opened for nobody who did not ask."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from tests.cli.workspace import Run

SHOP = """\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: front, namespace: shop}
spec:
  selector: {matchLabels: {app: front}}
  template:
    metadata: {labels: {app: front}}
    spec: {containers: [{name: c, image: i, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: front, namespace: shop}
spec: {selector: {app: front}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
"""
EXPOSED = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: front, namespace: shop}
spec:
  hosts: ["front.example.com"]
  gateways: [edge/public]
  http: [{route: [{destination: {host: front}}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: front, namespace: shop}
spec:
  podSelector: {matchLabels: {app: front}}
  policyTypes: [Ingress]
  ingress:
  - from:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: edge}}
      podSelector: {matchLabels: {app: edge-gateway}}
    ports: [{protocol: TCP, port: 8080}]
---
"""
GATEWAY = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: edge}
spec:
  selector: {app: edge-gateway}
  servers: [{hosts: ["*"], port: {number: 80, name: http, protocol: HTTP}}]
---
"""
EGRESS_TO = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: out, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress:
  - ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
  - to: [%s]
    ports: [{protocol: TCP, port: 15012}]
"""


def found(run: Run, text: str, *args: str) -> list[dict[str, Any]]:
    """The findings of `check` for these manifests."""
    document = json.loads(run("check", "-", "--offline", "-f", "json", *args, stdin=text).stdout)
    return list(document["findings"])


def test_a_route_of_a_gateway_that_is_not_there_is_a_warning(run: Run) -> None:
    """Nobody knows who calls: the warning says at which connection to look, and there is no remedy."""
    text = SHOP + EXPOSED
    (warning,) = [finding for finding in found(run, text) if finding["rule"] == "gateway-to-workload"]
    assert (warning["severity"], warning["remedy"]) == ("warning", [])
    assert warning["flow"]["source"]["namespace"] == "edge"
    assert "look at the connection from Deployment edge/istio-ingressgateway (assumed)" in warning["message"]
    assert run("check", "-", "--offline", stdin=text).exit_code == 0
    generated = run("generate", "-", "--offline", stdin=text)
    assert "kind: NetworkPolicy" not in generated.stdout
    assert f"not covered: {warning['message']}" in generated.stderr


def test_its_remedy_is_a_proposal(run: Run) -> None:
    """`--proposals` prints it, with check and with generate; it is the same."""
    text = SHOP + EXPOSED
    (warning,) = [
        finding for finding in found(run, text, "--proposals") if finding["rule"] == "gateway-to-workload"
    ]
    written = run("generate", "-", "--offline", "--proposals", stdin=text).stdout
    assert [warning["severity"], *warning["remedy"]] == ["warning", *yaml.safe_load_all(written)]
    assert found(run, f"{text}{written}") == [
        finding for finding in found(run, text) if finding["rule"] == "unknown-destination"
    ]


def test_pods_are_assumed_beside_their_gateway(run: Run) -> None:
    """The policy that admits the Gateway's own namespace and labels is right."""
    text = SHOP + EXPOSED + GATEWAY
    assert found(run, text) == []
    document = json.loads(run("check", "-", "--offline", "-f", "json", stdin=text).stdout)
    told = {assumption["why"]: assumption["what"] for assumption in document["assumed"]}
    assert told["the input holds no ingress gateway"].startswith(
        "an ingress gateway in namespace edge with labels app=edge-gateway"
    )


def test_settings_say_where_gateways_run(run: Run, tmp_path: Any) -> None:
    """With the gateways elsewhere, the policy is a wrong one, by the word of whoever wrote the settings."""
    settings = tmp_path / "settings.yaml"
    settings.write_text("apiVersion: istio-netpol.io/v1\nkind: Settings\nmesh: {gatewayNamespace: ingress}\n")
    text = SHOP + EXPOSED + GATEWAY
    (error,) = found(run, text, "--config", str(settings))
    assert (error["severity"], error["flow"]["source"]["namespace"]) == ("error", "ingress")
    written = run("generate", "-", "--offline", "--config", str(settings), stdin=text).stdout
    assert error["remedy"] == [*yaml.safe_load_all(written)]
    assert found(run, f"{text}---\n{written}", "--config", str(settings)) == []


@pytest.mark.parametrize(
    ("peer", "severity"),
    [
        ("namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: mesh}}", "warning"),
        (
            "namespaceSelector: {}, podSelector: {matchLabels: {app: discovery}}",
            "warning",
        ),
        ("namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}", "error"),
        ("podSelector: {}", "error"),
        ("ipBlock: {cidr: 10.0.0.0/8}", "error"),
    ],
)
def test_who_is_called_may_be_elsewhere(run: Run, peer: str, severity: str) -> None:
    """Where some rule lets a proxy through to pods of which nothing is known, istiod may be one of them.
    Where none does, the proxy can't reach it, wherever it is."""
    findings = [finding for finding in found(run, SHOP + EGRESS_TO % f"{{{peer}}}") if finding["flow"]]
    assert [(finding["rule"], finding["severity"]) for finding in findings] == [("proxy-to-istiod", severity)]
    assert bool(findings[0]["remedy"]) == (severity == "error")


def test_namespaces_that_are_not_there_are_named(run: Run) -> None:
    """Without its labels nobody knows whether pods of a namespace get a proxy."""
    text = SHOP.partition("---\n")[2]
    document = json.loads(run("check", "-", "--offline", "-f", "json", stdin=text).stdout)
    assert [assumption["why"] for assumption in document["assumed"]] == ["the input holds no Namespace shop"]
    assert "Namespace shop" not in run("check", "-", "--offline", stdin=SHOP).stdout


@pytest.mark.parametrize(
    ("source", "destination", "told"),
    [
        ("edge/istio-ingressgateway", "shop/front:8080", "assumed an ingress gateway in namespace edge"),
        ("edge/Deployment/istio-ingressgateway", "shop/front:8080", "the input holds no ingress gateway"),
        ("shop/front", "istio-system/istiod:15012", "assumed istiod in namespace istio-system"),
        ("shop/front", "kube-system/coredns:dns/UDP", "assumed cluster DNS in namespace kube-system"),
    ],
)
def test_explain_knows_what_is_assumed(run: Run, source: str, destination: str, told: str) -> None:
    """As either end, and calls it what it is."""
    result = run("explain", "-", "--from", source, "--to", destination, "--offline", stdin=SHOP + EXPOSED)
    assert result.exit_code in (0, 1), result.stderr
    assert told in result.stdout
    assert "(assumed)" in result.stdout


def test_explain_writes_the_remedy_for_what_is_there(run: Run) -> None:
    """In the name of an object that somebody can edit."""
    result = run(
        "explain",
        "-",
        "--from",
        "edge/istio-ingressgateway",
        "--to",
        "shop/front:8080",
        "--offline",
        stdin=SHOP + EXPOSED,
    )
    (required_by,) = [line for line in result.stdout.splitlines() if "istio-netpol.io/required-by" in line]
    assert required_by.endswith("/shop/front")
