"""Reviews over HTTPS, and a bare Flask endpoint behind the same server settings in turn with them."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.load import Job
from benchmarks.measure import Figure, percentile
from benchmarks.plan import Plan
from benchmarks.reviews import mix
from benchmarks.settings import write_settings
from benchmarks.synthetic import write
from istio_netpol.certs.self_signed import CertificateFiles, make_self_signed

CONNECTIONS = 8
SECONDS = 5.0
COUNT = 40_000
ROUNDS = 5
BODIES = 4000
STARTS_WITHIN = 300.0


def figures(plan: Plan) -> Iterator[Figure]:
    """Reviews a second, p50 and p99 of both endpoints, round by round, and what the webhook adds."""
    files = make_self_signed(plan.folder / "tls")
    bodies = plan.folder / "bodies.jsonl"
    bodies.write_bytes(b"\n".join(islice(mix(plan.size.namespaces), BODIES)) + b"\n")
    webhook_rate = Figure("webhook over HTTPS, 8 connections", "/s", at_least=1200)
    bare_rate = Figure("bare Flask endpoint, 8 connections", "/s")
    webhook_slow = Figure("webhook over HTTPS: p99", "ms", at_most=12)
    bare_slow = Figure("bare Flask endpoint: p99", "ms")
    ratio = Figure("webhook / bare endpoint: time of a request", "x", at_most=1.5)
    with _webhook(plan, files) as webhook, _bare(plan, files) as bare:
        for _ in range(plan.times(ROUNDS)):
            empty_rate, empty_slow, _ = _round(bare, files, bodies)
            rate, slow, _ = _round(webhook, files, bodies)
            bare_rate.runs.append(empty_rate)
            bare_slow.runs.append(empty_slow)
            webhook_rate.runs.append(rate)
            webhook_slow.runs.append(slow)
            ratio.runs.append(empty_rate / rate)
    yield from (webhook_rate, webhook_slow, bare_rate, bare_slow, ratio)


def _round(port: int, files: CertificateFiles, bodies: Path) -> tuple[float, float, float]:
    """Requests a second, p99 and p50 in milliseconds."""
    job = Job(port, str(files.ca), str(bodies), CONNECTIONS, SECONDS, COUNT)
    command = [sys.executable, "-m", "benchmarks.load", json.dumps(asdict(job))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + SECONDS, check=True)
    found = json.loads(done.stdout)
    times = found["milliseconds"]
    if found["errors"] or not times:
        raise SystemExit(f"{found['errors']} of {len(times)} requests failed")
    return len(times) / found["wall"], percentile(times, 0.99), percentile(times, 0.5)


@contextlib.contextmanager
def _webhook(plan: Plan, files: CertificateFiles) -> Iterator[int]:
    cluster = plan.folder / "served"
    cluster.mkdir()
    write(str(cluster / "cluster.yaml"), plan.size, plan.seed)
    config = write_settings(plan.folder / "settings.yaml", plan.size)
    command = [
        "-m",
        "istio_netpol",
        "serve",
        "--source",
        f"dir:{cluster}",
        "--config",
        str(config),
        "--offline",
    ]
    command += ["--listen", "127.0.0.1:0", "--cert", str(files.certificate), "--key", str(files.key)]
    with _server(command, plan.folder / "webhook.log", ("listening", "the source was read")) as port:
        yield port


@contextlib.contextmanager
def _bare(plan: Plan, files: CertificateFiles) -> Iterator[int]:
    command = ["-m", "benchmarks.bare_endpoint", str(files.certificate), str(files.key)]
    with _server(command, plan.folder / "bare.log", ("listening",)) as port:
        yield port


@contextlib.contextmanager
def _server(arguments: Sequence[str], log: Path, awaited: Sequence[str]) -> Iterator[int]:
    """A server process, once its log has said all that is awaited; its port."""
    with log.open("wb") as errors:
        process = subprocess.Popen([sys.executable, *arguments], stderr=errors)
        try:
            said = _said(process, log, awaited)
            yield urlsplit(said["listening"]["url"]).port or 0
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _said(process: subprocess.Popen[bytes], log: Path, awaited: Sequence[str]) -> dict[str, dict[str, str]]:
    ends = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < ends and process.poll() is None:
        entries = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        said = {entry["event"]: entry for entry in entries}
        if all(event in said for event in awaited):
            return said
        time.sleep(0.2)
    raise SystemExit(f"the server did not start:\n{log.read_text()}")
