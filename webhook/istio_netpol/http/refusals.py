"""Connections that are open, and those that we ended: counted for Prometheus, and logged in moderation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from istio_netpol.http.moderation import ModeratedLog


class Reason(StrEnum):
    """Why a connection was ended."""

    SLOW = "slow"
    """Its handshake, its request or its taking the answer took too long."""

    RATE = "rate"
    """Its client, of which no review was answered lately, made too many in a short time."""

    CLIENT_LIMIT = "client-limit"
    """Its client had too many."""

    TOTAL_LIMIT = "total-limit"
    """All clients together had too many."""

    MEMORY = "memory"
    """Too many bytes of requests waited."""

    TLS = "tls"
    """Its handshake failed."""

    REQUEST = "request"
    """Its request was too large, or not HTTP."""


class Refusals(Collector):
    """Counts the refused connections of one process. Its loop counts, and any thread collects."""

    def __init__(self) -> None:
        self.open = 0
        self._counts: Counter[Reason] = Counter(dict.fromkeys(Reason, 0))
        self._log = ModeratedLog("connections")

    def refused(self, reason: Reason, client: str, why: str = "") -> None:
        """Counts a connection that was ended."""
        self._counts[reason] += 1
        self._log.tell("connection refused", client, reason, **({"reason": why} if why else {}))

    def summarize(self) -> None:
        """Once a minute, logs how many more there were than was logged."""
        self._log.summarize()

    def collect(self) -> Iterator[Metric]:
        """The counts as Prometheus reads them."""
        yield GaugeMetricFamily("istio_netpol_connections", "Connections that are open.", self.open)
        counts = CounterMetricFamily(
            "istio_netpol_connections_refused",
            f"Connections that the webhook ended, by reason: {', '.join(Reason)}.",
            labels=["reason"],
        )
        for reason, count in self._counts.items():
            counts.add_metric([reason], count)
        yield counts
