"""What tests do with the enforcement of a mesh: switch it, wait for it, and ask what it refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.server_process import ServerProcess
from tests.mesh.enforcement.nftables import Refused, refused
from tests.mesh.enforcement.protocol import Style
from tests.mesh.enforcement.state_files import Enforced, Wanted, enforced_file, read_enforced, seen, write
from tests.mesh.sandbox import Sandbox

CHECKOUT = Path(__file__).parents[3]
LIST_REFUSED = ("nft", "--json", "list", "set", "ip", "network_policies", "refused")
FORGET_REFUSED = ("nft", "flush", "set", "ip", "network_policies", "refused")
POLL_SECONDS = 0.05

Get = Callable[[str], Mapping[str, Any]]
"""Reads an object or a list of the API server by its path."""


@dataclass(slots=True)
class MeshEnforcement:
    """The enforcement of one sandbox, whose program logs to `enforcement.log` in the sandbox's folder."""

    sandbox: Sandbox
    get: Get
    _wanted: Wanted = field(default_factory=Wanted)
    _server: ServerProcess | None = None

    def start(self, kubeconfig: Path, python: Path | str, by: str = "nftables", *, on: bool = True) -> None:
        """Starts the program, by which policies count from now on unless it begins switched off."""
        self._control.parent.mkdir(exist_ok=True)
        self._want(Wanted(on))
        files = ("--kubeconfig", kubeconfig, "--control", self._control)
        self._server = self.sandbox.start(
            "enforcement",
            *(python, "-m", "tests.mesh.enforcement", *files, "--by", by),
            folder=CHECKOUT,
            environment={"PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'webhook'}", "PYTHONDONTWRITEBYTECODE": "1"},
        )

    @property
    def processes(self) -> list[ServerProcess]:
        return [] if self._server is None else [self._server]

    @property
    def style(self) -> Style:
        return self._wanted.style

    @style.setter
    def style(self, style: Style | str) -> None:
        self._want(Wanted(self._wanted.on, Style(style)))
        self.settled()

    def on(self) -> None:
        """Has policies count for every new connection."""
        self._want(Wanted(True, self._wanted.style))
        self.settled()

    def off(self) -> None:
        """Has everything pass."""
        self._want(Wanted(False, self._wanted.style))
        self.settled()

    def settled(self, seconds: float = 30.0) -> None:
        """Returns when all that the API server has now is enforced: policies, namespaces and pods."""
        self._await(self._expected(), seconds)

    def refused(self) -> list[Refused]:
        """The packets that were refused since this was last asked or forgotten; none while everything
        passes."""
        if not self._wanted.on:
            return []
        found = refused(self.sandbox.run(*LIST_REFUSED).stdout)
        self.forget_refused()
        return found

    def forget_refused(self) -> None:
        self.sandbox.run(*FORGET_REFUSED)

    @property
    def _control(self) -> Path:
        return self.sandbox.folder / "enforcement" / "control.json"

    def _want(self, wanted: Wanted) -> None:
        self._wanted = wanted
        write(self._control, wanted)

    def _expected(self) -> Enforced:
        pods = self.get("/api/v1/pods")["items"]
        return Enforced(
            self._wanted,
            {_key(pod): _seen(pod) for pod in pods if _has_own_address(pod)},
            _versions(self.get("/apis/networking.k8s.io/v1/networkpolicies")),
            _versions(self.get("/api/v1/namespaces")),
        )

    def _await(self, expected: Enforced, seconds: float) -> None:
        """What changes meanwhile is the test's own doing, or as good: then it is looked at again."""
        end = time.monotonic() + seconds
        while (found := read_enforced(enforced_file(self._control))) != expected:
            assert found is None or not found.failure, f"the enforcement has failed: {found.failure}"
            assert not any(server.died for server in self.processes), self.processes[0].last_lines()
            assert time.monotonic() < end, f"not enforced after {seconds:g} s: {_difference(expected, found)}"
            time.sleep(POLL_SECONDS)
            expected = self._expected()


def _has_own_address(pod: Mapping[str, Any]) -> bool:
    status = pod["status"]
    ended = status.get("phase") in ("Succeeded", "Failed")
    return bool(status.get("podIP")) and not ended and not pod["spec"].get("hostNetwork")


def _seen(pod: Mapping[str, Any]) -> str:
    return seen(pod["status"]["podIP"], pod["metadata"].get("labels", {}))


def _key(manifest: Mapping[str, Any]) -> str:
    metadata = manifest["metadata"]
    return f"{metadata.get('namespace', '')}/{metadata['name']}"


def _versions(listed: Mapping[str, Any]) -> dict[str, str]:
    return {_key(item): item["metadata"]["resourceVersion"] for item in listed["items"]}


def _difference(expected: Enforced, found: Enforced | None) -> str:
    if found is None:
        return "nothing yet"
    parts = (
        f"{name} {getattr(found, name)}, expected {getattr(expected, name)}"
        for name in ("wanted", "pods", "policies", "namespaces")
        if getattr(found, name) != getattr(expected, name)
    )
    return "; ".join(parts)
