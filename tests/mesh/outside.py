"""Hosts outside of the cluster: people, an identity provider, an API and the DNS of a zone.

Each is a network namespace of the sandbox with an address of the documentation ranges (RFC 5737), joined to
the worker and routed, without address translation. Nobody but the sandbox reaches them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cluster.server_process import ServerProcess
from tests.mesh.certificates import Authority
from tests.mesh.images import CHECKOUT
from tests.mesh.sandbox import Sandbox
from tests.mesh.tokens import Issuer
from tests.mesh.topology import OUTSIDE, OUTSIDE_DNS, OUTSIDE_ZONE, outside, resolve_by, script
from tests.tools.programs import located
from tests.waiting import wait_until

API = f"api.{OUTSIDE_ZONE}"
IDENTITY = f"identity.{OUTSIDE_ZONE}"
KEYS = f"https://{IDENTITY}/jwks.json"

API_HTTP, API_HTTPS, API_TCP = 80, 443, 9000
API_UNNAMED = 9090
"""Another port of the API, TCP as well, that no ServiceEntry names."""

RESOLV_CONF = f"nameserver {OUTSIDE_DNS}\n"

STARTS_WITHIN = 60.0

API_PORTS = (API_HTTP, API_HTTPS, API_TCP, API_UNNAMED)
SERVED = (("dns", 53), ("identity", 443), *(("api", port) for port in API_PORTS))

ZONE_FILE = """\
$ORIGIN {zone}.
@ 5 IN SOA dns.{zone}. nobody.{zone}. 1 3600 600 86400 5
@ 5 IN NS dns.{zone}.
"""
COREFILE = """\
{zone} {{
  bind {address}
  file {file}
  errors
  log
}}
"""


class OutsideHosts:
    """The hosts of `topology.OUTSIDE`, and what they serve.

    `authority` signs for all of them; `issuer` is the identity provider's, whose keys are at `KEYS` and whose
    discovery document names them.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.authority = Authority()
        self.issuer = Issuer(f"https://{IDENTITY}")
        self.folder = sandbox.folder / "outside"
        self._sandbox = sandbox
        self._servers: dict[str, ServerProcess] = {}

    def start(self) -> None:
        """Joins the hosts to the worker, starts their servers, and waits until all of them answer."""
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self._sandbox.run(*script([*outside(), *(resolve_by(host, RESOLV_CONF) for host in OUTSIDE)]))
        self._serve_zone()
        self._serve_keys()
        self._serve_api()
        for host, port in SERVED:
            self._wait_until_open(host, port)

    def stop(self) -> None:
        """Ends the servers. The network namespaces end with the sandbox."""
        for server in self._servers.values():
            server.stop()

    def run(
        self, host: str, *argv: str | Path, stdin: str = "", timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command on a host, whatever its outcome."""
        return self._sandbox.run(*argv, network=host, stdin=stdin, timeout=timeout, check=False)

    def received(self, host: str) -> list[dict[str, Any]]:
        """What reached the host's program, in its own words."""
        lines = self._servers[host].log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def publish(self, name: str, document: Mapping[str, Any]) -> None:
        """Puts a document on the identity provider, or another in its place."""
        path = self.folder / "documents" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))

    def _serve_zone(self) -> None:
        zone, corefile = self.folder / "zone", self.folder / "Corefile"
        records = "".join(f"{host} 5 IN A {address}\n" for host, address in OUTSIDE.items())
        zone.write_text(ZONE_FILE.format(zone=OUTSIDE_ZONE) + records)
        corefile.write_text(COREFILE.format(zone=OUTSIDE_ZONE, address=OUTSIDE_DNS, file=zone))
        program = located("coredns")
        assert program is not None
        self._start("dns", program, "-conf", corefile)

    def _serve_keys(self) -> None:
        self.publish("jwks.json", self.issuer.key_set())
        self.publish(".well-known/openid-configuration", {"issuer": self.issuer.name, "jwks_uri": KEYS})
        self._start_program("identity", "documents", self.folder / "documents", *self._certified(IDENTITY))

    def _serve_api(self) -> None:
        ports = ("--http", API_HTTP, "--https", API_HTTPS, "--tcp", API_TCP, "--tcp", API_UNNAMED)
        self._start_program("api", "echo", "api", *ports, *self._certified(API))

    def _certified(self, name: str) -> tuple[str, Path, str, Path]:
        certificate, key = self.authority.issue([name]).written(self.folder, name)
        return "--certificate", certificate, "--key", key

    def _start_program(self, host: str, program: str, *arguments: str | int | Path) -> None:
        self._start(host, sys.executable, "-m", f"tests.mesh.programs.{program}", *map(str, arguments))

    def _start(self, host: str, *argv: str | Path) -> None:
        self._servers[host] = self._sandbox.start(f"outside-{host}", *argv, network=host, folder=CHECKOUT)

    def _wait_until_open(self, host: str, port: int) -> None:
        server = self._servers[host]
        open_port = ("bash", "-c", f"exec 3<>/dev/tcp/{OUTSIDE[host]}/{port}")
        wait_until(
            f"{host} serves port {port}",
            lambda: self._sandbox.run(*open_port, check=False).returncode == 0,
            STARTS_WITHIN,
            [server],
            server.last_lines,
        )
