"""The plan for a live cluster, applied to it with kubectl."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import started
from tests.cluster.users import ADMIN
from tests.readiness.test_odd_namespaces import mesh, namespace, policy, shop, workload
from tests.serving.process import SOURCE_ROOT


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster of this module's own: the whole of it is planned."""
    with started(tmp_path_factory.mktemp("readiness")) as plane:
        there = {("Namespace", "default"), ("Namespace", "kube-system"), ("Service", "kubernetes")}
        there.add(("EndpointSlice", "kubernetes"))
        objects = [
            *mesh(),
            *shop(),
            namespace("partly"),
            policy("mine", "partly", "Ingress"),
            namespace("tools"),
            workload("unknown", "tools"),
        ]
        wanted = [
            decoded for decoded in objects if (decoded["kind"], decoded["metadata"]["name"]) not in there
        ]
        applied = plane.kubectl().apply(*wanted)
        assert applied.code == 0, applied.stderr
        yield plane


def readiness(plane: ControlPlane, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE_ROOT), "KUBECONFIG": str(plane.kubeconfig(ADMIN))}
    command = [sys.executable, "-m", "istio_netpol", "readiness", "--offline", "-f", "json", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def told(plane: ControlPlane, *arguments: str) -> dict[str, Any]:
    done = readiness(plane, *arguments)
    assert done.returncode in {0, 1}, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_plan_is_applied_file_by_file_until_nothing_is_left(plane: ControlPlane, tmp_path: Path) -> None:
    """The API server takes every step; a new plan has what is not applied yet, and in the end it is empty."""
    folder = tmp_path / "plan"
    found = told(plane, "-o", str(folder))
    assert [pod["name"] for pod in found["ask"]] == ["unknown"]
    steps = sorted(folder.glob("*.yaml"))
    waiting = sorted((folder / "after-answers").glob("*.yaml"))
    assert len(steps) + len(waiting) == found["summary"]["steps"]
    assert [file.name.split("-", 1)[1] for file in waiting] == ["deny-tools--default-deny-all.yaml"]
    kubectl = plane.kubectl()
    for file in steps:
        assert kubectl("apply", "--filename", str(file)).code == 0
    halfway = told(plane)
    assert [step["policy"]["metadata"]["namespace"] for step in halfway["steps"]] == ["tools"]
    assert halfway["stillCut"] == []
    assert kubectl("apply", "--filename", str(waiting[0])).code == 0
    end = told(plane)
    assert (end["steps"], end["stillCut"], end["ask"]) == ([], [], [])
    assert end["safe"] is True
    assert {place["name"] for place in end["namespaces"] if place["denied"] == []} == {
        "kube-node-lease",
        "kube-public",
        "kube-system",
    }
