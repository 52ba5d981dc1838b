"""Reviews of one tenant while another one does its worst, with a real API server behind the webhook.

The attacker is a process of its own that sends new objects on many connections as fast as they are answered;
the victim's reviews come every 20 ms. All share the machine: what an attack costs of the processor is in the
victim's times, beside what it holds up.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import count

from tests.cluster.fixtures import started
from tests.kube.neighbours import (
    Body,
    Fared,
    Neighbours,
    keys_at_an_address,
    keys_of_a_silent_host,
    neighbours,
    workload,
)
from tests.tools.programs import ASSETS, absent

from benchmarks.load import Job
from benchmarks.measure import Figure, percentile
from benchmarks.plan import Plan

P99 = 100.0
SECONDS = 10.0
BODIES = 5000
PAUSE = 0.02
ADMISSION = {"maxPoliciesPerNamespace": 500, "writesPerSecond": 10}


@dataclass(frozen=True)
class _Attack:
    """What the attacker sends, on how many connections."""

    name: str
    body: Body
    connections: int


ATTACKS = (
    None,
    _Attack("64 reviews with silent hosts at a time", keys_of_a_silent_host, 64),
    _Attack("policies beside istiod, 8 at a time", keys_at_an_address, 8),
    _Attack("Deployments, 8 at a time", workload, 8),
)
VICTIM = {"a Deployment": workload, "a RequestAuthentication that gets a policy": keys_at_an_address}


def figures(plan: Plan) -> Iterator[Figure]:
    """p50 and p99 of the victim's reviews with each attack running, and its policies that were withheld."""
    if reason := absent(*ASSETS):
        print(f"   left out: {reason}")
        return
    with started(plan.folder / "cluster") as plane, neighbours(plane, plan.folder, ADMISSION) as world:
        numbers = {name: count() for name in VICTIM}
        for attack in ATTACKS:
            with _attacked(world, attack, plan):
                for name, body in VICTIM.items():
                    pause = PAUSE if body is workload else 1 / ADMISSION["writesPerSecond"]
                    fared = world.reviewed(world.victim, body, numbers[name], pause, SECONDS)
                    yield from _figures(name, attack, fared)


def _figures(name: str, attack: _Attack | None, fared: Fared) -> Iterator[Figure]:
    beside = f"; beside {attack.name}" if attack else "; alone"
    times = fared.milliseconds
    yield Figure(f"{name}{beside}: p50", "ms", [percentile(times, 0.5)])
    yield Figure(f"{name}{beside}: p99", "ms", [percentile(times, 0.99)], at_most=P99)
    yield Figure(f"{name}{beside}: withheld", "", [float(len(fared.withheld))], at_most=0)


@contextlib.contextmanager
def _attacked(world: Neighbours, attack: _Attack | None, plan: Plan) -> Iterator[None]:
    """An attack that goes on until the block ends."""
    if attack is None:
        yield
        return
    bodies = plan.folder / "attack.jsonl"
    bodies.write_bytes(b"\n".join(attack.body(world.attacker, number) for number in range(BODIES)) + b"\n")
    port = world.webhook.url.port or 0
    job = Job(
        port, str(world.webhook.ca), str(bodies), attack.connections, 3600.0, sys.maxsize, path="/mutate"
    )
    command = [sys.executable, "-m", "benchmarks.load", json.dumps(asdict(job))]
    process = subprocess.Popen(command)
    try:
        yield
        if process.poll() is not None:
            raise SystemExit(f"the attack ended by itself: {attack.name}")
    finally:
        process.terminate()
        process.wait(30)
