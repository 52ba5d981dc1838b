"""What clients of the mesh do, from inside and outside of it: each call opens a new connection."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

PROGRAMS = Path(__file__).parent / "programs"

SPARE = 10.0
"""Seconds that a client on a busy machine may need beyond the time in which it is told to give up."""

RESULT = "\n%{http_code}"


@dataclass(frozen=True, slots=True)
class Inside:
    """A pod with the label `app: <app>`. Its sidecar, if it has one, takes what it sends."""

    namespace: str
    app: str


@dataclass(frozen=True, slots=True)
class Outside:
    """A host outside of the cluster."""

    host: str = "client"


class Runs(Protocol):
    """What runs a command in the network of a source; `tests.mesh.mesh.Mesh` does."""

    def run_from(
        self, source: Inside | Outside, *argv: str, timeout: float
    ) -> subprocess.CompletedProcess[str]: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """How an HTTP request ended: with a status and a body, or with a failure in the client's own words."""

    status: int | None
    body: str
    failure: str

    @property
    def json(self) -> Any:
        """The body of a request that worked."""
        assert self.status is not None, self.failure
        return json.loads(self.body)

    @property
    def seen(self) -> str:
        """What a person sees who ran curl: what `explain --symptom` gets."""
        return self.failure or f"HTTP/1.1 {self.status}\n\n{self.body}"


@dataclass(frozen=True, slots=True)
class TcpAnswer:
    """What a TCP client received, and what went wrong: nothing, or an error in the system's words."""

    received: str
    failure: str


@dataclass(frozen=True, slots=True)
class Lookup:
    """The addresses of a name, and what went wrong: nothing, or the resolver's words."""

    addresses: tuple[str, ...]
    failure: str


def get(
    mesh: Runs,
    source: Inside | Outside,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    resolve: Mapping[str, str] | None = None,
    ca: Path | None = None,
    timeout: float = 20.0,
) -> Answer:
    """One HTTP request with curl. `resolve` gives hosts addresses that DNS does not have; without `ca` any
    certificate will do."""
    command = ["curl", "--disable", "--silent", "--show-error", "--noproxy", "*", "--request", method]
    command += ["--max-time", f"{timeout:g}", "--write-out", RESULT]
    command += ["--cacert", str(ca)] if ca else ["--insecure"]
    for name, value in (headers or {}).items():
        command += ["--header", f"{name}: {value}"]
    for host, address in (resolve or {}).items():
        command += ["--connect-to", f"{host}::{address}:"]
    done = mesh.run_from(source, *command, url, timeout=timeout + SPARE)
    body, _, status = done.stdout.rpartition("\n")
    failure = done.stderr.strip() if done.returncode else ""
    return Answer(None if failure else int(status), body, failure)


def tcp(
    mesh: Runs, source: Inside | Outside, host: str, port: int, text: str = "hello", timeout: float = 20.0
) -> TcpAnswer:
    """Connects, sends a line and reads until it comes back."""
    arguments = (host, str(port), text, f"{timeout:g}")
    printed = _printed(mesh, source, "dial.py", *arguments, timeout=timeout)
    return TcpAnswer(printed["received"], printed["failure"])


def look_up(
    mesh: Runs, source: Inside | Outside, name: str, over: str = "udp", timeout: float = 5.0
) -> Lookup:
    """Asks the source's resolver for a full name, over `udp` or `tcp`."""
    printed = _printed(mesh, source, "look_up.py", name, over, f"{timeout:g}", timeout=timeout)
    return Lookup(tuple(printed["addresses"]), printed["failure"])


def _printed(mesh: Runs, source: Inside | Outside, program: str, *arguments: str, timeout: float) -> Any:
    command = (sys.executable, str(PROGRAMS / program), *arguments)
    done = mesh.run_from(source, *command, timeout=timeout + SPARE)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
