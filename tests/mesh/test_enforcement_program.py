"""The program that enforces in a mesh: it follows the API server, and does what tests ask it to do."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.mesh.control_plane import ControlPlane
from tests.mesh.enforcement import kube_router
from tests.mesh.enforcement.nftables import Refused
from tests.mesh.enforcement.protocol import Style
from tests.mesh.enforcement.switch import MeshEnforcement
from tests.mesh.host_link import HostLink
from tests.mesh.machine import require_mesh
from tests.mesh.manifests import deny_all
from tests.mesh.packet_network import Attempt, Outcome, PacketNetwork
from tests.mesh.sandbox import PROGRAMS, Sandbox
from tests.values import TCP, UDP
from tests.waiting import wait_until

pytestmark = pytest.mark.xdist_group("mesh-parts")

CART, STOCK, STRANGER = "10.244.0.1", "10.244.0.2", "10.244.0.3"
PODS = {"cart": CART, "stock": STOCK}
TO_STOCK = [Attempt(CART, STOCK, protocol, 80) for protocol in (TCP, UDP)]
FOR_CART = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"namespace": "shop", "name": "for-cart"},
    "spec": {
        "podSelector": {},
        "ingress": [
            {"from": [{"podSelector": {"matchLabels": {"app": "cart"}}}], "ports": [{"port": 80}]},
        ],
        "egress": [{"to": [{"podSelector": {"matchLabels": {"app": "stock"}}}]}],
        "policyTypes": ["Ingress", "Egress"],
    },
}


@dataclass(frozen=True, slots=True)
class Shop:
    """An API server with two pods in a namespace; nobody knows of a third. Policies are enforced there."""

    plane: ControlPlane
    network: PacketNetwork
    enforcement: MeshEnforcement


@contextlib.contextmanager
def opened(by: str) -> Iterator[Shop]:
    """A shop, enforced by one of the implementations for as long as the block runs."""
    networks = {"shop.cart": [CART], "shop.stock": [STOCK], "shop.stranger": [STRANGER]}
    with Sandbox() as sandbox, contextlib.closing(PacketNetwork(sandbox, networks, (80, 81))) as network:
        plane = ControlPlane(sandbox, HostLink(sandbox))
        plane.start()
        assert plane.kubectl("create", "namespace", "shop").code == 0
        wait_until("pods may be made", lambda: plane.kubectl("get", "sa", "default", "-nshop").code == 0)
        for name, address in PODS.items():
            make_pod(plane, name, address)
        enforcement = MeshEnforcement(sandbox, lambda path: plane.api.request("GET", path).object)
        enforcement.start(plane.kubeconfig, sys.executable, by)
        yield Shop(plane, network, enforcement)


@pytest.fixture(scope="module")
def kept_open() -> Iterator[Shop]:
    require_mesh()
    with opened("nftables") as shop:
        yield shop


@pytest.fixture
def shop(kept_open: Shop) -> Iterator[Shop]:
    """The shop of all these tests, without policies."""
    yield kept_open
    kept_open.plane.kubectl("delete", "networkpolicies", "--all", "-nshop")


@pytest.fixture
def shop_of_kube_router() -> Iterator[Shop]:
    """One of its own: two implementations would judge each other's packets."""
    require_mesh()
    if not kube_router.is_there():
        pytest.skip(f"kube-router is not compared with the tests' own enforcement: put it in {PROGRAMS}")
    with opened("kube-router") as shop:
        yield shop


def make_pod(plane: ControlPlane, name: str, address: str) -> None:
    metadata = {"namespace": "shop", "name": name, "labels": {"app": name}}
    spec = {"nodeName": "node1", "containers": [{"name": "main", "image": "main"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    assert plane.kubectl.apply(pod).code == 0
    status = f'{{"status": {{"phase": "Running", "podIP": "{address}", "podIPs": [{{"ip": "{address}"}}]}}}}'
    patched = plane.kubectl("patch", "pod", name, "-nshop", "--subresource=status", "-p", status)
    assert patched.code == 0, patched.stderr


def outcomes(network: PacketNetwork, attempts: list[Attempt], within: float = 10.0) -> set[Outcome]:
    return set(network.outcomes(attempts, within).values())


def test_policies_count_as_soon_as_they_are_settled(shop: Shop) -> None:
    shop.enforcement.settled()
    assert outcomes(shop.network, TO_STOCK) == {Outcome.CONNECTED}
    assert shop.plane.kubectl.apply(deny_all("shop")).code == 0
    shop.enforcement.settled()
    assert outcomes(shop.network, TO_STOCK) == {Outcome.REFUSED}
    assert shop.plane.kubectl.apply(FOR_CART).code == 0
    shop.enforcement.settled()
    assert shop.network.outcomes(TO_STOCK) == {
        Attempt(CART, STOCK, TCP, 80): Outcome.CONNECTED,
        Attempt(CART, STOCK, UDP, 80): Outcome.REFUSED,
    }
    assert shop.plane.kubectl("delete", "networkpolicies", "--all", "-nshop").code == 0
    shop.enforcement.settled()
    assert outcomes(shop.network, TO_STOCK) == {Outcome.CONNECTED}


def test_is_switched_while_it_runs(shop: Shop) -> None:
    assert shop.plane.kubectl.apply(deny_all("shop")).code == 0
    shop.enforcement.settled()
    shop.enforcement.forget_refused()
    assert outcomes(shop.network, TO_STOCK) == {Outcome.REFUSED}
    assert shop.enforcement.refused() == [Refused(CART, STOCK, protocol, 80) for protocol in (TCP, UDP)]
    with shop.enforcement.refusing(Style.DROP):
        assert outcomes(shop.network, TO_STOCK, within=0.5) == {Outcome.SILENCE}
        shop.enforcement.off()
        assert outcomes(shop.network, TO_STOCK) == {Outcome.CONNECTED}
        assert shop.enforcement.refused() == []
    shop.enforcement.on()
    assert outcomes(shop.network, TO_STOCK) == {Outcome.REFUSED}


def test_a_pod_is_let_out_when_it_is_known(shop: Shop) -> None:
    """Its labels decide what it may do; and when it has ended, its address is nobody's."""
    assert shop.plane.kubectl.apply(FOR_CART).code == 0
    shop.enforcement.settled()
    attempt = [Attempt(STRANGER, STOCK, TCP, 80)]
    assert outcomes(shop.network, attempt, within=0.5) == {Outcome.SILENCE}
    make_pod(shop.plane, "stranger", STRANGER)
    shop.enforcement.settled()
    assert outcomes(shop.network, attempt) == {Outcome.REFUSED}
    assert shop.plane.kubectl("label", "pod", "stranger", "-nshop", "app=cart", "--overwrite").code == 0
    shop.enforcement.settled()
    assert outcomes(shop.network, attempt) == {Outcome.CONNECTED}
    assert shop.plane.kubectl("delete", "pod", "stranger", "-nshop", "--force").code == 0
    shop.enforcement.settled()
    assert outcomes(shop.network, attempt, within=0.5) == {Outcome.SILENCE}


def test_goes_on_after_the_api_server_was_away(shop: Shop) -> None:
    """Nothing opens meanwhile."""
    assert shop.plane.kubectl.apply(deny_all("shop")).code == 0
    shop.enforcement.settled()
    shop.plane.restart(shop.plane.api_server)
    assert outcomes(shop.network, TO_STOCK) == {Outcome.REFUSED}
    assert shop.plane.kubectl("delete", "networkpolicies", "--all", "-nshop").code == 0
    shop.enforcement.settled()
    assert outcomes(shop.network, TO_STOCK) == {Outcome.CONNECTED}


def test_kube_router_enforces_the_same(shop_of_kube_router: Shop) -> None:
    """What a plugin that people run makes of the policies, where one is at hand."""
    shop = shop_of_kube_router
    assert shop.plane.kubectl.apply(FOR_CART).code == 0
    shop.enforcement.settled()
    assert shop.network.outcomes(TO_STOCK) == {
        Attempt(CART, STOCK, TCP, 80): Outcome.CONNECTED,
        Attempt(CART, STOCK, UDP, 80): Outcome.REFUSED,
    }
