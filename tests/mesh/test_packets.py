"""The engine against the kernel: what `list` says of a cluster is what packets find there.

The policies are compiled into a firewall by way of the naive evaluator, which shares no code with the engine.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from tests.mesh.enforcement.cluster import cluster_of
from tests.mesh.enforcement.compiler import Compiler
from tests.mesh.enforcement.nftables import ruleset
from tests.mesh.enforcement.protocol import Style
from tests.mesh.machine import require_namespaces
from tests.mesh.packet_clusters import (
    NETWORKS,
    PROBED_PORTS,
    Manifest,
    PlacedCluster,
    listed,
    placed,
    placed_clusters,
)
from tests.mesh.packet_network import Outcome, PacketNetwork
from tests.mesh.sandbox import Sandbox
from tests.values import UDP, block, deployment, namespace, pods, policy, port, rule

from istio_netpol.model.labels import Selector
from istio_netpol.model.policies import PolicyPeer
from istio_netpol.model.workloads import ContainerPort

POD_RANGE = "10.244.0.0/16"


@pytest.fixture(scope="module")
def network() -> Iterator[PacketNetwork]:
    require_namespaces()
    with Sandbox() as sandbox:
        network = PacketNetwork(sandbox, NETWORKS, PROBED_PORTS)
        yield network
        network.close()


def disagreements(
    network: PacketNetwork, cluster: PlacedCluster, judged: Sequence[Manifest], compiled: Sequence[Manifest]
) -> list[str]:
    """Where packets find something else than the engine says, which is asked about `judged` while `compiled`
    is enforced: the same, unless a test wants to see whether the difference is noticed."""
    network.enforce(ruleset(Compiler().compile(cluster_of(compiled)), Style.REJECT, POD_RANGE))
    allows = listed(judged)
    asked = list(cluster.attempts())
    found = network.outcomes([attempt for _, _, attempt in asked])
    expected = {
        attempt: Outcome.CONNECTED
        if allows(source, destination, attempt.protocol, attempt.port)
        else Outcome.REFUSED
        for source, destination, attempt in asked
    }
    return [
        f"{source} -> {destination} ({attempt}): list says {expected[attempt]}, it is {found[attempt]}"
        for source, destination, attempt in asked
        if expected[attempt] != found[attempt]
    ]


@settings(
    max_examples=100,
    phases=[Phase.generate],  # a smaller cluster is not worth minutes of packets: the message names the pair
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(placed_clusters())
def test_packets_find_what_list_says(network: PacketNetwork, cluster: PlacedCluster) -> None:
    """Every pair of pods, and of a pod and an address outside, and every port that anybody names and one
    that nobody does: a connection comes about exactly when `list` says so."""
    assert not disagreements(network, cluster, cluster.manifests, cluster.manifests)


CART = deployment("shop/cart", ContainerPort(8080, "http"))
STOCK = deployment("shop/stock", ContainerPort(80, "http", UDP), ContainerPort(81))
LEDGER = deployment("bank/ledger", ContainerPort(8080, "http"))
PLACES = {CART: ("10.0.0.1", "10.0.0.2"), STOCK: ("10.1.0.1",), LEDGER: ("10.244.0.1",)}


def shop() -> PlacedCluster:
    """A cluster of which every sentence matters."""
    policies = [
        policy(
            "shop/cart",
            selects={"app": "cart"},
            ingress=[rule(block("10.0.0.0/8", "10.1.0.0/16"), port("http"))],
        ),
        policy(
            "shop/stock",
            selects={"app": "stock"},
            ingress=[rule(pods(app="cart"), port(80, end=81)), rule(block("8.0.0.0/8"), port(81, UDP))],
        ),
        policy("bank/ledger", ingress=[rule(_the_cart(), port(8080))], egress=[]),
    ]
    return placed([namespace("shop", team="x"), namespace("bank"), *policies], PLACES)


def _the_cart() -> PolicyPeer:
    return PolicyPeer(Selector.of({"app": "cart"}), Selector.of({"team": "x"}))


def test_the_shop_is_as_list_says(network: PacketNetwork) -> None:
    cluster = shop()
    assert not disagreements(network, cluster, cluster.manifests, cluster.manifests)


Change = Callable[[dict[str, Any]], None]


def _in_rules(change: Change) -> Change:
    """The change, in every rule of a policy."""

    def changed(spec: dict[str, Any]) -> None:
        for entry in (*spec.get("ingress", ()), *spec.get("egress", ())):
            change(entry)

    return changed


def _in_ports(change: Change) -> Change:
    return _in_rules(lambda rule: [change(entry) for entry in rule.get("ports", ())])


def _in_peers(change: Change) -> Change:
    return _in_rules(lambda rule: [change(peer) for peer in rule.get("from", ())])


MISREADINGS: dict[str, Change] = {
    "except counts for nothing": _in_peers(lambda peer: peer.get("ipBlock", {}).pop("except", None)),
    "an ipBlock is all addresses": _in_peers(
        lambda peer: peer["ipBlock"].update(cidr="0.0.0.0/0") if "ipBlock" in peer else None
    ),
    "endPort counts for nothing": _in_ports(lambda entry: entry.pop("endPort", None)),
    "a port name is all ports": _in_ports(
        lambda entry: entry.pop("port") if isinstance(entry["port"], str) else None
    ),
    "UDP is TCP": _in_ports(lambda entry: entry.pop("protocol", None)),
    "namespaceSelector alone counts": _in_peers(
        lambda peer: peer.pop("podSelector") if "namespaceSelector" in peer else None
    ),
    "podSelector alone counts": _in_peers(lambda peer: peer.pop("namespaceSelector", None)),
    "no ports is no port": lambda spec: spec.update(ingress=[]),
    "egress is never isolated": lambda spec: spec.update(policyTypes=["Ingress"]),
    "a policy is for all pods": lambda spec: spec.update(podSelector={}),
}
"""Mistakes that an engine, or a compiler, can make."""


@pytest.mark.parametrize("misread", MISREADINGS.values(), ids=MISREADINGS.keys())
def test_a_wrong_engine_is_noticed(network: PacketNetwork, misread: Change) -> None:
    """And so is a wrong compiler: the test stands between the two and trusts neither."""
    cluster = shop()
    wrong = copy.deepcopy(list(cluster.manifests))
    for manifest in wrong:
        if manifest["kind"] == "NetworkPolicy":
            misread(manifest["spec"])
    assert disagreements(network, cluster, wrong, cluster.manifests), "of the engine"
    assert disagreements(network, cluster, cluster.manifests, wrong), "of the compiler"
