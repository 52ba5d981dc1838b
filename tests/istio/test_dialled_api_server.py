"""What pods dial for the API server: by plugin, by their own variables, by those of others, by settings."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from msgspec.structs import replace
from tests.istio.builders import endpoints, flows, istiod, labelled, ref, service, told, view
from tests.values import host_daemon, namespace

from istio_netpol.istio.rules import declared_calls
from istio_netpol.istio.rules.to_apiserver import RULE
from istio_netpol.model.services import EndpointSlice, Service, ServicePort
from istio_netpol.model.settings import ApiServerSettings, NetworkSettings, Settings, Translation
from istio_netpol.model.workloads import DialledApiServer, Workload
from istio_netpol.platforms.environments import AKS_HOST_ANNOTATION

ISTIOD = istiod()
HOST = "api.shoot.example.com"
OPT_OUT = {"apiserver-proxy.networking.gardener.cloud/inject": "disable"}
TO_ENDPOINT = "to-apiserver: Deployment istio-system/istiod -> 240.1.2.3/32 TCP 443"
TO_HOST = f"to-apiserver: Deployment istio-system/istiod -> {HOST} TCP 443"


def endpoint(*addresses: str, port: int = 443) -> EndpointSlice:
    found = endpoints("default/kubernetes", *(addresses or ("240.1.2.3",)), port=port, name="https")
    return replace(found, ref=replace(found.ref, name="kubernetes"))


def kubernetes(*addresses: str, port: int = 443) -> Service:
    ports = (ServicePort(port, 443, "https"),)
    return Service(ref("v1", "Service", "default/kubernetes"), ports, cluster_ips=addresses)


def dialling(
    key: str, *hosts: str, port: int = 443, of_these_pods: bool = False, **more: Mapping[str, str]
) -> Workload:
    """Running pods that are told to dial these hosts."""
    dialled = tuple(DialledApiServer(host, port, of_these_pods) for host in hosts)
    pods = labelled(key, more.get("labels", {"app": key.rpartition("/")[2]}))
    return replace(pods, api_servers=dialled, injected_api_servers=dialled, exists=True)


# Judged before translation


@pytest.mark.parametrize(
    "network", [NetworkSettings(plugin="aws-vpc-cni"), NetworkSettings(judges=Translation.BEFORE)]
)
def test_a_plugin_that_judges_before_translation_sees_the_service(network: NetworkSettings) -> None:
    """The endpoints change with each upgrade and are never seen; the Service's own port counts."""
    mesh = view(ISTIOD, kubernetes("172.20.0.1", "fd00::1"), endpoint("10.0.7.7"), settings=Settings(network))
    assert told(RULE, ISTIOD, mesh) == [
        "to-apiserver: Deployment istio-system/istiod -> 172.20.0.1/32 TCP 443"
    ]
    (flow,) = flows(RULE, ISTIOD, mesh)
    assert flow.reason.endswith("policies see the address of Service default/kubernetes, which is dialled")
    assert flow.via.service is not None


def test_settings_name_the_service_where_the_input_has_none() -> None:
    """The one that is there counts more."""
    settings = Settings(
        NetworkSettings(plugin="aws-vpc-cni"), api_server=ApiServerSettings(service_address="10.100.0.1")
    )
    assert told(RULE, ISTIOD, view(ISTIOD, endpoint("10.0.7.7"), settings=settings)) == [
        "to-apiserver: Deployment istio-system/istiod -> 10.100.0.1/32 TCP 443"
    ]
    mesh = view(ISTIOD, kubernetes("172.20.0.1"), settings=settings)
    assert told(RULE, ISTIOD, mesh) == [
        "to-apiserver: Deployment istio-system/istiod -> 172.20.0.1/32 TCP 443"
    ]


def test_an_unknown_service_is_anybody_on_its_port() -> None:
    """Not on the endpoints' port, which no policy sees."""
    mesh = view(ISTIOD, endpoint("10.0.7.7", port=6443), settings=Settings(NetworkSettings("aws-vpc-cni")))
    assert told(RULE, ISTIOD, mesh) == [
        "to-apiserver: Deployment istio-system/istiod -> the API server's Service TCP 443"
    ]


# Told by variables


def test_pods_that_are_told_a_host_dial_it() -> None:
    """Beside the Service's endpoint, as some pods may have missed the variable."""
    told_so = dialling("istio-system/istiod", HOST, labels=ISTIOD.labels)
    mesh = view(told_so, endpoint())
    assert told(RULE, told_so, mesh) == [TO_ENDPOINT, TO_HOST]
    reasons = {flow.port: flow.reason for flow in flows(RULE, told_so, mesh) if HOST in str(flow.destination)}
    assert reasons[443].endswith(f"; its pods dial {HOST}:443 (KUBERNETES_SERVICE_HOST of their containers)")


@pytest.mark.parametrize("place", ["kube-system", "istio-system", "kyma-system"])
def test_pods_of_administrators_tell_it_of_others(place: str) -> None:
    """A Deployment does not show what its pods will be given."""
    mesh = view(ISTIOD, endpoint(), dialling(f"{place}/coredns", HOST))
    assert told(RULE, ISTIOD, mesh) == [TO_ENDPOINT, TO_HOST]
    (flow,) = (flow for flow in flows(RULE, ISTIOD, mesh) if str(flow.destination) == HOST)
    assert flow.reason.endswith(
        f"; its pods dial {HOST}:443 (KUBERNETES_SERVICE_HOST of Deployment {place}/coredns)"
    )
    assert flow.via.administered


def test_pods_of_a_tenant_tell_nothing_of_others() -> None:
    """Else a tenant would open istiod's egress to any host."""
    mesh = view(ISTIOD, endpoint(), dialling("team-a/web", "evil.example.com"))
    assert told(RULE, ISTIOD, mesh) == [TO_ENDPOINT]


def test_a_template_tells_it_of_its_own_pods_alone() -> None:
    """Who writes a variable into a Deployment means this Deployment."""
    template = replace(dialling("kube-system/calico-kube-controllers", HOST), injected_api_servers=())
    assert told(RULE, ISTIOD, view(ISTIOD, endpoint(), template)) == [TO_ENDPOINT]
    own = replace(ISTIOD, api_servers=(DialledApiServer(HOST, 443),))
    assert told(RULE, own, view(own, endpoint())) == [TO_ENDPOINT, TO_HOST]


def test_pods_in_the_hosts_network_tell_nothing() -> None:
    """Cilium and kube-proxy are told by their installers what to dial before there are Services."""
    dialled = (DialledApiServer("k8s.internal.example.com", 6443),)
    agent = replace(host_daemon("kube-system/cilium"), api_servers=dialled, injected_api_servers=dialled)
    assert told(RULE, ISTIOD, view(ISTIOD, endpoint(), agent)) == [TO_ENDPOINT]


def test_who_opts_out_dials_the_service() -> None:
    """Gardener's label counts on the pods and on their namespace."""
    seen = dialling("kube-system/coredns", HOST)
    pods = replace(ISTIOD, labels={**ISTIOD.labels, **OPT_OUT})
    assert told(RULE, pods, view(pods, endpoint(), seen)) == [TO_ENDPOINT]
    mesh = view(namespace("istio-system", **OPT_OUT), ISTIOD, endpoint(), seen)
    assert told(RULE, ISTIOD, mesh) == [TO_ENDPOINT]


def test_what_aks_sets_is_for_the_pods_that_ask_for_it() -> None:
    """It sets the variables in kube-system and in pods with its annotation, nowhere else."""
    seen = dialling("kube-system/coredns", "c-1.hcp.eastus.azmk8s.io", of_these_pods=True)
    assert told(RULE, ISTIOD, view(ISTIOD, endpoint(), seen)) == [TO_ENDPOINT]
    asking = replace(ISTIOD, annotations={AKS_HOST_ANNOTATION: "true"})
    assert told(RULE, asking, view(asking, endpoint(), seen)) == [
        TO_ENDPOINT,
        "to-apiserver: Deployment istio-system/istiod -> c-1.hcp.eastus.azmk8s.io TCP 443",
    ]


def test_settings_tell_it_where_no_pod_does() -> None:
    """In a repository there are no pods."""
    settings = Settings(api_server=ApiServerSettings(host="api.other.example.com", host_port=8443))
    assert told(RULE, ISTIOD, view(ISTIOD, endpoint(), settings=settings)) == [
        TO_ENDPOINT,
        "to-apiserver: Deployment istio-system/istiod -> api.other.example.com TCP 8443",
    ]
    mesh = view(ISTIOD, endpoint(), dialling("kube-system/coredns", HOST), settings=settings)
    assert told(RULE, ISTIOD, mesh) == [TO_ENDPOINT, TO_HOST]


@pytest.mark.parametrize(
    "host",
    ["100.64.0.1", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "kubernetes.default"],
)
def test_other_names_of_the_service_are_the_service(host: str) -> None:
    """They become its endpoints, as its address does."""
    pods = dialling("istio-system/istiod", host, labels=ISTIOD.labels)
    assert told(RULE, pods, view(pods, kubernetes("100.64.0.1"), endpoint())) == [TO_ENDPOINT]


def test_an_address_may_be_dialled_too() -> None:
    """A load balancer of one's own machines, by IPv4 and IPv6, on its own port."""
    pods = dialling("istio-system/istiod", "192.0.2.10", "2001:db8::10", port=6443, labels=ISTIOD.labels)
    assert told(RULE, pods, view(pods, endpoint())) == [
        "to-apiserver: Deployment istio-system/istiod -> 192.0.2.10/32 TCP 6443",
        "to-apiserver: Deployment istio-system/istiod -> 2001:db8::10/128 TCP 6443",
        TO_ENDPOINT,
    ]


def test_a_service_in_the_cluster_is_the_pods_behind_it() -> None:
    """A proxy in front of the API server, by the name of its Service."""
    proxy = labelled("kube-system/api-proxy", {"app": "api-proxy"})
    front = service("kube-system/api-proxy", ServicePort(443, 8443))
    pods = dialling("istio-system/istiod", "api-proxy.kube-system.svc", labels=ISTIOD.labels)
    assert told(RULE, pods, view(pods, proxy, front, endpoint())) == [
        TO_ENDPOINT,
        "to-apiserver: Deployment istio-system/istiod -> Deployment kube-system/api-proxy TCP 8443",
    ]


def test_declared_calls_dial_the_same() -> None:
    """`calls: apiserver` means what the pods dial, whoever declares it."""
    client = replace(labelled("shop/cart", {"app": "cart"}), calls="apiserver")
    mesh = view(client, endpoint(), dialling("kube-system/coredns", HOST))
    assert told(declared_calls.RULE, client, mesh) == [
        "to-apiserver: Deployment shop/cart -> 240.1.2.3/32 TCP 443",
        f"to-apiserver: Deployment shop/cart -> {HOST} TCP 443",
    ]


def test_a_tenant_chooses_nothing_as_an_administrator() -> None:
    """Its own variable is its own word, unless administrators' pods say the same."""
    client = replace(dialling("shop/cart", "169.254.169.254", HOST), calls="apiserver")
    mesh = view(client, endpoint(), dialling("kube-system/coredns", HOST))
    found = flows(declared_calls.RULE, client, mesh)
    assert {str(flow.destination): flow.via.administered for flow in found} == {
        "240.1.2.3/32": True,
        HOST: True,
        "169.254.169.254/32": False,
    }
