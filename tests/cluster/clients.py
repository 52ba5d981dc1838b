"""How tests talk to the API server: kubectl, as a person would, and plain HTTPS for what kubectl hides."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended and what it printed."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Standard output, of a command that was asked for JSON; what went wrong if it failed."""
        assert self.code == 0, self.stderr
        return json.loads(self.stdout)


@dataclass(frozen=True, slots=True)
class Kubectl:
    """Runs kubectl as one user, with that user's kubeconfig and nothing of the tester's own."""

    program: Path
    kubeconfig: Path

    def __call__(self, *arguments: str, stdin: str = "", timeout: float = 180.0) -> Outcome:
        """Runs one command; never raises because kubectl failed."""
        environment = {"HOME": str(self.kubeconfig.parent), "KUBECONFIG": str(self.kubeconfig)}
        done = subprocess.run(
            [str(self.program), *arguments],
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def apply(self, *manifests: Mapping[str, Any], options: tuple[str, ...] = ()) -> Outcome:
        """`kubectl apply` of objects, handed in as one List."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        return self("apply", *options, "--filename", "-", stdin=json.dumps(items))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server answered: the status and the object, which is a Status when it refused."""

    status: int
    object: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Api:
    """The API as one user, a connection a request."""

    port: int
    token: str
    ca: Path
    host: str = "127.0.0.1"

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Sends an object and reads one. Raises OSError while the API server is not there."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        context = ssl.create_default_context(cafile=self.ca)
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=60, context=context)
        try:
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        if response.getheader("Content-Type", "").startswith("application/json"):
            return Answer(response.status, json.loads(text))
        return Answer(response.status, {"message": text})
