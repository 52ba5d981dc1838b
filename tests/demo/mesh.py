"""A VirtualService under a deny-all in a real mesh: a request times out, is mended and answered.

A Kubernetes control plane, kube-proxy, CoreDNS, istiod and Envoy run on this machine, in namespaces of their
own, and NetworkPolicies are enforced on packets. What is typed runs in a shell.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "webhook")]

from tests.demo.ending import play  # noqa: E402
from tests.demo.screen import Screen  # noqa: E402
from tests.mesh.enforcement.protocol import Style  # noqa: E402
from tests.mesh.machine import without_mesh  # noqa: E402
from tests.mesh.mesh import Mesh, started  # noqa: E402

FILES = Path(__file__).parent / "shop"
HOST = "shop.example.test"


class Shell:
    """Types lines in a folder with the files of the story, and shows what they print. `curl` is run on a host
    outside of the cluster."""

    def __init__(self, mesh: Mesh, screen: Screen, folder: Path) -> None:
        self._mesh = mesh
        self._screen = screen
        self._folder = folder
        self._programs = folder / "bin"
        shutil.copytree(FILES, folder)
        self._programs.mkdir()
        self._install("kubectl", [mesh.kubectl.program])
        self._install("istio-netpol", [sys.executable, "-m", "istio_netpol"])
        self._install("curl", mesh.sandbox.command("/usr/bin/curl", network="client"))

    def type(self, line: str) -> str:
        """Shows a line and what comes of it."""
        self._screen.command(line)
        printed = self.printed(line)
        self._screen.printed(printed)
        return printed

    def printed(self, line: str) -> str:
        """What a line prints."""
        environment = {
            "HOME": str(self._folder),
            "PATH": f"{self._programs}:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": str(ROOT / "webhook"),
            "KUBECONFIG": str(self._mesh.kubectl.kubeconfig),
        }
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=self._folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        return done.stdout.replace("\r\n", "\n")

    def _install(self, name: str, command: Sequence[str | Path]) -> None:
        file = self._programs / name
        file.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, command))} "$@"\n')
        file.chmod(0o755)


def tell(mesh: Mesh, screen: Screen) -> None:
    """Scenario 4 of the handbook: symptom, cause, remedy, success."""
    with tempfile.TemporaryDirectory(dir=mesh.sandbox.folder) as folder:
        shell = Shell(mesh, screen, Path(folder) / "shop")
        gateway = mesh.load_balancer("istio-system", "istio-ingressgateway")
        curl = f"curl -is --resolve {HOST}:80:{gateway} http://{HOST}/"
        _expose(mesh, screen, shell, curl)
        _deny(mesh, screen, shell, curl)
        _mend(mesh, screen, shell, curl)


def _expose(mesh: Mesh, screen: Screen, shell: Shell, curl: str) -> None:
    screen.heading("1. A shop with a sidecar is exposed at Istio's ingress gateway.")
    shell.type("kubectl apply -f app.yaml")
    shell.type("kubectl wait pod -n shop -l app=web --for condition=Ready --timeout 90s")
    shell.type("cat expose.yaml")
    shell.type("kubectl apply -f expose.yaml")
    mesh.wait_until("the gateway has the route", lambda: " 200 OK" in shell.printed(curl))
    shell.type(curl)


def _deny(mesh: Mesh, screen: Screen, shell: Shell, curl: str) -> None:
    screen.heading(
        "2. Its namespace is put under a policy that denies everything. The next request times out."
    )
    shell.type("cat deny-all.yaml")
    shell.type("kubectl apply -f deny-all.yaml")
    mesh.settled()
    shell.type(f"{curl} | tee answer.txt")
    screen.heading("3. What does the answer mean, and what else is missing?")
    shell.type("istio-netpol explain -n shop --symptom - < answer.txt")
    shell.type("istio-netpol check -n shop")


def _mend(mesh: Mesh, screen: Screen, shell: Shell, curl: str) -> None:
    screen.heading("4. istio-netpol writes the policies that are missing, as narrow as the connections are.")
    shell.type("istio-netpol generate -n shop > policies.yaml")
    shell.type("kubectl apply -f policies.yaml")
    mesh.settled()
    shell.type(curl)
    shell.type("istio-netpol check -n shop")


def main() -> None:
    """Plays everything; ends what it started whatever happens."""
    lacking = without_mesh()
    if lacking is not None:
        sys.exit(lacking)
    began, screen = time.monotonic(), Screen()
    screen.remark(
        "A mesh is started on this machine: a Kubernetes control plane, kube-proxy, CoreDNS, istiod and an "
        "ingress gateway, with NetworkPolicies enforced on real packets. It has namespaces of its own, and "
        "ends by itself and at Ctrl-C."
    )
    with started() as mesh:
        screen.remark(f"It answers after {mesh.timings['all']:.0f} s.")
        mesh.enforcement.style = Style.DROP
        tell(mesh, screen)
    screen.remark(f"{time.monotonic() - began:.0f} s in all. Nothing of it is left.")


if __name__ == "__main__":
    play(main)
