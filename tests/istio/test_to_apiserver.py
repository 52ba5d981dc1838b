"""The control plane works through the API server."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.istio.builders import endpoints, flows, istiod, labelled, told, view

from istio_netpol.istio.rules.to_apiserver import RULE
from istio_netpol.model.labels import Labels
from istio_netpol.model.services import EndpointSlice
from istio_netpol.model.settings import ApiServerSettings, Settings

ISTIOD = istiod()


def kubernetes(*addresses: str, port: int = 6443) -> EndpointSlice:
    found = endpoints("default/kubernetes", *addresses, port=port, name="https")
    return replace(found, ref=replace(found.ref, name="kubernetes"))


def test_other_slices_of_its_service_are_not_the_api_server() -> None:
    """Whoever writes in `default` may add one; the API server keeps its own under its own name."""
    forged = endpoints("default/kubernetes", "169.254.169.254", port=80, name="https")
    mesh = view(ISTIOD, kubernetes("172.18.0.2"), forged)
    assert told(RULE, ISTIOD, mesh) == [
        "to-apiserver: Deployment istio-system/istiod -> 172.18.0.2/32 TCP 6443"
    ]


def test_endpoint_of_the_api_server_counts() -> None:
    """Policies see the address after translation: the endpoint's, not 443 of the Service."""
    mesh = view(ISTIOD, kubernetes("172.18.0.2"))
    expected = ["to-apiserver: Deployment istio-system/istiod -> 172.18.0.2/32 TCP 6443"]
    assert told(RULE, ISTIOD, mesh) == expected


def test_all_endpoints_are_one_peer() -> None:
    """A client may be sent to any of them."""
    mesh = view(ISTIOD, kubernetes("172.18.0.2", "172.18.0.4", port=443))
    expected = ["to-apiserver: Deployment istio-system/istiod -> 172.18.0.2/32, 172.18.0.4/32 TCP 443"]
    assert told(RULE, ISTIOD, mesh) == expected


def test_settings_name_the_addresses() -> None:
    """The operator's word replaces the endpoints' addresses; their port stays."""
    settings = Settings(api_server=ApiServerSettings(addresses=("10.0.0.0/28",), port=8443))
    mesh = view(ISTIOD, kubernetes("172.18.0.2"), settings=settings)
    assert told(RULE, ISTIOD, mesh) == [
        "to-apiserver: Deployment istio-system/istiod -> 10.0.0.0/28 TCP 6443"
    ]
    alone = view(ISTIOD, settings=settings)
    assert told(RULE, ISTIOD, alone) == [
        "to-apiserver: Deployment istio-system/istiod -> 10.0.0.0/28 TCP 8443"
    ]


def test_unknown_api_server_is_anybody() -> None:
    """Without endpoints or settings nobody can be named."""
    expected = ["to-apiserver: Deployment istio-system/istiod -> the API server TCP 6443"]
    assert told(RULE, ISTIOD, view(ISTIOD)) == expected


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (
            {"app": "istiod"},
            "istiod reads Services, endpoints and the mesh's configuration from the API server",
        ),
        (
            {"k8s-app": "istio-cni-node"},
            "the Istio CNI agent looks up each new pod at the API server before it sets up its network",
        ),
        (
            {"app.kubernetes.io/name": "istio-operator"},
            "the Kyma Istio operator installs and watches Istio through the API server",
        ),
        (
            {"app.kubernetes.io/component": "istio-operator.kyma-project.io"},
            "the Kyma Istio operator installs and watches Istio through the API server",
        ),
        (
            {"app.kubernetes.io/name": "api-gateway-operator"},
            "the Kyma API Gateway operator turns APIRules into Istio objects through the API server",
        ),
    ],
)
def test_components_are_known_by_label(labels: Labels, reason: str) -> None:
    """istiod, the CNI agent and Kyma's operators."""
    pods = labelled("system/part", labels)
    assert [flow.reason for flow in flows(RULE, pods, view(pods))] == [reason]


@pytest.mark.parametrize("labels", [{"app": "web"}, {"app": "ztunnel"}, {"app.kubernetes.io/name": "web"}])
def test_other_pods_need_no_api_server(labels: Labels) -> None:
    """Proxies learn everything from istiod."""
    pods = labelled("system/part", labels)
    assert flows(RULE, pods, view(pods)) == []


def test_host_network_is_not_governed() -> None:
    """An agent in the host's network connects as the node."""
    agent = replace(labelled("istio-system/istio-cni-node", {"k8s-app": "istio-cni-node"}), host_network=True)
    assert flows(RULE, agent, view(agent)) == []
