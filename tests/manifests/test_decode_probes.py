"""To which ports of a pod the kubelet connects, and where node-local-dns answers."""

from __future__ import annotations

from typing import Any

import pytest

from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.workloads import Workload


def pod(spec: str) -> Workload:
    """The bare pod with this spec in YAML flow style, read as from a file."""
    text = f"{{apiVersion: v1, kind: Pod, metadata: {{name: cart, namespace: shop}}, spec: {spec}}}"
    loaded = load(read_documents(text.encode(), "pod.yaml"), "default")
    assert not loaded.problems
    (found,) = loaded.objects
    assert isinstance(found, Workload)
    return found


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ("{name: a, readinessProbe: {httpGet: {port: 8080}}}", (8080,)),
        ("{name: a, livenessProbe: {tcpSocket: {port: 9000}}, startupProbe: {grpc: {port: 80}}}", (80, 9000)),
        ("{name: a, ports: [{containerPort: 81, name: up}], readinessProbe: {httpGet: {port: up}}}", (81,)),
        ("{name: a, readinessProbe: {httpGet: {port: gone}}}", ()),
        ("{name: a, readinessProbe: {httpGet: {port: 80, host: 192.0.2.1}}}", ()),
        ("{name: a, readinessProbe: {exec: {command: [ls]}}}", ()),
        ("{name: a, ports: [{containerPort: 8080}]}", ()),
    ],
)
def test_ports_of_probes(container: str, expected: tuple[int, ...]) -> None:
    """Probes that connect, by number or name, and no others."""
    assert pod(f"{{containers: [{container}]}}").probe_ports == expected


def test_native_sidecars_are_probed_too() -> None:
    """Init containers that end are not."""
    init = (
        "{name: s, restartPolicy: Always, readinessProbe: {httpGet: {port: 15021}}}, "
        "{name: i, readinessProbe: {httpGet: {port: 1}}}"
    )
    assert pod(f"{{containers: [], initContainers: [{init}]}}").probe_ports == (15021,)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (
            '["-localip", "169.254.20.10,10.96.0.10", "-conf", "/etc/Corefile"]',
            ["169.254.20.10", "10.96.0.10"],
        ),
        ('["--localip=169.254.25.10"]', ["169.254.25.10"]),
        ('["-localip", "__PILLAR__LOCAL__DNS__,10.96.0.10"]', ["10.96.0.10"]),
        ('["-localip"]', []),
        ('["-conf", "/etc/Corefile"]', []),
    ],
)
def test_addresses_of_node_local_dns(args: str, expected: list[Any]) -> None:
    """What it binds on the node; placeholders of a template are not known."""
    found = pod(f"{{hostNetwork: true, containers: [{{name: node-cache, args: {args}}}]}}")
    assert [str(address) for address in found.node_local_addresses] == expected


def test_pods_of_the_pod_network_have_no_node_local_addresses() -> None:
    """Only a pod in the host's network can bind addresses of the node."""
    args = '["-localip", "169.254.20.10"]'
    assert pod(f"{{containers: [{{name: node-cache, args: {args}}}]}}").node_local_addresses == ()


def test_switches_of_istiod_are_read() -> None:
    """Only those written out, and no other variables."""
    env = (
        "{name: PILOT_SCOPE_GATEWAY_TO_NAMESPACE, value: 'true'}, {name: HOME, value: x}, "
        "{name: PILOT_CERT_PROVIDER, valueFrom: {fieldRef: {fieldPath: metadata.name}}}"
    )
    assert pod(f"{{containers: [{{name: discovery, env: [{env}]}}]}}").switches == {
        "PILOT_SCOPE_GATEWAY_TO_NAMESPACE": "true"
    }
