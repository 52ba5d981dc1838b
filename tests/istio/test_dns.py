"""Proxies and the control plane resolve names."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from msgspec.structs import replace
from tests.istio.builders import coredns, flows, ingress_gateway, istiod, labelled, ref, told, view
from tests.values import host_daemon, namespace

from istio_netpol.istio.rules.dns import RULE
from istio_netpol.model.connections import Protocol
from istio_netpol.model.gateway_api import KubernetesGateway, Listener
from istio_netpol.model.labels import Labels
from istio_netpol.model.services import Service, ServicePort
from istio_netpol.model.settings import DnsSettings, Settings
from istio_netpol.model.workloads import ContainerPort

SHOP = namespace("shop", **{"istio-injection": "enabled"})
WEB = labelled("shop/web", {"app": "web"})


def dns(source: str, destination: str, port: int = 53) -> list[str]:
    return [f"dns: {source} -> {destination} {protocol} {port}" for protocol in ("TCP", "UDP")]


def test_sidecar_asks_dns_over_udp_and_tcp() -> None:
    """TCP carries answers that are too long for UDP."""
    mesh = view(SHOP, WEB, coredns())
    assert told(RULE, WEB, mesh) == dns("Deployment shop/web", "Deployment kube-system/coredns")


def test_flow_says_why_it_is_needed() -> None:
    """DNS serves every pod of the cluster."""
    flow = flows(RULE, WEB, view(SHOP, WEB, coredns()))[0]
    assert (flow.reason, flow.shared) == ("its sidecar finds istiod by name", True)


def test_pod_without_proxy_is_its_own_business() -> None:
    """What an app resolves is no need of the mesh."""
    assert told(RULE, WEB, view(WEB, coredns())) == []


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({"app": "istiod"}, "istiod resolves names by cluster DNS"),
        ({"k8s-app": "istio-cni-node"}, "istio-cni-node resolves names by cluster DNS"),
        (
            {"app.kubernetes.io/name": "istio-operator"},
            "the Kyma Istio operator resolves names by cluster DNS",
        ),
        (
            {"app.kubernetes.io/name": "api-gateway-operator"},
            "the Kyma API Gateway operator resolves names by cluster DNS",
        ),
        ({"app": "ztunnel"}, "ztunnel finds istiod by name"),
        ({"istio": "ingressgateway"}, "the gateway finds istiod by name"),
    ],
)
def test_control_plane_asks_dns(labels: Labels, reason: str) -> None:
    """Every part of the control plane, and every gateway, resolves names."""
    pods = labelled("istio-system/part", labels)
    assert {flow.reason for flow in flows(RULE, pods, view(pods, coredns()))} == {reason}


def test_host_network_uses_the_nodes_resolver() -> None:
    """The CNI agent may share the node's network, which no policy governs."""
    agent = replace(labelled("istio-system/istio-cni-node", {"k8s-app": "istio-cni-node"}), host_network=True)
    assert told(RULE, agent, view(agent, coredns())) == []


def test_target_port_counts() -> None:
    """CoreDNS listens on 8053 in Gardener, behind the Service's 53."""
    mesh = view(SHOP, WEB, coredns(8053))
    assert told(RULE, WEB, mesh) == dns("Deployment shop/web", "Deployment kube-system/coredns", 8053)


def test_named_target_ports_count() -> None:
    """UDP and TCP ports of the same number have names of their own."""
    ports = (ContainerPort(1053, "dns", Protocol.UDP), ContainerPort(1054, "dns-tcp"))
    pods = labelled("kube-system/coredns", {"k8s-app": "kube-dns"}, *ports)
    kube_dns = Service(
        ref("v1", "Service", "kube-system/kube-dns"),
        (ServicePort(53, "dns", "dns", Protocol.UDP), ServicePort(53, "dns-tcp", "dns-tcp")),
        {"k8s-app": "kube-dns"},
    )
    assert told(RULE, WEB, view(SHOP, WEB, pods, kube_dns)) == [
        "dns: Deployment shop/web -> Deployment kube-system/coredns TCP 1054",
        "dns: Deployment shop/web -> Deployment kube-system/coredns UDP 1053",
    ]


@pytest.mark.parametrize("name", ["coredns", "rke2-coredns-rke2-coredns"])
def test_distributions_name_the_service_their_way(name: str) -> None:
    """The Service in front of CoreDNS is not called kube-dns everywhere."""
    labels = {"k8s-app": "kube-dns", "app": "rke2"}
    ports = (ServicePort(53, 5353, "udp-53", Protocol.UDP), ServicePort(53, 5353, "tcp-53"))
    own = Service(ref("v1", "Service", f"kube-system/{name}"), ports, {"app": "rke2"})
    pods = labelled("kube-system/rke2-coredns", labels)
    mesh = view(SHOP, WEB, own, pods)
    assert told(RULE, WEB, mesh) == dns("Deployment shop/web", "Deployment kube-system/rke2-coredns", 5353)


def test_pods_without_the_service_are_found_by_label() -> None:
    """The label k8s-app=kube-dns is everywhere the same."""
    pods, _ = coredns()
    mesh = view(SHOP, WEB, pods)
    assert told(RULE, WEB, mesh) == dns("Deployment shop/web", "Deployment kube-system/coredns")


def test_service_without_pods_leaves_the_stand_in() -> None:
    """A Service alone does not say where DNS answers."""
    _, service = coredns()
    mesh = view(SHOP, WEB, service)
    assert told(RULE, WEB, mesh) == dns("Deployment shop/web", "Deployment kube-system/coredns (assumed)")
    assert list(map(str, mesh.assumptions)) == [
        "the input holds no cluster DNS: assumed cluster DNS in namespace kube-system with labels "
        "k8s-app=kube-dns, which nothing isolates"
    ]


def test_stand_in_follows_the_settings() -> None:
    """Where DNS is assumed, settings say how it looks."""
    settings = Settings(dns=DnsSettings(namespace="dns-system", labels={"app": "dns"}, port=8053))
    mesh = view(SHOP, WEB, settings=settings)
    assert told(RULE, WEB, mesh) == dns(
        "Deployment shop/web", "Deployment dns-system/coredns (assumed)", 8053
    )
    (assumption,) = mesh.assumptions
    assert "in namespace dns-system with labels app=dns" in assumption.what


def test_node_local_dns_is_asked_too() -> None:
    """It answers at a link-local address; plugins that go by identity want CoreDNS nevertheless."""
    daemon = host_daemon("kube-system/node-local-dns", **{"k8s-app": "node-local-dns"})
    expected = [
        *dns("Deployment shop/web", "169.254.20.10/32"),
        *dns("Deployment shop/web", "Deployment kube-system/coredns"),
    ]
    assert told(RULE, WEB, view(SHOP, WEB, coredns(), daemon)) == expected


def test_node_local_dns_says_where_it_answers() -> None:
    """In iptables mode pods go on asking the ClusterIP of kube-dns, which their own node answers."""
    daemon = replace(
        host_daemon("kube-system/nodelocaldns", **{"k8s-app": "nodelocaldns"}),
        node_local_addresses=(ip_address("169.254.25.10"), ip_address("10.96.0.10")),
    )
    expected = [
        *dns("Deployment shop/web", "10.96.0.10/32"),
        *dns("Deployment shop/web", "169.254.25.10/32"),
        *dns("Deployment shop/web", "Deployment kube-system/coredns"),
    ]
    assert told(RULE, WEB, view(SHOP, WEB, coredns(), daemon)) == sorted(expected)


def test_openshift_has_its_dns_elsewhere() -> None:
    """Its Service dns-default leads to pods of openshift-dns on 5353."""
    ports = (ContainerPort(5353, "dns", Protocol.UDP), ContainerPort(5353, "dns-tcp"))
    chosen = {"dns.operator.openshift.io/daemonset-dns": "default"}
    pods = labelled("openshift-dns/dns-default", chosen, *ports)
    front = Service(
        ref("v1", "Service", "openshift-dns/dns-default"),
        (ServicePort(53, "dns", "dns", Protocol.UDP), ServicePort(53, "dns-tcp", "dns-tcp")),
        chosen,
    )
    mesh = view(SHOP, WEB, pods, front)
    assert told(RULE, WEB, mesh) == dns("Deployment shop/web", "Deployment openshift-dns/dns-default", 5353)
    assert mesh.assumptions == ()


def test_settings_name_the_address_of_node_local_dns() -> None:
    """An input without kube-system can't tell that node-local-dns runs."""
    settings = Settings(dns=DnsSettings(node_local_address="169.254.25.10"))
    mesh = view(SHOP, WEB, coredns(), settings=settings)
    shared = {str(flow.destination): flow.shared for flow in flows(RULE, WEB, mesh)}
    assert shared == {"169.254.25.10/32": False, "Deployment kube-system/coredns": True}


def test_gateway_that_is_not_deployed_yet_will_ask_dns() -> None:
    """The pods that istiod will deploy are no subjects of their own yet."""
    public = KubernetesGateway(
        ref("gateway.networking.k8s.io/v1", "Gateway", "edge/public"),
        "istio",
        (Listener("http", 80, "HTTP"),),
    )
    mesh = view(public, istiod(), coredns())
    assert told(RULE, public, mesh) == dns("Deployment edge/public-istio", "Deployment kube-system/coredns")


def test_ingress_gateway_asks_dns() -> None:
    """The classic gateway has a proxy of its own."""
    pods = ingress_gateway()
    assert len(told(RULE, pods, view(pods, coredns()))) == 2


# By platform

CORE = "Deployment kube-system/coredns"
CACHE = labelled("kube-system/node-local-dns", {"k8s-app": "node-local-dns"})


def asked(*objects: object, settings: DnsSettings | None = None) -> list[str]:
    """Whom the sidecar asks, as `destination port`, over UDP and TCP alike."""
    found = flows(RULE, WEB, view(SHOP, WEB, *objects, settings=Settings(dns=settings or DnsSettings())))
    by_protocol = {
        protocol: sorted(f"{flow.destination} {flow.port}" for flow in found if flow.protocol is protocol)
        for protocol in (Protocol.UDP, Protocol.TCP)
    }
    assert by_protocol[Protocol.UDP] == by_protocol[Protocol.TCP]
    return by_protocol[Protocol.UDP]


def test_node_local_dns_in_pods_is_asked() -> None:
    """Cilium redirects there what pods send to the Service; no link-local address is needed then."""
    assert asked(coredns(8053), CACHE) == [f"{CORE} 8053", "Deployment kube-system/node-local-dns 53"]


def test_node_local_dns_in_pods_may_listen_elsewhere() -> None:
    """The ports that its containers call so are the ones; metrics over TCP are not."""
    ports = (
        ContainerPort(1053, "dns", Protocol.UDP),
        ContainerPort(9253, "metrics"),
        ContainerPort(1053, "dns-tcp"),
    )
    assert asked(coredns(), replace(CACHE, ports=ports)) == [
        f"{CORE} 53",
        "Deployment kube-system/node-local-dns 1053",
    ]


def test_node_local_dns_of_a_tenant_is_not_asked() -> None:
    """Its label in another namespace means nothing."""
    tenant = labelled("team-a/node-local-dns", {"k8s-app": "node-local-dns"})
    assert asked(coredns(), tenant) == [f"{CORE} 53"]


def test_node_local_dns_in_the_hosts_network_may_answer_at_the_services_address() -> None:
    """Where its arguments are not known, kube-proxy may be in iptables mode, in which it does."""
    core, front = coredns()
    cache = host_daemon("kube-system/node-local-dns", **{"k8s-app": "node-local-dns"})
    assert asked(core, replace(front, cluster_ips=("10.96.0.10",)), cache) == [
        "10.96.0.10/32 53",
        "169.254.20.10/32 53",
        f"{CORE} 53",
    ]


def test_node_local_dns_that_says_where_it_answers_is_believed() -> None:
    """In IPVS mode the Service's address is not among its own."""
    core, front = coredns()
    cache = replace(
        host_daemon("kube-system/node-local-dns", **{"k8s-app": "node-local-dns"}),
        node_local_addresses=(ip_address("169.254.20.10"),),
    )
    assert asked(core, replace(front, cluster_ips=("10.96.0.10",)), cache) == [
        "169.254.20.10/32 53",
        f"{CORE} 53",
    ]


def test_settings_add_addresses() -> None:
    """Cloud DNS and LocalDNS are no pods, and show in no object."""
    settings = DnsSettings(addresses=("169.254.169.254", "169.254.10.10", "fd00::a"))
    assert asked(coredns(), settings=settings) == [
        "169.254.10.10/32 53",
        "169.254.169.254/32 53",
        f"{CORE} 53",
        "fd00::a/128 53",
    ]


def test_where_nodes_answer_no_pods_are_assumed() -> None:
    """EKS Auto Mode runs DNS as a service of the node."""
    settings = DnsSettings(pods=False, addresses=("172.20.0.10",))
    assert asked(settings=settings) == ["172.20.0.10/32 53"]
    assert asked(coredns()[1], settings=settings) == ["172.20.0.10/32 53"]


def test_pods_that_are_there_count_whatever_settings_say() -> None:
    """A cluster may have nodes of both kinds."""
    settings = DnsSettings(pods=False, addresses=("172.20.0.10",))
    assert asked(coredns(), settings=settings) == ["172.20.0.10/32 53", f"{CORE} 53"]


def test_flows_say_which_service_is_dialled() -> None:
    """A plugin that judges before translation sees its address."""
    core, front = coredns()
    found = flows(RULE, WEB, view(SHOP, WEB, core, front))
    assert [flow.via.service for flow in found] == [front, front]


def test_flows_say_what_answers_besides() -> None:
    """An address alone would not tell."""
    settings = Settings(dns=DnsSettings(node_local_address="169.254.20.10", addresses=("169.254.10.10",)))
    found = flows(RULE, WEB, view(SHOP, WEB, coredns(), CACHE, settings=settings))
    assert {str(flow.destination): flow.reason for flow in found} == {
        CORE: "its sidecar finds istiod by name",
        "Deployment kube-system/node-local-dns": "its sidecar finds istiod by name; node-local-dns answers "
        "what pods send to cluster DNS",
        "169.254.20.10/32": "its sidecar finds istiod by name; node-local-dns answers there",
        "169.254.10.10/32": "its sidecar finds istiod by name; setting dns.addresses names it",
    }
