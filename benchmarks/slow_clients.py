"""Reviews and probes while a hostile pod does what it can to the port, one attack after the other.

The victim asks every now and then, as an API server does whose users apply something: on a connection that
it keeps, on one that is new, and /healthz on a new one as the kubelet does.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from tests.serving.attacks import ATTACKS, Target, attacking
from tests.serving.process import READY, WebhookProcess, read_reply

from benchmarks.measure import Figure, percentile
from benchmarks.plan import Plan
from benchmarks.reviews import KINDS
from benchmarks.settings import write_settings
from benchmarks.synthetic import write

GROWS = 3.0
"""Seconds until an attack is in full swing."""

SECONDS = 10.0
PAUSE = 0.01
AIM = 100.0
"""Milliseconds, of one answer in a hundred."""

JSON = {"Content-Type": "application/json"}
CALM = "nobody attacks"


def figures(plan: Plan) -> Iterator[Figure]:
    """For each attack p99 of the three, and the memory of the worker; first without any."""
    cluster = plan.folder / "attacked"
    cluster.mkdir()
    write(str(cluster / "cluster.yaml"), plan.size, plan.seed)
    config = write_settings(plan.folder / "attacked.yaml", plan.size)
    with WebhookProcess(cluster, "--config", str(config)) as webhook:
        webhook.wait_for(READY, seconds=300)
        yield from _measured(webhook, CALM, plan)
        for number, name in enumerate(ATTACKS, 1):
            target = Target(webhook.url.port or 0, str(webhook.ca), source=f"127.0.1.{number}")
            with attacking(name, target):
                time.sleep(GROWS)
                yield from _measured(webhook, name.replace("_", " "), plan)


def _measured(webhook: WebhookProcess, name: str, plan: Plan) -> Iterator[Figure]:
    kept, new, probes = [], [], []
    body = next(kind for kind in KINDS if kind.name == "Deployment create").review(0, 1)
    ends = time.perf_counter() + max(2.0, SECONDS / (10 if plan.quick else 1))
    with contextlib.closing(webhook.connect()) as connection:
        while time.perf_counter() < ends:
            started = time.perf_counter()
            connection.request("POST", "/validate", body, JSON)
            _check(read_reply(connection).status)
            kept.append((time.perf_counter() - started) * 1000)
            for method, path, sent, times in (
                ("POST", "/validate", body, new),
                ("GET", "/healthz", None, probes),
            ):
                started = time.perf_counter()
                _check(webhook.request(method, path, sent).status)
                times.append((time.perf_counter() - started) * 1000)
            time.sleep(PAUSE)
    for what, times in (("kept connection", kept), ("new connection", new), ("/healthz", probes)):
        yield Figure(f"{name}: {what}, p99", "ms", [percentile(times, 0.99)], at_most=AIM)
    yield Figure(f"{name}: memory of the worker", "MiB", [_memory(webhook.worker)])


def _check(status: int) -> None:
    if status != 200:
        raise SystemExit(f"a request was answered with {status}")


def _memory(pid: int) -> float:
    """Resident, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return float(status.partition("VmRSS:")[2].split()[0]) / 1024
