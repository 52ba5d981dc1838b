"""What tests do with the enforcement of a mesh: switch it, wait for it, and ask what it refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.server_process import ServerProcess
from tests.mesh.enforcement.nftables import Refused, refused
from tests.mesh.enforcement.protocol import Style
from tests.mesh.enforcement.state_files import Enforced, Wanted, enforced_file, read_enforced, seen, write
from tests.mesh.images import CHECKOUT, CHECKOUTS_PYTHON
from tests.mesh.sandbox import Sandbox
from tests.waiting import wait_until

LIST_REFUSED = ("nft", "--json", "list", "set", "ip", "network_policies", "refused")
FORGET_REFUSED = ("nft", "flush", "set", "ip", "network_policies", "refused")

Get = Callable[[str], Mapping[str, Any]]
"""Reads an object or a list of the API server by its path."""


@dataclass(slots=True)
class MeshEnforcement:
    """The enforcement of one sandbox, whose program logs to `enforcement.log` in the sandbox's folder."""

    sandbox: Sandbox
    get: Get
    _wanted: Wanted = field(default_factory=Wanted)
    _server: ServerProcess | None = None

    def start(self, kubeconfig: Path, python: Path | str, by: str = "nftables") -> None:
        """Starts the program, by which policies count from now on."""
        self._control.parent.mkdir(exist_ok=True)
        self._want(Wanted())
        files = ("--kubeconfig", kubeconfig, "--control", self._control)
        self._server = self.sandbox.start(
            "enforcement",
            *(python, "-m", "tests.mesh.enforcement", *files, "--by", by),
            folder=CHECKOUT,
            environment=CHECKOUTS_PYTHON,
        )

    @property
    def processes(self) -> list[ServerProcess]:
        return [] if self._server is None else [self._server]

    @property
    def style(self) -> Style:
        return self._wanted.style

    @style.setter
    def style(self, style: Style) -> None:
        self._want(Wanted(self._wanted.on, style))
        self.settled()

    @contextmanager
    def refusing(self, style: Style) -> Iterator[None]:
        """Has packets refused in this style for as long as the block runs."""
        before = self.style
        self.style = style
        try:
            yield
        finally:
            self.style = before

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
        expected = self._expected()

        def is_enforced() -> bool:
            nonlocal expected
            found = read_enforced(enforced_file(self._control))
            assert found is None or not found.failure, f"the enforcement has failed: {found.failure}"
            if found == expected:
                return True
            # What changes meanwhile is the test's own doing, or as good.
            expected = self._expected()
            return False

        def differs() -> str:
            return _difference(expected, read_enforced(enforced_file(self._control)))

        wait_until("everything is enforced", is_enforced, seconds, self.processes, differs)

    def refused(self) -> list[Refused]:
        """The packets that were refused since they were last forgotten; none while everything passes."""
        return refused(self.sandbox.run(*LIST_REFUSED).stdout) if self._wanted.on else []

    def forget_refused(self) -> None:
        """Begins the account of refused packets anew."""
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
