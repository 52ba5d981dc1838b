"""`map --serve` without a PATH follows a real API server."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cluster.control_plane import ControlPlane

POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed}
spec: {podSelector: {}, policyTypes: [Ingress]}
"""
PATIENCE_SECONDS = 120


@pytest.fixture
def port(control_plane: ControlPlane) -> Iterator[int]:
    command = [sys.executable, "-m", "istio_netpol", "map", "--serve", "--listen", "127.0.0.1:0", "--offline"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [*command, "--kubeconfig", str(control_plane.kubeconfig())],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as served:
        assert served.stderr is not None
        said = []
        for line in served.stderr:
            said.append(line)
            if found := re.search(r"serving the map at http://127\.0\.0\.1:(\d+)/", line):
                break
        else:
            pytest.fail("".join(said))
        yield int(found[1])
        served.send_signal(signal.SIGTERM)
        assert served.wait(60) == 0


def policies(port: int, namespace: str) -> list[str]:
    """The names of a namespace's policies in the document that is served."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/map.json")
        document: dict[str, Any] = json.loads(gzip.decompress(connection.getresponse().read()))
    finally:
        connection.close()
    present = [document["policies"][number] for number in document["states"]["now"]["policies"]]
    return [policy["name"] for policy in present if policy["namespace"] == namespace]


def test_what_is_applied_and_deleted_shows(control_plane: ControlPlane, namespace: str, port: int) -> None:
    kubectl = control_plane.kubectl()
    for change, expected in (("apply", ["closed"]), ("delete", [])):
        kubectl(change, "-n", namespace, "-f", "-", stdin=POLICY)
        ends = time.monotonic() + PATIENCE_SECONDS
        while policies(port, namespace) != expected and time.monotonic() < ends:
            time.sleep(0.2)
        assert policies(port, namespace) == expected, change
