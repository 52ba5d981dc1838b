"""A live cluster of 20,000 pods: how long it takes to be known, and how much memory that takes."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import started
from tests.tools.programs import ASSETS, absent

from benchmarks.measure import Figure
from benchmarks.plan import Plan
from istio_netpol.flows.table import FlowTable
from istio_netpol.kube.cluster import Cluster
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.model.settings import Settings

PODS, NAMESPACES, WRITERS = 20_000, 200, 8
SYNC_SECONDS, MEMORY_MIB = 30.0, 300.0
MIB = 1024.0


def figures(plan: Plan) -> Iterator[Figure]:
    """Writes pods as a kubelet's cluster has them to a real API server, and reads them in a process of its
    own."""
    if reason := absent(*ASSETS):
        print(f"   left out: {reason}")
        return
    with started(plan.folder / "cluster") as plane:
        _fill(plane, plan.times(PODS))
        told = _read_by_another(plane.kubeconfig())
    yield Figure("live cluster, all listed", "s", [told["listed"]], at_most=SYNC_SECONDS)
    yield Figure("live cluster, with its table of flows", "s", [told["table"]], at_most=SYNC_SECONDS)
    yield Figure("live cluster, memory when listed", "MiB", [told["memory_listed"]], at_most=MEMORY_MIB)
    yield Figure("live cluster, memory with the table", "MiB", [told["memory_table"]], at_most=MEMORY_MIB)
    yield Figure("live cluster, highest memory", "MiB", [told["highest"]])


def _fill(plane: ControlPlane, pods: int) -> None:
    namespaces = [plane.namespace() for _ in range(max(1, NAMESPACES * pods // PODS))]
    connection = ApiConnection.open(kubeconfig=plane.kubeconfig())

    def write(number: int) -> None:
        path = f"/api/v1/namespaces/{namespaces[number % len(namespaces)]}/pods"
        connection.send("POST", path, json.dumps(_pod(number)).encode())

    with ThreadPoolExecutor(WRITERS) as writers:
        for _ in writers.map(write, range(pods)):
            pass


def _pod(number: int) -> dict[str, Any]:
    """One of a Deployment's pods, with what real ones carry besides."""
    app = f"app-{number // 1000}"
    variables = [{"name": f"VARIABLE_{index}", "value": "value-" * 8} for index in range(20)]
    container = {
        "name": "app",
        "image": f"registry.example.com/team/{app}:v{number % 7}",
        "env": variables,
        "ports": [{"containerPort": 8080, "name": "http"}],
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
    }
    labels = {"app": app, "version": "v1", "pod-template-hash": "5d8f7c9b6d"}
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{app}-5d8f7c9b6d", "uid": "0"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{app}-5d8f7c9b6d-{number:05}",
            "labels": labels,
            "ownerReferences": [owner],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "x" * 1000},
        },
        "spec": {"containers": [container], "nodeName": f"node-{number % 100}"},
    }


def _read_by_another(kubeconfig: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.cluster_sync", str(kubeconfig)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _read(kubeconfig: Path) -> dict[str, float]:
    """What `serve` does at its start, timed."""
    start = time.perf_counter()
    cluster = Cluster(ApiConnection.open(kubeconfig=kubeconfig), ["istio-system"])
    cluster.start()
    while (changes := cluster.take()) is None:
        cluster.wait(0.1)
    told = {"listed": time.perf_counter() - start, "memory_listed": _memory()}
    table = FlowTable.of(changes.snapshot, Settings()).indexed()
    told |= {"table": time.perf_counter() - start, "memory_table": _memory()}
    told["objects"] = table.snapshot.object_count
    told["highest"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB
    return told


def _memory() -> float:
    (found,) = re.findall(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return float(found) / MIB


if __name__ == "__main__":
    print(json.dumps(_read(Path(sys.argv[1]))), flush=True)
    os._exit(0)
