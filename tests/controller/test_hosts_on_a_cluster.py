"""What a host opens while its DNS answers change and fail: with a real API server and a real name server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.cluster.crds import ISTIO, defined
from tests.cluster.fixtures import require_go
from tests.controller.process import ControllerProcess
from tests.controller.test_on_a_cluster import Shop
from tests.dns.conftest import Serve, serve
from tests.dns.server import NameServer, Zone

__all__ = ["serve"]
HOST = "keys.example.com"
OVERLAP, CAP, CACHED = 20, 2, 5
"""Seconds after the last sighting, addresses, and for how long the program keeps any answer."""

SETTINGS = """\
apiVersion: istio-netpol.io/v1
kind: Settings
mesh: {{rootNamespace: {root}}}
dns: {{servers: ["127.0.0.1:{port}"]}}
hosts: {{maxAddressesPerHost: {cap}, widestIpv4Block: 32}}
controller: {{collectAfterSeconds: 1, hostOverlapSeconds: {overlap}, writesPerSecond: 100}}
"""


class Mesh:
    """istiod under deny-all, a tenant whose keys are at a host, and that host's name server."""

    def __init__(self, plane: ControlPlane, server: NameServer) -> None:
        self.server = server
        self.root = Shop(plane, mode="warn")
        self.root.make("NetworkPolicy", "deny-all", {"podSelector": {}, "policyTypes": ["Egress"]})
        labels = {"app": "istiod", "istio": "pilot"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "c"}]}}
        self.root.make("Deployment", "istiod", {"selector": {"matchLabels": labels}, "template": template})
        self.tenant = Shop(plane)
        rule = {"issuer": "someone", "jwksUri": f"https://{HOST}/jwks"}
        authentication = {
            "apiVersion": "security.istio.io/v1",
            "kind": "RequestAuthentication",
            "metadata": {"name": "jwt", "namespace": self.tenant.name},
            "spec": {"jwtRules": [rule]},
        }
        done = plane.kubectl().apply(authentication)
        assert done.code == 0, done.stderr

    def settings(self, folder: Path) -> Path:
        path = folder / "settings.yaml"
        port = self.server.address[1]
        path.write_text(SETTINGS.format(root=self.root.name, port=port, cap=CAP, overlap=OVERLAP))
        return path

    def answer(self, *addresses: str) -> None:
        self.server.zone = Zone(records={HOST: {"A": list(addresses), "TTL": 1}})

    def open(self) -> set[str]:
        """The addresses that istiod may reach by generated policies."""
        blocks = [
            peer["ipBlock"]["cidr"]
            for policy in self.root.policies().values()
            for rule in policy["spec"]["egress"]
            for peer in rule.get("to", ())
            if "ipBlock" in peer
        ]
        return {str(address) for block in blocks for address in ip_network(block)}

    def wait_for(self, *addresses: str, seconds: float = 60.0) -> None:
        self.root.plane.wait_until(
            f"istiod reaches {addresses}", lambda: self.open() == set(addresses), seconds
        )


@pytest.fixture
def mesh(control_plane: ControlPlane, serve: Serve) -> Iterator[Mesh]:
    require_go()
    with defined(control_plane, ISTIO):
        yield Mesh(control_plane, serve(Zone()))


def test_addresses_overlap_outlive_dns_and_are_capped(mesh: Mesh, tmp_path: Path) -> None:
    """Keys stay reachable at every address that the host had lately, at the last good ones while DNS fails,
    and a host that never answers the same twice opens no more than its cap now and once more of before."""
    mesh.answer("93.184.216.1")
    shop = mesh.tenant
    with ControllerProcess(
        shop.plane.kubeconfig(), shop.name, mesh.settings(tmp_path), offline=False
    ) as controller:
        mesh.wait_for("93.184.216.1")

        mesh.answer("93.184.216.2")
        moved = time.monotonic()
        mesh.wait_for("93.184.216.1", "93.184.216.2")
        mesh.wait_for("93.184.216.2")
        # The last sighting of the old address is in an answer that was cached when the host moved, or before.
        assert time.monotonic() - moved > OVERLAP - CACHED - 1

        mesh.server.zone = Zone(failing=frozenset({HOST}))
        reason = f"{HOST}: these are old addresses, since DNS fails: 127.0.0.1 answers SERVFAIL"
        shop.plane.wait_until(
            "the trouble is told", lambda: reason in [line.get("reason") for line in controller.logged]
        )
        assert "istio_netpol_controller_hosts_in_trouble 1.0" in controller.get("/metrics")[1]
        assert mesh.open() == {"93.184.216.2"}

        seen, number, ends = set[str](), 0, time.monotonic() + 240
        while not any("maxAddressesPerHost" in line.get("reason", "") for line in controller.logged):
            number += 1
            mesh.answer(str(ip_address("93.184.217.0") + number))
            time.sleep(1)
            found = mesh.open()
            assert len(found) <= 2 * CAP
            seen |= found
            assert time.monotonic() < ends, controller.logged
        assert len(seen) > CAP
