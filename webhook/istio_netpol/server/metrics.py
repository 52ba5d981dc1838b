"""What the process tells Prometheus, in a registry of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from istio_netpol.model.interfaces import StoreResult
from istio_netpol.server.reviewer import Answer
from istio_netpol.state.source import SourceState

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """Counts reviews and what became of them."""

    def __init__(self, state: Callable[[], SourceState], certificate_ends: Callable[[], float]) -> None:
        self.registry = registry = CollectorRegistry()
        self._reviews = Counter(
            "istio_netpol_reviews",
            "Requests by webhook and result: allowed, denied or error.",
            ("webhook", "result"),
            registry=registry,
        )
        self._unproven = Counter(
            "istio_netpol_unproven_reviews",
            "Requests that were not judged, since nothing proved that the API server sent them, by what they "
            "lacked: path or certificate.",
            ("lacks",),
            registry=registry,
        )
        self._seconds = Histogram(
            "istio_netpol_review_seconds",
            "Time to answer a request.",
            ("webhook",),
            registry=registry,
            buckets=SECONDS,
        )
        self._evaluations = Counter(
            "istio_netpol_evaluations",
            "Requests for which the rules were asked. The others could not matter, or were answered before.",
            ("webhook",),
            registry=registry,
        )
        self._findings = Counter(
            "istio_netpol_findings",
            "Reviews in which a rule found something.",
            ("rule",),
            registry=registry,
        )
        self._policies = Counter(
            "istio_netpol_policies", "Policies by result: written or refused.", ("result",), registry=registry
        )
        self._loads = Counter(
            "istio_netpol_source_loads",
            "Times that the source was read, by result: good or broken.",
            ("result",),
            registry=registry,
        )
        self.not_judged = Gauge(
            "istio_netpol_objects_not_judged",
            "Objects that an error inside istio-netpol keeps from being judged.",
            registry=registry,
        )
        self._errors = Counter(
            "istio_netpol_errors",
            "Errors inside istio-netpol by loop, which goes on; each is in the log with its traceback.",
            ("loop",),
            registry=registry,
        )
        self._gauge(
            "istio_netpol_source_age_seconds", "Since the source was last seen good.", lambda: state().age
        )
        self._gauge(
            "istio_netpol_source_problems",
            "What keeps the source from being read.",
            lambda: len(state().problems),
        )
        self._gauge("istio_netpol_objects", "Objects in the snapshot.", lambda: state().snapshot.object_count)
        self._gauge(
            "istio_netpol_certificate_expiry_timestamp_seconds",
            "When the certificate ends.",
            certificate_ends,
        )

    def reviewed(self, webhook: str, answer: Answer, seconds: float) -> None:
        """Counts one request."""
        self._seconds.labels(webhook).observe(seconds)
        if answer.decision is None:
            self._reviews.labels(webhook, "error").inc()
            return
        self._reviews.labels(webhook, "allowed" if answer.decision.allowed else "denied").inc()
        if answer.decision.worked_out:
            self._evaluations.labels(webhook).inc()
        for rule in answer.decision.rules:
            self._findings.labels(rule).inc()
        self.stored(answer.stored)

    def unproven(self, lacks: str) -> None:
        """Counts one request that was refused for want of proof."""
        self._unproven.labels(lacks).inc()

    def stored(self, results: Sequence[StoreResult]) -> None:
        """Counts what became of policies."""
        for each in results:
            self._policies.labels("written" if each.written else "refused").inc()

    def errored(self, loop: str) -> None:
        """Counts an error that a loop met."""
        self._errors.labels(loop).inc()

    def loaded(self, *, good: bool) -> None:
        """Counts one reading of the source."""
        self._loads.labels("good" if good else "broken").inc()

    def _gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        Gauge(name, text, registry=self.registry).set_function(value)
