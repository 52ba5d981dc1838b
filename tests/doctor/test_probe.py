"""The probe's objects on a real API server, and that nothing of them is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.cluster.users import ADMIN, NOBODY
from tests.serving.process import SOURCE_ROOT

from istio_netpol.doctor.probe import ProbePace, probe
from istio_netpol.errors import ApiError
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.model.diagnosis import Diagnosis, Health
from istio_netpol.model.own_names import PROBE_LABEL

NAMESPACES = f"/api/v1/namespaces?labelSelector={PROBE_LABEL}=true"
QUICK = ProbePace(seconds=120.0, sleep=lambda _: time.sleep(0.05))


def rooms(plane: ControlPlane) -> list[dict[str, Any]]:
    """The namespaces of probes that are not on their way out."""
    items = plane.api().request("GET", NAMESPACES).object["items"]
    return [item for item in items if "deletionTimestamp" not in item["metadata"]]


def pods(plane: ControlPlane) -> list[dict[str, Any]]:
    return list(plane.api().request("GET", f"/api/v1/pods?labelSelector={PROBE_LABEL}=true").object["items"])


@contextmanager
def kubelet(plane: ControlPlane, phase_of: Callable[[str, bool], str]) -> Iterator[list[dict[str, Any]]]:
    """Runs the probe's pods: a phase by name, and whether a policy is in force. Yields what it has run."""
    ended, ran = threading.Event(), []

    def run() -> None:
        while not ended.wait(0.05):
            for pod in pods(plane):
                if pod.get("status", {}).get("phase") == "Pending":
                    ran.append(pod)
                    settle(pod)

    def settle(pod: dict[str, Any]) -> None:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        base = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
        phase = phase_of(name, bool(plane.api().request("GET", base).object["items"]))
        status = {"phase": phase, "podIP": "10.0.0.7", "podIPs": [{"ip": "10.0.0.7"}]}
        if phase == "Running":
            status["conditions"] = [{"type": "Ready", "status": "True"}]
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/status"
        plane.api().request("PUT", path, {**pod, "status": status})

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield ran
    finally:
        ended.set()
        thread.join()


def run_probe(plane: ControlPlane, user: str = ADMIN) -> tuple[Diagnosis, list[str]]:
    told: list[str] = []
    return probe(ApiConnection.open(user, plane.kubeconfig(user)), told.append, pace=QUICK), told


def enforced(name: str, is_denied: bool) -> str:
    if name == "server":
        return "Running"
    return "Failed" if is_denied else "Succeeded"


@pytest.mark.parametrize(
    ("phase_of", "health", "text"),
    [
        (enforced, Health.OK, "was enforced"),
        (lambda name, _: "Running" if name == "server" else "Succeeded", Health.WRONG, "was not enforced"),
        (
            lambda name, _: "Running" if name == "server" else "Failed",
            Health.NOT_SEEN,
            "can't reach each other",
        ),
    ],
)
def test_what_pods_do_tells_whether_policies_are_enforced(
    control_plane: ControlPlane, phase_of: Callable[[str, bool], str], health: Health, text: str
) -> None:
    """Afterwards nothing is left, whatever came out."""
    with kubelet(control_plane, phase_of) as ran:
        found, told = run_probe(control_plane)
    assert (found.health, told) == (health, [])
    assert text in found.found
    assert {pod["metadata"]["name"] for pod in ran} >= {"server", "before"}
    assert rooms(control_plane) == []
    assert pods(control_plane) == []


def test_the_pods_are_admitted_as_restricted_and_end_by_themselves(control_plane: ControlPlane) -> None:
    """Pod Security of the API server has admitted them: the namespace enforces it."""
    with kubelet(control_plane, enforced) as ran:
        run_probe(control_plane)
    for pod in ran:
        assert pod["spec"]["activeDeadlineSeconds"] == 300
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["containers"][0]["image"].startswith("registry.k8s.io/e2e-test-images/agnhost:")


def test_pods_that_never_start_are_no_result(control_plane: ControlPlane) -> None:
    """No kubelet: the pod stays Pending."""
    told: list[str] = []
    connection = ApiConnection.open(ADMIN, control_plane.kubeconfig(ADMIN))
    found = probe(connection, told.append, pace=ProbePace(seconds=0.3))
    assert found.health is Health.NOT_SEEN
    assert "pod server is Pending" in found.found
    assert "--probe-image" in found.remedy
    assert (rooms(control_plane), pods(control_plane), told) == ([], [], [])


def test_who_may_not_create_namespaces_leaves_nothing(control_plane: ControlPlane) -> None:
    found, told = run_probe(control_plane, NOBODY)
    assert found.health is Health.NOT_SEEN
    assert "cannot create resource" in found.found
    assert told == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_probe_that_is_interrupted_cleans_up(control_plane: ControlPlane, how: signal.Signals) -> None:
    """By Ctrl-C and by who ends a job."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE_ROOT)}
    kubeconfig = str(control_plane.kubeconfig(ADMIN))
    command = [sys.executable, "-m", "istio_netpol", "doctor", "--probe", "--kubeconfig", kubeconfig]
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        control_plane.wait_until("the probe has a pod", lambda: bool(pods(control_plane)))
        process.send_signal(how)
        _, complaint = process.communicate(timeout=180)
    assert process.returncode == 130, complaint
    assert b"Traceback" not in complaint
    assert rooms(control_plane) == []
    assert pods(control_plane) == []


def test_what_can_not_be_deleted_is_told(control_plane: ControlPlane) -> None:
    """By name, with the command that deletes it."""

    class Stuck(ApiConnection):
        def __init__(self, there: ApiConnection) -> None:
            self._there = there

        def get(self, path: str, *arguments: Any, **options: Any) -> bytes:
            return self._there.get(path, *arguments, **options)

        def send(self, method: str, path: str, body: bytes, *arguments: Any, **options: Any) -> bytes:
            if method == "DELETE":
                raise ApiError(0, "the API server can't be reached")
            return self._there.send(method, path, body, *arguments, **options)

    told: list[str] = []
    there = ApiConnection.open(ADMIN, control_plane.kubeconfig(ADMIN))
    probe(Stuck(there), told.append, pace=ProbePace(seconds=0.2))
    (room,) = rooms(control_plane)
    name = room["metadata"]["name"]
    assert told == [f"left behind: Namespace {name}; delete it with kubectl delete namespace {name}"]
    there.send("DELETE", f"/api/v1/namespaces/{name}/pods", json.dumps({"gracePeriodSeconds": 0}).encode())
    there.send("DELETE", f"/api/v1/namespaces/{name}", b"{}")
