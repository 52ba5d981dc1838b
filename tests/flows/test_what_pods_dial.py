"""What the controller keeps follows what pods of the cluster dial, and who calls them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.flows.current import Current
from tests.istio.builders import coredns, endpoints, istiod, labelled
from tests.values import deny_all, namespace

from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.services import EndpointSlice
from istio_netpol.model.settings import HostSettings, Settings
from istio_netpol.model.workloads import DialledApiServer, Workload
from istio_netpol.platforms.environments import GARDENER_OPT_OUT

KNOWN = {"api.one.example.com": ("203.0.113.1",), "api.two.example.com": ("203.0.113.2",)}
SETTINGS = Settings(hosts=HostSettings(known_addresses=KNOWN))
ISTIOD = istiod()
DENY = deny_all("istio-system")


def endpoint(address: str) -> EndpointSlice:
    found = endpoints("default/kubernetes", address, port=443, name="https")
    return replace(found, ref=replace(found.ref, name="kubernetes"))


def told(host: str, key: str = "kube-system/metrics-server") -> Workload:
    dialled = (DialledApiServer(host, 443),)
    pods = labelled(key, {"app": key.rpartition("/")[2]})
    return replace(pods, api_servers=dialled, injected_api_servers=dialled)


@pytest.fixture
def cluster() -> Current:
    return Current(SETTINGS, [ISTIOD, *coredns(), DENY, endpoint("240.0.0.1")])


def opened(cluster: Current, flow: str = "to-apiserver") -> set[str]:
    """The peers that the policies name which the cluster needs, once it is as if made anew."""
    cluster.compare()
    policies = (policy for policy in cluster.needed() if policy.labels["istio-netpol.io/flow"] == flow)
    return {_text(peer) for policy in policies for peer in _peers(policy)}


def _peers(policy: NetworkPolicy) -> list[Any]:
    return [peer for rule in (*policy.ingress, *policy.egress) for peer in rule.peers or (None,)]


def _text(peer: Any) -> str:
    if peer is None:
        return "anywhere"
    return peer.ip_block.cidr if peer.ip_block else str(dict(peer.pod_selector.match_labels))


def test_the_endpoint_of_the_api_server_is_followed(cluster: Current) -> None:
    assert opened(cluster) == {"240.0.0.1/32"}
    cluster.put(endpoint("240.0.0.2"))
    assert opened(cluster) == {"240.0.0.2/32"}


def test_a_variable_that_appears_in_pods_is_followed(cluster: Current) -> None:
    """It changes, and it goes with the last pod that has it."""
    cluster.put(told("api.one.example.com"))
    assert opened(cluster) == {"240.0.0.1/32", "203.0.113.1/32"}
    cluster.put(told("api.two.example.com"))
    assert opened(cluster) == {"240.0.0.1/32", "203.0.113.2/32"}
    cluster.remove(told("api.two.example.com"))
    assert opened(cluster) == {"240.0.0.1/32"}


def test_pods_of_a_tenant_change_nothing(cluster: Current) -> None:
    cluster.put(told("api.one.example.com", "team-a/web"))
    assert opened(cluster) == {"240.0.0.1/32"}


def test_opting_out_is_followed(cluster: Current) -> None:
    cluster.put(told("api.one.example.com"))
    cluster.put(namespace("istio-system", **dict([GARDENER_OPT_OUT])))
    assert opened(cluster) == {"240.0.0.1/32"}


def test_the_ends_of_a_tunnel_are_followed(cluster: Current) -> None:
    """Before they are there, anybody may be the caller."""
    assert opened(cluster, "webhook-from-apiserver") == {"anywhere"}
    tunnel = labelled("kube-system/vpn-shoot", {"app": "vpn-shoot"})
    cluster.put(tunnel)
    assert opened(cluster, "webhook-from-apiserver") == {"{'app': 'vpn-shoot'}"}
    cluster.remove(tunnel)
    assert opened(cluster, "webhook-from-apiserver") == {"anywhere"}


def test_caches_of_dns_are_followed(cluster: Current) -> None:
    cluster.put(labelled("kube-system/node-local-dns", {"k8s-app": "node-local-dns"}))
    assert opened(cluster, "dns") == {"{'k8s-app': 'kube-dns'}", "{'k8s-app': 'node-local-dns'}"}
