"""Whatever a pod does that can reach the port, reviews of others and the kubelet's probes are answered."""

from __future__ import annotations

import contextlib
import statistics
import time

import pytest
from tests.serving.attacks import ATTACKS, Target, attacking
from tests.serving.cluster import Manifest
from tests.serving.process import WebhookProcess, read_reply
from tests.serving.reviews import review
from tests.waiting import wait_until

WITHIN = 2.0
"""Seconds for most answers, on the slowest of machines: it gives a client that it waits for 10 seconds.
`benchmarks/slow_clients.py` measures what they are."""

GROWS = 1.0
"""Seconds from an attack's first connection until it is in full swing."""

ROUNDS = 12


@pytest.mark.parametrize("attack", ATTACKS)
def test_others_are_answered(webhook: WebhookProcess, httpbin: Manifest, attack: str) -> None:
    """On a connection that is kept, on new ones, and on /healthz; and nothing of it is an error."""
    body = review(httpbin)
    # Each from an address of its own, so that none is held to what another one did.
    source = f"127.0.1.{1 + list(ATTACKS).index(attack)}"
    target = Target(webhook.url.port or 0, str(webhook.ca), source=source)
    took: list[float] = []
    with contextlib.closing(webhook.connect()) as kept, attacking(attack, target):
        time.sleep(GROWS)
        for _ in range(ROUNDS):
            started = time.monotonic()
            kept.request("POST", "/validate", body, {"Content-Type": "application/json"})
            assert read_reply(kept).json["response"]["allowed"] is False
            took.append(time.monotonic() - started)
            for method, path, sent in (("POST", "/validate", body), ("GET", "/healthz", None)):
                started = time.monotonic()
                assert webhook.request(method, path, sent).status == 200
                took.append(time.monotonic() - started)
            time.sleep(0.05)
    assert statistics.quantiles(took, n=4)[2] < WITHIN
    assert not [line for line in webhook.logged if line.get("level") in {"error", "critical"}]


def test_attacks_do_not_fill_the_log(webhook: WebhookProcess) -> None:
    """Thousands of connections and of requests that are no reviews make a line each, which names its client;
    the metrics have the counts."""
    source, mark = "127.0.1.99", webhook.mark
    target = Target(webhook.url.port or 0, str(webhook.ca), source=source)
    with attacking("silent", target), attacking("no_reviews", target):
        assert webhook.wait_for("connection refused", mark)["client"] == source
        assert webhook.wait_for("a request was not a review", mark)["client"] == source
        wait_until("the crowd of connections is refused", lambda: _refused(webhook) > 10)
    lines = [line for line in webhook.logged[mark:] if line.get("client") == source]
    assert len(lines) < 10


def _refused(webhook: WebhookProcess) -> float:
    """Connections that came too fast, as metrics count them."""
    return float(webhook.metrics().partition('connections_refused_total{reason="rate"} ')[2].split()[0])
