"""Gateways of other names, kinds and namespaces, each with its folder of the bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.bundle.gateway_folders import EXPOSED, beside
from tests.bundle.istio_charts import gateway_chart
from tests.bundle.istio_manifests import minimal
from tests.bundle.overlays import (
    KUSTOMIZE,
    built,
    filled_tree,
    kustomize_build,
    objects_of,
    policies,
)
from tests.values import TCP, deployment

from istio_netpol.model.flows import PodsPeer
from istio_netpol.model.labels import Selector
from istio_netpol.netpol.evaluate import judge
from istio_netpol.state.snapshot import Snapshot

SHIPPED = sorted(folder.name for folder in (KUSTOMIZE / "gateways").iterdir())

DEPLOYED = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: istio}
spec: {controllerName: istio.io/gateway-controller}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: shop}
spec:
  gatewayClassName: istio
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: public}]}}
"""


@dataclass(frozen=True, slots=True)
class Site:
    """A cluster with a gateway: its namespace, the ports on which it is called, what runs, and what the
    kustomization of a user says besides."""

    namespace: str
    ports: frozenset[int]
    running: Callable[[], Sequence[Any]]
    kustomization: str = ""


def east_west() -> Sequence[Any]:
    """As Istio's multicluster guides install it, with what they expose."""
    chart = gateway_chart("istio-eastwestgateway", "istio-system", "networkGateway=network1")
    return [*chart, *objects_of(EXPOSED)]


WEB = frozenset({80, 443})
SITES = {
    "istio-ingress": Site("istio-ingress", WEB, lambda: gateway_chart("istio-ingress", "istio-ingress")),
    "istio-egress": Site("istio-egress", frozenset(), lambda: gateway_chart("istio-egress", "istio-egress")),
    "istio-eastwestgateway": Site("istio-system", frozenset({15443, 15012, 15017}), east_west),
    "gateway-api": Site(
        "shop",
        WEB,
        lambda: objects_of(DEPLOYED),
        "namespace: shop\ncomponents: [../../components/deny-all]\n",
    ),
}

OWN_GATEWAY = """
apiVersion: istio-netpol.io/v1
kind: Values
metadata:
  name: gateway.yaml
  annotations: {config.kubernetes.io/local-config: "true"}
gateway:
  podSelector: {matchLabels: {app: edge}}
  ingress:
  - ports: [{protocol: TCP, port: 8081}]
  - from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
    ports: [{protocol: TCP, port: 15020}, {protocol: TCP, port: 15090}]
"""
OWN_KUSTOMIZATION = """
namespace: edge
resources: [gateway.yaml]
components: [../../components/gateway, ../../components/gateway-clients, ../../components/deny-all]
"""


def own(tree: Path, name: str) -> Path:
    """A kustomization of the user's own for one gateway of the bundle."""
    folder = tree / "gateways" / f"own-{name}"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(f"resources: [../{name}]\n{SITES[name].kustomization}")
    return folder


@pytest.mark.parametrize("overlay", ["kind", "gardener", "openshift"])
@pytest.mark.parametrize("name", SHIPPED)
def test_a_gateway_gets_all_that_it_needs_and_nothing_else(tmp_path: Path, name: str, overlay: str) -> None:
    """Nothing is denied, nothing wider than its connections; beside an overlay that moves DNS, too."""
    tree, site = filled_tree(tmp_path), SITES[name]
    bundle = beside(tree, overlay, own(tree, name))
    cluster = [*minimal(), *site.running()]
    # Gardener's overlay names who calls istiod's webhook, and the page says that this gateway is to be added.
    told = bundle.complaints(cluster, warnings=True)
    is_to_be_added = (name, overlay) == ("istio-eastwestgateway", "gardener")
    assert [sentence for sentence in told if not (is_to_be_added and "istiod-vs: ingress" in sentence)] == []
    proof = bundle.proof(cluster)
    flows = [flow for flow in proof.flows if flow.flow.object.namespace == site.namespace]
    left = {flow.flow.port for flow in flows if flow.verdict.egress.isolated_by}
    entered = {flow.flow.port for flow in flows if flow.verdict.ingress.isolated_by}
    assert {bundle.settings.dns.port, 15012} <= left
    assert site.ports <= entered


@pytest.mark.parametrize("name", SHIPPED)
def test_every_rule_of_a_gateway_is_missed_when_it_is_taken_away(tmp_path: Path, name: str) -> None:
    """No rule, port or peer of its folder could be left out."""
    tree, site = filled_tree(tmp_path), SITES[name]
    plain = {policy.key for policy in policies(beside(tree, "kind").objects)}
    added = [
        policy
        for policy in policies(beside(tree, "kind", own(tree, name)).objects)
        if policy.key not in plain
    ]
    bundle = beside(tree, "kind", tree / "gateways" / f"own-{name}")
    assert bundle.unnoticed([*minimal(), *site.running()], added, warnings=True) == []


@pytest.mark.parametrize("name", ["istio-ingress", "istio-egress"])
def test_other_pods_of_a_gateway_s_own_namespace_are_denied(tmp_path: Path, name: str) -> None:
    """Whoever may create pods there gets no way out by it."""
    tree = filled_tree(tmp_path)
    stranger = deployment(f"{name}/debug")
    bundle = beside(tree, "kind", tree / "gateways" / name)
    snapshot = Snapshot.of([*minimal(), stranger, *bundle.objects])
    (istiod,) = snapshot.select_anywhere(Selector.of({"app": "istiod"}))
    assert not judge(snapshot, PodsPeer(stranger), PodsPeer(istiod), TCP, 15012).allowed


def test_a_gateway_of_one_s_own_is_a_folder_with_two_files(tmp_path: Path) -> None:
    """Any labels, namespace, ports and callers, and as many gateways as one likes."""
    tree = filled_tree(tmp_path)
    edge = tree / "gateways" / "edge"
    edge.mkdir()
    (edge / "gateway.yaml").write_text(OWN_GATEWAY)
    (edge / "kustomization.yaml").write_text(OWN_KUSTOMIZATION)
    bundle = beside(tree, "eks", edge, tree / "gateways" / "istio-ingress")
    ports = ("service.ports[0].name=http2", "service.ports[0].port=80", "service.ports[0].targetPort=8081")
    cluster = [
        *minimal(),
        *gateway_chart("edge", "edge", *ports),
        *gateway_chart("istio-ingress", "istio-ingress"),
        deployment("monitoring/prometheus"),
    ]
    settings = replace(bundle.settings, check_scrape=True, scrape_namespaces=("monitoring",))
    flows = replace(bundle, settings=settings).proof(cluster).flows
    of_edge = [flow for flow in flows if flow.flow.object.namespace == "edge"]
    assert {8081, 15020, 15090, 15012} <= {flow.flow.port for flow in of_edge}
    assert all(flow.verdict.allowed for flow in of_edge)


@pytest.mark.parametrize("name", ["istio-ingress", "istio-eastwestgateway"])
def test_health_checks_from_outside_the_node_have_a_component_of_their_own(tmp_path: Path, name: str) -> None:
    """It takes the gateway's labels from its folder, and opens the status port alone."""
    tree = filled_tree(tmp_path)
    folder = own(tree, name)
    checked = f"namespace: {SITES[name].namespace}\ncomponents: [../../components/gateway-health-checks]\n"
    plain = {policy.key for policy in policies(built(folder).objects)}
    (folder / "kustomization.yaml").write_text(f"resources: [../{name}]\n{checked}")
    (added,) = [policy for policy in policies(built(folder).objects) if policy.key not in plain]
    assert added.namespace == SITES[name].namespace
    assert added.pod_selector.match_labels == (("istio", name.removeprefix("istio-")),)
    assert [[port.port for port in rule.ports] for rule in added.ingress] == [[15021]]


@pytest.mark.parametrize("value", ["podSelector", "ingress"])
def test_a_gateway_without_its_value_fails_the_build(tmp_path: Path, value: str) -> None:
    """Nobody selects pods that are not there, or leaves out by mistake who may connect."""
    tree = filled_tree(tmp_path)
    file = tree / "gateways" / "istio-ingress" / "gateway.yaml"
    file.write_text(file.read_text().replace(f"  {value}:", f"  {value}s:"))
    result = kustomize_build(file.parent)
    assert result.returncode != 0
    assert f"`gateway.{value}` is missing" in result.stderr
