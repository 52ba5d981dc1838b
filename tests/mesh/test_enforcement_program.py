"""The program that enforces in a mesh: it follows the API server, and does what tests ask it to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator

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
from tests.mesh.sandbox import Sandbox
from tests.mesh.waiting import wait_until
from tests.values import TCP, UDP

pytestmark = pytest.mark.xdist_group("mesh")

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


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    require_mesh()
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def network(sandbox: Sandbox) -> Iterator[PacketNetwork]:
    networks = {"shop.cart": [CART], "shop.stock": [STOCK], "shop.stranger": [STRANGER]}
    network = PacketNetwork(sandbox, networks, (80, 81))
    yield network
    network.close()


@pytest.fixture(scope="module")
def plane(sandbox: Sandbox, network: PacketNetwork) -> ControlPlane:
    """An API server with two pods in a namespace; nobody knows of a third."""
    plane = ControlPlane(sandbox, HostLink(sandbox))
    plane.start()
    assert plane.kubectl("create", "namespace", "shop").code == 0
    wait_until("pods may be made", lambda: plane.kubectl("get", "sa", "default", "-nshop").code == 0)
    for name, address in PODS.items():
        make_pod(plane, name, address)
    return plane


@pytest.fixture(scope="module")
def enforcement(sandbox: Sandbox, plane: ControlPlane) -> MeshEnforcement:
    enforcement = MeshEnforcement(sandbox, lambda path: plane.api.request("GET", path).object)
    enforcement.start(plane.kubeconfig, sys.executable)
    return enforcement


@pytest.fixture(autouse=True)
def _open_again(plane: ControlPlane) -> Iterator[None]:
    yield
    plane.kubectl("delete", "networkpolicies", "--all", "-nshop")


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


def test_policies_count_as_soon_as_they_are_settled(
    plane: ControlPlane, network: PacketNetwork, enforcement: MeshEnforcement
) -> None:
    enforcement.settled()
    assert outcomes(network, TO_STOCK) == {Outcome.CONNECTED}
    assert plane.kubectl.apply(deny_all("shop")).code == 0
    enforcement.settled()
    assert outcomes(network, TO_STOCK) == {Outcome.REFUSED}
    assert plane.kubectl.apply(FOR_CART).code == 0
    enforcement.settled()
    assert network.outcomes(TO_STOCK) == {
        Attempt(CART, STOCK, TCP, 80): Outcome.CONNECTED,
        Attempt(CART, STOCK, UDP, 80): Outcome.REFUSED,
    }
    assert plane.kubectl("delete", "networkpolicies", "--all", "-nshop").code == 0
    enforcement.settled()
    assert outcomes(network, TO_STOCK) == {Outcome.CONNECTED}


def test_is_switched_while_it_runs(
    plane: ControlPlane, network: PacketNetwork, enforcement: MeshEnforcement
) -> None:
    assert plane.kubectl.apply(deny_all("shop")).code == 0
    enforcement.settled()
    enforcement.forget_refused()
    assert outcomes(network, TO_STOCK) == {Outcome.REFUSED}
    assert enforcement.refused() == [Refused(CART, STOCK, protocol, 80) for protocol in (TCP, UDP)]
    enforcement.style = Style.DROP
    assert outcomes(network, TO_STOCK, within=0.5) == {Outcome.SILENCE}
    enforcement.off()
    assert outcomes(network, TO_STOCK) == {Outcome.CONNECTED}
    assert enforcement.refused() == []
    enforcement.style = Style.REJECT
    enforcement.on()
    assert outcomes(network, TO_STOCK) == {Outcome.REFUSED}


def test_a_pod_is_let_out_when_it_is_known(
    plane: ControlPlane, network: PacketNetwork, enforcement: MeshEnforcement
) -> None:
    """Its labels decide what it may do; and when it has ended, its address is nobody's."""
    assert plane.kubectl.apply(FOR_CART).code == 0
    enforcement.settled()
    attempt = [Attempt(STRANGER, STOCK, TCP, 80)]
    assert outcomes(network, attempt, within=0.5) == {Outcome.SILENCE}
    make_pod(plane, "stranger", STRANGER)
    enforcement.settled()
    assert outcomes(network, attempt) == {Outcome.REFUSED}
    assert plane.kubectl("label", "pod", "stranger", "-nshop", "app=cart", "--overwrite").code == 0
    enforcement.settled()
    assert outcomes(network, attempt) == {Outcome.CONNECTED}
    assert plane.kubectl("delete", "pod", "stranger", "-nshop", "--force").code == 0
    enforcement.settled()
    assert outcomes(network, attempt, within=0.5) == {Outcome.SILENCE}


def test_goes_on_after_the_api_server_was_away(
    plane: ControlPlane, network: PacketNetwork, enforcement: MeshEnforcement
) -> None:
    """Nothing opens meanwhile."""
    assert plane.kubectl.apply(deny_all("shop")).code == 0
    enforcement.settled()
    plane.restart(plane.api_server)
    assert outcomes(network, TO_STOCK) == {Outcome.REFUSED}
    assert plane.kubectl("delete", "networkpolicies", "--all", "-nshop").code == 0
    enforcement.settled()
    assert outcomes(network, TO_STOCK) == {Outcome.CONNECTED}


def test_kube_router_enforces_the_same(
    plane: ControlPlane, network: PacketNetwork, enforcement: MeshEnforcement, sandbox: Sandbox
) -> None:
    """What a plugin that people run makes of the policies, where one is at hand."""
    if not kube_router.is_there():
        pytest.skip("kube-router is not on the PATH: its enforcement is not compared with the tests' own")
    enforcement.off()
    (own,) = enforcement.processes
    own.stop()
    other = MeshEnforcement(sandbox, lambda path: plane.api.request("GET", path).object)
    other.start(plane.kubeconfig, sys.executable, by="kube-router")
    assert plane.kubectl.apply(FOR_CART).code == 0
    other.settled()
    assert network.outcomes(TO_STOCK) == {
        Attempt(CART, STOCK, TCP, 80): Outcome.CONNECTED,
        Attempt(CART, STOCK, UDP, 80): Outcome.REFUSED,
    }
