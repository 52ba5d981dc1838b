"""What containers are told to dial for the API server, as the decoder reads it."""

from __future__ import annotations

import pytest
import yaml

from istio_netpol.manifests.load import load
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
