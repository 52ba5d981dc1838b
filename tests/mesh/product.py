"""`istio-netpol` as a person runs it: beside the cluster, with the kubeconfig of its administrator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.mesh import outside, topology

from istio_netpol.symptoms.paste import read_text

if TYPE_CHECKING:
    from tests.mesh.mesh import Mesh

SOURCE_ROOT = Path(__file__).parents[2] / "webhook"
KEYS_AT = f"--address={outside.IDENTITY}={topology.IDENTITY}"
"""The name servers of who runs the command do not know the mesh's outside."""


def run(mesh: Mesh, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Runs a command; the caller judges its exit code."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(SOURCE_ROOT),
        "KUBECONFIG": str(mesh.kubectl.kubeconfig),
    }
    command = [sys.executable, "-m", "istio_netpol", *arguments]
    return subprocess.run(
        command, env=environment, input=stdin, capture_output=True, text=True, timeout=120, check=False
    )


def generated(mesh: Mesh, objects: str = "") -> str:
    """The policies that the cluster lacks, or would lack with these objects: what `generate` prints."""
    more = ("--context", mesh.kubectl("config", "current-context").stdout.strip(), "-") if objects else ()
    done = run(mesh, "generate", "--all-namespaces", "--offline", KEYS_AT, *more, stdin=objects)
    assert done.returncode == 0, done.stderr
    return done.stdout


def generated_from_a_dump(mesh: Mesh) -> str:
    """The same, for whoever was handed a dump of the cluster and has no access to it."""
    dumped = run(mesh, "dump")
    assert dumped.returncode == 0, dumped.stderr
    done = run(mesh, "generate", "--offline", KEYS_AT, "-", stdin=dumped.stdout)
    assert done.returncode == 0, done.stderr
    return done.stdout


def shown(seen: str) -> set[str]:
    """The rows of `docs/symptoms.md` that are in what was seen."""
    return {found.sighting.symptom.id for found in read_text(seen).seen}


def blamed(mesh: Mesh, namespace: str, seen: str, *options: str) -> set[str]:
    """The flows that `istio-netpol explain --symptom -` says policies deny, of those that can be the cause of
    what somebody saw who looks at a namespace."""
    about = ("--namespace", namespace, "--symptom", "-", "--format", "json")
    done = run(mesh, "explain", "--offline", KEYS_AT, *about, *options, stdin=seen)
    assert done.returncode in {0, 1}, f"{done.stderr}\nnothing is known of:\n{seen}"
    symptoms: list[dict[str, Any]] = json.loads(done.stdout)["symptoms"]
    suspects = [suspect for symptom in symptoms for suspect in symptom["suspects"]]
    denied = {suspect["rule"] for suspect in suspects if suspect["allowed"] is False}
    assert done.returncode == bool(denied), done.stdout
    return denied
