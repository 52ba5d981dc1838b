"""What a create costs more over the API of a real API server when the webhook is asked, in mode reject.

One API server with the chart's configurations; the namespaces that take turns differ in their mode alone, and
in one of mode off nobody is asked. Client, API server, etcd and webhook share the machine. The webhook's own
processor time, which neighbours change little, has in it what it takes to follow the cluster.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.chart.registration import configurations, registered, until_called
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import started
from tests.kube.manifests import DENY_ALL, deployment
from tests.serving.cluster import manifests
from tests.serving.process import READY, WebhookProcess
from tests.tools.programs import ASSETS, absent

from benchmarks.load import Job
from benchmarks.measure import Figure, percentile
from benchmarks.plan import Plan
from istio_netpol.model.own_names import MODE_LABEL

CONTROL_PLANE = Path(__file__).parents[1] / "tests" / "scenarios" / "_control_plane"
NATIVE = {"Namespace", "Deployment", "Service", "ConfigMap", "ServiceAccount"}
CLIENTS = {1: 400, 8: 1500, 32: 1500}
"""Clients at a time, and how many creates of a round they share."""

ROUNDS, SECONDS = 3, 10.0
ALLOWED = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}
P50_ADDED, P99_ADDED, PROCESSOR = 1.5, 10.0, 0.9
CREATES = {("Pod", 8): 600.0, ("Deployment", 8): 600.0, ("Deployment", 32): 650.0}
KINDS = {"Pod": "/api/v1", "Deployment": "/apis/apps/v1"}


@dataclass
class _Measured:
    """What the rounds of one kind and number of clients came to."""

    kind: str
    clients: int
    rates: dict[str, list[float]] = field(default_factory=lambda: {"off": [], "reject": []})
    processor: list[float] = field(default_factory=list)
    added: dict[float, list[float]] = field(default_factory=lambda: {0.5: [], 0.99: []})

    def figures(self) -> Iterator[Figure]:
        name = f"{self.kind} created, {self.clients} client" + ("s" if self.clients > 1 else "")
        half, most = self.added[0.5], self.added[0.99]
        yield Figure(f"{name}: p50 added", "ms", half, at_most=P50_ADDED if self.clients == 1 else None)
        yield Figure(f"{name}: p99 added", "ms", most, at_most=P99_ADDED if self.clients == 8 else None)
        least = CREATES.get((self.kind, self.clients))
        yield Figure(f"{name}, reviewed", "/s", self.rates["reject"], at_least=least)
        yield Figure(f"{name}, not reviewed", "/s", self.rates["off"])
        yield Figure(f"{name}: the webhook's processor time", "ms", self.processor, at_most=PROCESSOR)


def figures(plan: Plan) -> Iterator[Figure]:
    """Milliseconds that p50 and p99 grow by, and creates a second, for each kind and number of clients."""
    if reason := absent(*ASSETS, "helm"):
        print(f"   left out: {reason}")
        return
    with started(plan.folder / "cluster") as plane:
        yield from _against(plane, plan)


def _against(plane: ControlPlane, plan: Plan) -> Iterator[Figure]:
    native = [manifest for manifest in manifests([CONTROL_PLANE]) if manifest["kind"] in NATIVE]
    applied = plane.kubectl().apply(*sorted(native, key=lambda manifest: manifest["kind"] != "Namespace"))
    if applied.code:
        raise SystemExit(applied.stderr)
    environment = {"KUBECONFIG": str(plane.kubeconfig())}
    with WebhookProcess("cluster", environment=environment) as webhook:
        webhook.wait_for(READY)
        bundle = base64.b64encode(webhook.ca.read_bytes()).decode()
        with registered(plane, configurations(webhook.url.geturl().rstrip("/"), bundle)):
            homes = {mode: _namespace(plane, mode) for mode in ("off", "reject")}
            until_called(plane, homes["reject"], lambda: _count(webhook, "reviews_total") > 0)
            for kind in KINDS:
                for clients in CLIENTS:
                    yield from _measured(plane, webhook, homes, kind, clients, plan).figures()


def _measured(
    plane: ControlPlane, webhook: WebhookProcess, homes: dict[str, str], kind: str, clients: int, plan: Plan
) -> _Measured:
    found = _Measured(kind, clients)
    for _ in range(plan.times(ROUNDS)):
        times = {}
        for mode, home in homes.items():
            before, used = _count(webhook, "reviews_total"), _processor_seconds(webhook)
            wall, times[mode] = _round(plane, home, kind, clients, plan)
            used = _processor_seconds(webhook) - used
            reviewed = _count(webhook, "reviews_total") - before
            if (reviewed >= len(times[mode])) != (mode == "reject"):
                raise SystemExit(f"{reviewed} reviews of {len(times[mode])} creates in mode {mode}")
            if mode == "reject":
                found.processor.append(used * 1000 / reviewed)
            found.rates[mode].append(len(times[mode]) / wall)
            _clear(plane, webhook, home, kind)
        for share, added in found.added.items():
            added.append(percentile(times["reject"], share) - percentile(times["off"], share))
    return found


def _round(plane: ControlPlane, home: str, kind: str, clients: int, plan: Plan) -> tuple[float, list[float]]:
    """Wall seconds, and milliseconds of each create."""
    bodies = plan.folder / "bodies.jsonl"
    bodies.write_text("".join(json.dumps(_made(kind, home, number)) + "\n" for number in range(clients)))
    path = f"{KINDS[kind]}/namespaces/{home}/{kind.lower()}s"
    token = plane.users.tokens["admin"]
    job = Job(plane.port, str(plane.ca), str(bodies), clients, SECONDS, CLIENTS[clients], path, token)
    command = [sys.executable, "-m", "benchmarks.load", json.dumps(asdict(job))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + SECONDS, check=True)
    found = json.loads(done.stdout)
    if found["errors"] or not found["milliseconds"]:
        raise SystemExit(f"{found['errors']} of {len(found['milliseconds'])} creates failed")
    return found["wall"], found["milliseconds"]


def _made(kind: str, home: str, number: int) -> dict[str, Any]:
    """An object whose name the API server completes, so that it can be sent again and again."""
    whole = deployment(f"web-{number}", home)
    if kind == "Pod":
        template = whole["spec"]["template"]
        whole = {"apiVersion": "v1", "kind": "Pod", **template}
    whole["metadata"] = {**whole["metadata"], "generateName": f"web-{number}-"}
    whole["metadata"].pop("name", None)
    return whole


def _namespace(plane: ControlPlane, mode: str) -> str:
    """A namespace with sidecars under deny-all, in which egress is open: what comes is admitted."""
    home = plane.namespace({MODE_LABEL: mode, "istio-injection": "enabled"})
    policies = f"/apis/networking.k8s.io/v1/namespaces/{home}/networkpolicies"
    plane.create(policies, DENY_ALL)
    plane.create(policies, {**DENY_ALL, "metadata": {"name": "open"}, "spec": ALLOWED})
    return home


def _clear(plane: ControlPlane, webhook: WebhookProcess, home: str, kind: str) -> None:
    """Deletes what a round made, and waits until the webhook has heard of it."""
    path = f"{KINDS[kind]}/namespaces/{home}/{kind.lower()}s"
    plane.api().request("DELETE", f"{path}?gracePeriodSeconds=0&propagationPolicy=Background")
    quiet_since, known = time.monotonic(), _count(webhook, "objects")
    while time.monotonic() - quiet_since < 1.0:
        time.sleep(0.1)
        if (now := _count(webhook, "objects")) != known:
            quiet_since, known = time.monotonic(), now


def _processor_seconds(webhook: WebhookProcess) -> float:
    """What the worker has used so far."""
    fields = Path(f"/proc/{webhook.worker}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _count(webhook: WebhookProcess, metric: str) -> float:
    """The sum of a metric."""
    found = re.findall(rf"^istio_netpol_{metric}(?:\{{.*\}})? (\S+)$", webhook.metrics(), re.MULTILINE)
    return sum(map(float, found))
