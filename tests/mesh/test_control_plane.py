"""The mesh's control plane makes Pods of Deployments, and Services lead to them."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.mesh import topology
from tests.mesh.control_plane import ControlPlane
from tests.mesh.host_link import HostLink
from tests.mesh.machine import require_mesh
from tests.mesh.sandbox import Sandbox
from tests.waiting import wait_until

pytestmark = pytest.mark.xdist_group("mesh-parts")

CLUSTER_ADDRESS = "10.96.7.7"
WEB = "10.244.0.7"
SHOP = "10.244.0.8"

SAYS_WHO_CALLS = """\
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.client_address[0].encode())
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    require_mesh()
    with Sandbox() as sandbox:
        layout = [*topology.worker(), *topology.control_plane(), *topology.outside()]
        layout += [*topology.attach("shop.web", WEB), *topology.attach("shop.cart", SHOP)]
        sandbox.run(*topology.script(layout))
        yield sandbox


@pytest.fixture(scope="module")
def plane(sandbox: Sandbox) -> ControlPlane:
    plane = ControlPlane(sandbox, HostLink(sandbox))
    plane.start()
    return plane


def deployment(name: str) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "c"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def test_a_deployment_becomes_a_pod_that_is_bound_to_the_node(plane: ControlPlane) -> None:
    assert plane.kubectl.apply(deployment("cart")).code == 0

    def bound() -> bool:
        pods = plane.kubectl("get", "pods", "--selector=app=cart", "--output=json").json["items"]
        return [pod["spec"].get("nodeName") for pod in pods] == [topology.WORKER_NODE]

    wait_until("the pod is bound", bound, servers=plane.servers)


def test_a_pod_reaches_the_api_server_by_its_service_from_its_own_address(
    plane: ControlPlane, sandbox: Sandbox
) -> None:
    """NetworkPolicies judge that flow: it is forwarded by the worker and keeps its source."""
    url = f"https://{topology.KUBERNETES_SERVICE}/version"
    ask = ["curl", "--silent", "--max-time", "5", "--cacert", plane.ca, url]
    wait_until(
        "the Service leads there",
        lambda: sandbox.run(*ask, network="shop.cart", check=False).returncode == 0,
        servers=plane.servers,
    )
    assert json.loads(sandbox.run(*ask, network="shop.cart").stdout)["major"] == "1"
    sandbox.run("iptables", "-I", "FORWARD", "-s", SHOP, "-d", topology.CONTROL_PLANE, "-j", "REJECT")
    try:
        refused = sandbox.run(*ask, network="shop.cart", check=False)
        assert refused.returncode != 0
    finally:
        sandbox.run("iptables", "-D", "FORWARD", "-s", SHOP, "-d", topology.CONTROL_PLANE, "-j", "REJECT")


def publish_web(plane: ControlPlane) -> None:
    """A Service of type LoadBalancer whose endpoint is not a Pod's, as no agent runs here."""
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"type": "LoadBalancer", "clusterIP": CLUSTER_ADDRESS, "ports": ports},
    }
    slice_ = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [WEB], "conditions": {"ready": True}}],
    }
    assert plane.kubectl.apply(service, slice_).code == 0
    status = json.dumps({"status": {"loadBalancer": {"ingress": [{"ip": topology.LOAD_BALANCERS}]}}})
    patched = plane.kubectl("patch", "service", "web", "--subresource=status", "--type=merge", "-p", status)
    assert patched.code == 0, patched.stderr


def test_services_lead_to_their_endpoints_and_people_come_from_the_node(
    plane: ControlPlane, sandbox: Sandbox
) -> None:
    """A pod keeps its address; who comes by a load balancer is seen as the node, as externalTrafficPolicy
    Cluster has it."""
    publish_web(plane)
    web = sandbox.start("web", "python3", "-c", SAYS_WHO_CALLS, network="shop.web")
    try:
        for network, address, seen_as in (
            ("shop.cart", CLUSTER_ADDRESS, SHOP),
            ("client", topology.LOAD_BALANCERS, topology.WORKER),
            ("", CLUSTER_ADDRESS, topology.WORKER),
        ):
            ask = ["curl", "--silent", "--max-time", "2", f"http://{address}/"]
            wait_until(
                f"{network or 'the worker'} reaches {address}",
                lambda ask=ask, network=network: (
                    not sandbox.run(*ask, network=network, check=False).returncode
                ),
                servers=plane.servers,
            )
            assert sandbox.run(*ask, network=network).stdout == seen_as
    finally:
        web.stop()


def test_the_api_server_can_be_restarted(plane: ControlPlane) -> None:
    plane.restart(plane.api_server)
    assert plane.api.request("GET", f"/api/v1/nodes/{topology.WORKER_NODE}").status == 200


def test_meshes_side_by_side_have_links_of_their_own(plane: ControlPlane, sandbox: Sandbox) -> None:
    """The second is made from the same process, as by two workers with the same number."""
    with Sandbox() as other:
        other.run(*topology.script([*topology.worker(), *topology.control_plane()]))
        first, second = HostLink(sandbox), HostLink(other)
        assert first.interface != second.interface
        networks = [ipaddress.ip_interface(f"{link.host}/30").network for link in (first, second)]
        assert not networks[0].overlaps(networks[1])
