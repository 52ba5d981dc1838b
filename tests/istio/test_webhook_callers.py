"""Out of which pods the API server calls webhooks."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from msgspec.structs import replace
from tests.istio.builders import flows, istiod, labelled, told, view
from tests.values import block, namespace, namespaces, policy, port, rule

from istio_netpol.istio.rules.webhook_from_apiserver import RULE
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.labels import Labels, Selector
from istio_netpol.model.policies import PolicyPeer
from istio_netpol.model.settings import ApiServerSettings, CallerSettings, Settings
from istio_netpol.netpol.evaluate import judge
from istio_netpol.state.snapshot import Snapshot

ISTIOD = istiod()
SHOOT = namespace("kube-system", **{"gardener.cloud/purpose": "kube-system"})
VPN = labelled("kube-system/vpn-shoot", {"app": "vpn-shoot", "type": "tunnel"})
AGENTS = Selector.of({"app": "konnectivity-agent"})
AGENT_OF_AKS = replace(
    labelled("kube-system/konnectivity-agent", {"app": "konnectivity-agent"}),
    addresses=(ip_address("10.244.1.9"),),
    node_addresses=(ip_address("10.224.0.4"),),
)
FROM_ANYWHERE = "webhook-from-apiserver: the API server -> Deployment istio-system/istiod TCP 15017"


def from_pods(name: str) -> str:
    return f"webhook-from-apiserver: Deployment {name} -> Deployment istio-system/istiod TCP 15017"


def test_gardener_calls_through_its_vpn() -> None:
    """The pods at the end of the tunnel are the source that policies see."""
    mesh = view(SHOOT, VPN, ISTIOD)
    assert told(RULE, ISTIOD, mesh) == [from_pods("kube-system/vpn-shoot")]
    (flow,) = flows(RULE, ISTIOD, mesh)
    assert flow.reason.endswith("through the pods of Deployment kube-system/vpn-shoot")


def test_a_namespace_that_the_input_lacks_is_not_held_against_them() -> None:
    """Its labels are not known."""
    assert told(RULE, ISTIOD, view(VPN, ISTIOD)) == [from_pods("kube-system/vpn-shoot")]


def test_each_end_of_a_tunnel_may_call() -> None:
    """A control plane of high availability has several."""
    second = replace(VPN, ref=replace(VPN.ref, name="vpn-shoot-1"))
    assert told(RULE, ISTIOD, view(SHOOT, VPN, second, ISTIOD)) == [
        from_pods("kube-system/vpn-shoot"),
        from_pods("kube-system/vpn-shoot-1"),
    ]


@pytest.mark.parametrize(
    ("key", "labels", "place"),
    [
        ("kube-system/vpn-shoot", {"app": "vpn-shoot"}, {"purpose": "other"}),
        ("team-a/vpn-shoot", {"app": "vpn-shoot"}, {"gardener.cloud/purpose": "kube-system"}),
        ("istio-system/agent", {"k8s-app": "konnectivity-agent"}, {}),
        ("team-a/agent", {"k8s-app": "konnectivity-agent"}, {}),
        ("kube-system/vpn", {"app": "vpn"}, {"gardener.cloud/purpose": "kube-system"}),
    ],
)
def test_other_pods_are_not_believed(key: str, labels: Labels, place: Labels) -> None:
    """A tenant's pods may carry any label: only those of kube-system count, where it has its mark."""
    home = namespace(key.partition("/")[0], **place)
    assert told(RULE, ISTIOD, view(home, labelled(key, labels), ISTIOD)) == [FROM_ANYWHERE]


def test_konnectivity_of_google_calls_through_its_agents() -> None:
    """They are pods of their own addresses."""
    agent = labelled("kube-system/konnectivity-agent", {"k8s-app": "konnectivity-agent"})
    assert told(RULE, ISTIOD, view(agent, ISTIOD)) == [from_pods("kube-system/konnectivity-agent")]


def test_konnectivity_of_azure_is_as_good_as_anywhere() -> None:
    """With kubenet its packets are said to have a node's address."""
    assert told(RULE, ISTIOD, view(AGENT_OF_AKS, ISTIOD)) == [FROM_ANYWHERE]


@pytest.mark.parametrize(
    ("source", "is_allowed"),
    [
        (replace(namespaces(**{"kubernetes.io/metadata.name": "kube-system"}), pod_selector=AGENTS), True),
        (block("10.244.1.0/24"), True),
        (block("10.224.0.0/16"), True),
        (block("0.0.0.0/0"), True),
        (block("192.0.2.40/32"), False),
        (namespaces(**{"kubernetes.io/metadata.name": "team-a"}), False),
    ],
)
def test_nothing_that_may_work_on_azure_is_called_denied(source: PolicyPeer, is_allowed: bool) -> None:
    """The agents' own addresses, or their nodes'; an ipBlock of the API server is neither."""
    mine = policy("istio-system/mine", ingress=[rule(source, port(15017))])
    snapshot = Snapshot.of([AGENT_OF_AKS, ISTIOD, mine])
    (flow,) = flows(RULE, ISTIOD, MeshView(snapshot, Settings()))
    verdict = judge(snapshot, flow.source, flow.destination, flow.protocol, flow.port)
    assert verdict.allowed is is_allowed


def test_agents_of_azure_at_unknown_addresses_are_admitted_by_any_block() -> None:
    """A repository does not tell where they run."""
    agent = labelled("kube-system/konnectivity-agent", {"app": "konnectivity-agent"})
    mine = policy("istio-system/mine", ingress=[rule(block("192.0.2.40/32"), port(15017))])
    snapshot = Snapshot.of([agent, ISTIOD, mine])
    (flow,) = flows(RULE, ISTIOD, MeshView(snapshot, Settings()))
    assert judge(snapshot, flow.source, flow.destination, flow.protocol, flow.port).allowed


def test_agents_in_the_hosts_network_are_addresses() -> None:
    """What they send has a node's address, which no pod selector matches."""
    agent = labelled("kube-system/konnectivity-agent", {"k8s-app": "konnectivity-agent"})
    assert told(RULE, ISTIOD, view(replace(agent, host_network=True), ISTIOD)) == [FROM_ANYWHERE]


def settings(*callers: CallerSettings) -> Settings:
    return Settings(api_server=ApiServerSettings(callers=callers))


def test_settings_replace_what_is_known() -> None:
    """By the name of their namespace, or by its labels."""
    proxy = labelled("edge/proxy", {"app": "proxy"})
    by_name = settings(CallerSettings("edge", {}, {"app": "proxy"}))
    by_label = settings(CallerSettings("", {"tunnel": "yes"}, {"app": "proxy"}))
    mesh = (namespace("edge", tunnel="yes"), SHOOT, VPN, proxy, ISTIOD)
    assert told(RULE, ISTIOD, view(*mesh, settings=by_name)) == [from_pods("edge/proxy")]
    assert told(RULE, ISTIOD, view(*mesh, settings=by_label)) == [from_pods("edge/proxy")]


def test_labels_of_the_namespace_must_hold_as_well() -> None:
    """Both are told where both are written."""
    wrong = settings(CallerSettings("edge", {"tunnel": "yes"}, {"app": "proxy"}))
    proxy = labelled("edge/proxy", {"app": "proxy"})
    found = told(RULE, ISTIOD, view(namespace("edge"), proxy, ISTIOD, settings=wrong))
    assert found == [from_pods("edge/api-server-caller (assumed)")]


def test_pods_of_the_settings_need_not_be_in_the_input() -> None:
    """A repository does not hold kube-system."""
    told_so = settings(CallerSettings("kube-system", {}, {"app": "vpn-shoot"}))
    found = told(RULE, ISTIOD, view(ISTIOD, settings=told_so))
    assert found == [from_pods("kube-system/api-server-caller (assumed)")]


def test_an_unknown_namespace_is_anywhere() -> None:
    """Nobody can name pods of a namespace that only its labels tell."""
    told_so = settings(CallerSettings("", {"tunnel": "yes"}, {"app": "proxy"}))
    assert told(RULE, ISTIOD, view(ISTIOD, settings=told_so)) == [FROM_ANYWHERE]
