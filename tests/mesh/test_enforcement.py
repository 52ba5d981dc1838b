"""What the firewall of the tests does beside judging: refuse in two ways, keep what is connected, and let
no pod out of whom it does not know."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mesh.enforcement.cluster import Objects, cluster_of, key_of
from tests.mesh.enforcement.compiler import Compiler
from tests.mesh.enforcement.nftables import Refused, ruleset
from tests.mesh.enforcement.protocol import Style
from tests.mesh.enforcement.switch import LIST_REFUSED, refused
from tests.mesh.machine import require_namespaces
from tests.mesh.packet_clusters import Manifest, PlacedCluster, placed, placed_clusters
from tests.mesh.packet_network import Attempt, Outcome, PacketNetwork
from tests.mesh.sandbox import Sandbox
from tests.values import TCP, UDP, deny_all, deployment, namespace

CART, STOCK, CLIENT = "10.244.0.1", "10.244.0.2", "192.0.2.10"
NETWORKS = {"shop.cart": [CART], "shop.stock": [STOCK], "client": [CLIENT]}
PODS = {deployment("shop/cart"): [CART], deployment("shop/stock"): [STOCK]}
POD_RANGE = "10.244.0.0/16"

TO_STOCK = [Attempt(source, STOCK, protocol, 80) for source in (CART, CLIENT) for protocol in (TCP, UDP)]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    require_namespaces()
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def network(sandbox: Sandbox) -> Iterator[PacketNetwork]:
    network = PacketNetwork(sandbox, NETWORKS, (80, 81))
    yield network
    network.close()


def shop(*policies: object) -> Sequence[Manifest]:
    return placed([namespace("shop"), *policies], PODS).manifests


def rules(manifests: Sequence[Manifest], style: Style = Style.REJECT) -> str:
    return ruleset(Compiler().compile(cluster_of(manifests)), style, POD_RANGE)


@pytest.mark.parametrize(
    ("style", "outcome"), [(Style.REJECT, Outcome.REFUSED), (Style.DROP, Outcome.SILENCE)]
)
def test_refuses_by_an_answer_or_by_silence(network: PacketNetwork, style: Style, outcome: Outcome) -> None:
    network.enforce(rules(shop(deny_all("shop")), style))
    assert set(network.outcomes(TO_STOCK, within=0.5).values()) == {outcome}


def test_a_packet_to_an_address_that_no_known_pod_has_is_dropped(network: PacketNetwork) -> None:
    """However open the cluster is: a pod that was just born has no policies yet."""
    network.enforce(rules([manifest for manifest in shop() if manifest["metadata"]["name"] != "stock-0"]))
    back = Attempt(STOCK, CLIENT, TCP, 80)
    assert set(network.outcomes([*TO_STOCK, back], within=0.5).values()) == {Outcome.SILENCE}
    network.enforce(rules(shop()))
    assert set(network.outcomes([*TO_STOCK, back]).values()) == {Outcome.CONNECTED}


def test_the_node_itself_reaches_its_pods(network: PacketNetwork, sandbox: Sandbox) -> None:
    """As every plugin lets the kubelet."""
    network.enforce(rules(shop(deny_all("shop"))))
    sandbox.run("bash", "-c", f"exec 3<>/dev/tcp/{STOCK}/80")


TALK = """\
import socket, sys
with socket.create_connection((sys.argv[1], 9000)) as connection:
    for word in sys.stdin:
        connection.sendall(word.encode())
        print(connection.recv(100).decode(), end="", flush=True)
"""
ECHO = """\
import socket
with socket.create_server(("", 9000)) as server:
    print("listens", flush=True)
    connection, _ = server.accept()
    while word := connection.recv(100):
        connection.sendall(word)
"""


def test_what_is_connected_stays_connected(network: PacketNetwork, sandbox: Sandbox) -> None:
    """A new connection is judged by the new policies, an old one by none."""
    sandbox.run("nft", "--file", "-", stdin=rules(shop()))
    with _python(sandbox, "shop.stock", ECHO) as echo:
        assert _line(echo) == "listens\n"
        with _python(sandbox, "shop.cart", TALK, STOCK) as talk:
            assert _said(talk, "before\n") == "before\n"
            sandbox.run("nft", "--file", "-", stdin=rules(shop(deny_all("shop"))))
            assert set(network.outcomes(TO_STOCK).values()) == {Outcome.REFUSED}
            assert _said(talk, "after\n") == "after\n"


def _python(sandbox: Sandbox, network: str, program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        sandbox.command("timeout", "60", "python3", "-c", program, *arguments, network=network),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _said(process: subprocess.Popen[str], word: str) -> str:
    """What a process answers to a word."""
    assert process.stdin is not None
    process.stdin.write(word)
    process.stdin.flush()
    return _line(process)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_tells_what_it_refused(network: PacketNetwork, sandbox: Sandbox) -> None:
    """So that a test which fails can say which policy is missing. A new set of policies keeps the account."""
    network.enforce(rules(shop(deny_all("shop"))))
    sandbox.run("nft", "flush", "set", "ip", "network_policies", "refused")
    network.outcomes(TO_STOCK)
    network.enforce(rules(shop()))
    expected = {Refused(source, STOCK, protocol, 80) for source in (CART, CLIENT) for protocol in (TCP, UDP)}
    assert set(refused(sandbox.run(*LIST_REFUSED).stdout)) == expected


@given(st.lists(placed_clusters(), min_size=2, max_size=3))
def test_what_is_compiled_does_not_depend_on_what_was_before(clusters: list[PlacedCluster]) -> None:
    """A compiler that asks only about what has changed finds what one finds that has never asked."""
    objects, compiler = Objects(), Compiler()
    for cluster in clusters:
        wanted = {key_of(manifest) for manifest in cluster.manifests}
        for kind in ("Namespace", "Pod", "NetworkPolicy"):
            for key in objects.keys(kind) - wanted:
                objects.forget(key)
        for manifest in cluster.manifests:
            objects.store(manifest)
        assert compiler.compile(objects.cluster()) == Compiler().compile(cluster_of(cluster.manifests))


def test_stores_only_what_policies_can_see() -> None:
    """A pod's status changes all the time: nothing is compiled for it."""
    objects = Objects()
    (pod,) = (manifest for manifest in shop() if manifest["metadata"]["name"] == "cart-0")
    assert objects.store(pod)
    ready = {**pod, "status": {**pod["status"], "conditions": [{"type": "Ready", "status": "True"}]}}
    assert not objects.store(ready)
    labelled = {**pod, "metadata": {**pod["metadata"], "labels": {"app": "other"}}}
    assert objects.store(labelled)
    ended = {**pod, "status": {**pod["status"], "phase": "Succeeded"}}
    assert objects.store(ended)
    assert objects.cluster().pods == {}
    assert not objects.forget(key_of(pod))


def test_an_object_that_cannot_be_decoded_is_told() -> None:
    """An API server took it: whoever enforces nothing of it in silence would prove the wrong thing."""
    (deny,) = (manifest for manifest in shop(deny_all("shop")) if manifest["kind"] == "NetworkPolicy")
    with pytest.raises(ValueError, match="podSelector"):
        Objects().store({**deny, "spec": {**deny["spec"], "podSelector": "all"}})
