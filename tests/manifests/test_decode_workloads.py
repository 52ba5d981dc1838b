"""Pods and their controllers: what containers dial for the API server, the ports of their probes, and where
an annotation has their proxies send spans."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.load import load
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.workloads import DialledApiServer, Workload
from istio_netpol.platforms.environments import AKS_HOST_ANNOTATION

Variables = dict[str, object]


def workload(*containers: Variables, kind: str = "Pod", **metadata: object) -> Workload:
    """A pod or Deployment whose containers have these variables; the last one is an init container."""
    named = [
        {"name": f"c{at}", "env": [{"name": name, "value": value} for name, value in variables.items()]}
        for at, variables in enumerate(containers)
    ]
    template = {"metadata": metadata, "spec": {"containers": named}}
    manifest = {"apiVersion": "v1", "kind": "Pod", **template}
    if kind == "Deployment":
        selector = {"matchLabels": {"app": "a"}}
        manifest = {
            "apiVersion": "apps/v1",
            "kind": kind,
            "spec": {"selector": selector, "template": {**template, "metadata": {"labels": {"app": "a"}}}},
        }
    manifest["metadata"] = {"name": "a", "namespace": "shop", **metadata}
    loaded = load(read_documents(yaml.safe_dump(manifest).encode(), "a.yaml"), "default")
    (found,) = (resource for resource in loaded.objects if isinstance(resource, Workload))
    return found


HOST, PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"


@pytest.mark.parametrize(
    ("variables", "host", "port"),
    [
        ({HOST: "api.example.com"}, "api.example.com", 443),
        ({HOST: "API.Example.com."}, "api.example.com", 443),
        ({HOST: "api.example.com", PORT: "6443"}, "api.example.com", 6443),
        ({HOST: "10.0.0.1", PORT: "443"}, "10.0.0.1", 443),
        ({HOST: "2001:DB8::1"}, "2001:db8::1", 443),
        ({HOST: "[2001:db8::1]"}, "2001:db8::1", 443),
    ],
)
def test_the_variables_are_read(variables: Variables, host: str, port: int) -> None:
    """A name or an address, with 443 for a port that is not told."""
    found = workload(variables)
    assert found.api_servers == found.injected_api_servers == (DialledApiServer(host, port),)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {PORT: "6443"},
        {HOST: ""},
        {HOST: "https://api.example.com"},
        {HOST: "*.example.com"},
        {HOST: "api.example.com", PORT: "many"},
        {HOST: "api.example.com", PORT: "0"},
        {HOST: "api.example.com", PORT: "70000"},
        {HOST: "10.0.0.300"},
        {HOST: "fe80::1%eth0"},
        {HOST: "a" * 5000},
        {HOST: "$(HOST)"},
        {HOST: "127.0.0.1", PORT: "7445"},
        {HOST: "::1"},
        {HOST: "localhost", PORT: "7445"},
    ],
)
def test_what_is_not_told_or_not_usable_or_in_the_pod_is_nothing(variables: Variables) -> None:
    """No policy sees packets within the pod, and what nobody can dial needs no policy."""
    assert workload(variables).api_servers == ()


def test_containers_may_differ() -> None:
    """Each of them connects for itself; the same twice is one."""
    found = workload({HOST: "b.example.com"}, {HOST: "a.example.com"}, {HOST: "b.example.com"}, {})
    assert [dialled.host for dialled in found.api_servers] == ["a.example.com", "b.example.com"]


def test_a_template_is_told_apart_from_what_pods_are_given() -> None:
    """Who writes a Deployment chooses for its pods alone."""
    found = workload({HOST: "api.example.com"}, kind="Deployment")
    assert (len(found.api_servers), found.injected_api_servers) == (1, ())


@pytest.mark.parametrize(
    ("variables", "annotations"),
    [
        ({HOST: "api.example.com"}, {AKS_HOST_ANNOTATION: "true"}),
        ({HOST: "api.example.com", "KUBERNETES_PORT_443_TCP_ADDR": "api.example.com"}, {}),
        ({HOST: "c-1.hcp.eastus.azmk8s.io"}, {}),
    ],
)
def test_what_aks_sets_is_known(variables: Variables, annotations: dict[str, str]) -> None:
    """By the pods' annotation, by the other variables that it sets, by its domain."""
    (dialled,) = workload(variables, annotations=annotations).api_servers
    assert dialled.of_these_pods


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


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("tracing:\n  zipkin:\n    address: zipkin.observe:9411\n", "zipkin.observe:9411"),
        ("{tracing: {open_census_agent: {address: 'oc:55678'}}}", "oc:55678"),
        ('{"tracing": {"datadog": {"address": "$(HOST_IP):8126"}}}', "$(HOST_IP):8126"),
        ("tracing: {lightstep: {address: 'a:1', access_token: x}}", "a:1"),
        ("tracing: {sampling: 10}", ""),
        ("discoveryAddress: istiod:15012", ""),
        ("tracing: {zipkin: {address: 5}}", ""),
        ("tracing: [", ""),
        ("[tracing]", ""),
        ("", ""),
    ],
)
def test_a_tracing_address_is_read_from_the_annotation(written: str, address: str) -> None:
    """Of whatever backend; what can't be read counts as absent, and no object is lost for it."""
    template = {"metadata": {"annotations": {"proxy.istio.io/config": written}}, "spec": {"containers": []}}
    content = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "cart", "namespace": "shop"},
        "spec": {"template": template},
    }
    (found,), problems = decode(RawObject(content, "cart.yaml", 1))
    assert (found.tracing_address, problems) == (address, [])
