"""What no NetworkPolicy can say to Cilium, and the components that say it by an entity."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.bundle.overlays import Built, objects_of
from tests.platforms.clusters import BY_NAME, Cluster

from istio_netpol.model.flows import FlowKind, PodsPeer, RequiredFlow

NAMESPACE = "io.kubernetes.pod.namespace"
OWN_MACHINES = Cluster("generic-cilium", "generic", "cilium", ("kyma", "cilium-api-server"))
LOCAL_DNS = Cluster("aks", "aks", "azure-cilium", ("kyma", "cilium-node-dns"), BY_NAME["aks"].dns_addresses)
KYMA = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: %(name)s, namespace: kyma-system}
spec:
  selector: {matchLabels: {app.kubernetes.io/name: %(name)s}}
  template:
    metadata: {labels: {app.kubernetes.io/name: %(name)s, sidecar.istio.io/inject: "false"}}
    spec: {containers: [{name: manager, image: manager}]}
"""


@pytest.fixture(params=[OWN_MACHINES, LOCAL_DNS], ids=["an API server on nodes", "DNS on the node"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """A cluster that needs one of the components."""
    found = request.param
    assert isinstance(found, Cluster)
    return found


def rules_of(bundle: Built) -> list[dict[str, Any]]:
    """The rules of the overlay's CiliumClusterwideNetworkPolicies."""
    documents = [document for document in yaml.safe_load_all(bundle.manifests) if document]
    policies = [document for document in documents if document["kind"] == "CiliumClusterwideNetworkPolicy"]
    return [rule for policy in policies for rule in policy.get("specs", [policy.get("spec")])]


def selects(rule: dict[str, Any], flow: RequiredFlow) -> bool:
    """Whether the rule's endpointSelector selects the flow's client (docs.cilium.io, "Endpoint Selector")."""
    assert isinstance(flow.source, PodsPeer)
    pods, selector = flow.source.workload, rule["endpointSelector"]
    labels = {**pods.labels, NAMESPACE: pods.namespace}
    wanted = selector.get("matchLabels", {}).items()
    matched = all(labels.get(key.removeprefix("k8s:")) == value for key, value in wanted)
    listed = selector.get("matchExpressions", [])
    return matched and all(
        labels.get(requirement["key"].removeprefix("k8s:")) in requirement["values"] for requirement in listed
    )


def opened(rule: dict[str, Any], flow: RequiredFlow) -> bool:
    """Whether the rule opens the flow's port to the entity behind which its destination is for Cilium."""
    entity = {FlowKind.TO_APISERVER: "kube-apiserver", FlowKind.DNS: "host"}[flow.kind]
    ports = [port for egress in rule["egress"] for part in egress["toPorts"] for port in part["ports"]]
    assert all(isinstance(port["port"], str) for port in ports)  # as the CRD has it
    entities = {entity for egress in rule["egress"] for entity in egress["toEntities"]}
    wanted = {"port": str(flow.port), "protocol": str(flow.protocol)}
    return entities == {entity} and wanted in ports


def flows_to_nodes(bundle: Built, cluster: Cluster) -> Iterator[RequiredFlow]:
    """Those for which Cilium knows the far end as a node."""
    operators = [KYMA % {"name": name} for name in ("istio-operator", "api-gateway-operator")]
    running = [*cluster.objects, *objects_of("---".join(operators))]
    kind = FlowKind.TO_APISERVER if "cilium-api-server" in cluster.components else FlowKind.DNS
    for judged in bundle.proof(running).flows:
        if judged.flow.kind is kind and not isinstance(judged.flow.destination, PodsPeer):
            yield judged.flow


def of_bundle(flow: RequiredFlow) -> bool:
    """Whether its client is in a namespace of the bundle: applications have policies of their own."""
    return flow.object.namespace in {"istio-system", "kyma-system", "istio-netpol"}


def test_a_component_opens_what_no_ip_block_can(cluster: Cluster, tmp_path: Path) -> None:
    """Each client of the bundle, on the very port; and each rule is for one of them."""
    bundle = cluster.bundle(tmp_path)
    flows = [flow for flow in flows_to_nodes(bundle, cluster) if of_bundle(flow)]
    rules = rules_of(bundle)
    assert flows
    for flow in flows:
        assert any(selects(rule, flow) and opened(rule, flow) for rule in rules), str(flow.source)
    for rule in rules:
        assert any(selects(rule, flow) and opened(rule, flow) for flow in flows), rule


def test_a_component_isolates_nobody(cluster: Cluster, tmp_path: Path) -> None:
    """A cluster-wide rule would isolate the pods of a namespace that the overlay leaves alone."""
    for rule in rules_of(cluster.bundle(tmp_path)):
        assert rule["enableDefaultDeny"] == {"egress": False}
        assert "ingress" not in rule


def test_applications_are_given_nothing(cluster: Cluster, tmp_path: Path) -> None:
    """Who runs an application decides what it reaches."""
    bundle = cluster.bundle(tmp_path)
    flows = [flow for flow in flows_to_nodes(bundle, cluster) if not of_bundle(flow)]
    assert not any(selects(rule, flow) for rule in rules_of(bundle) for flow in flows)
