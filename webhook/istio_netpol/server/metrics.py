"""What the process tells Prometheus, in a registry of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum

from prometheus_client import Counter, Gauge, Histogram

from istio_netpol.certs.review_paths import Door
from istio_netpol.model.findings import Issue
from istio_netpol.model.flows import FlowKind
from istio_netpol.model.policy_store import StoreResult
from istio_netpol.runtime.process_metrics import WEBHOOK, process_registry
from istio_netpol.server.proof import Unproven
from istio_netpol.server.reviewer import ReviewResponse
from istio_netpol.state.source import SourceState


class MapResult(StrEnum):
    """The words by which requests are counted."""

    ANSWERED = "answered"

    UNAUTHENTICATED = "unauthenticated"
    """No token that the API server accepts."""

    FORBIDDEN = "forbidden"
    """No namespace may be seen."""

    LIMITED = "limited"
    """Too many tokens were tried."""

    FAILED = "failed"
    """The cluster is not read, the API server does not answer, or something else was asked for."""


RESULTS = ("allowed", "denied", "error")
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
DELAYS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Counts reviews and what became of them. Every label has few values, which all are there from the start:
    a counter that appears with its first event hides that event from `rate`."""

    def __init__(self, state: Callable[[], SourceState], certificate_ends: Callable[[], float]) -> None:
        self.registry = registry = process_registry(WEBHOOK)
        self._reviews = Counter(
            "istio_netpol_reviews",
            "Requests by webhook (validate or mutate) and result: allowed, denied or error. An error is a "
            "body that is not an AdmissionReview, or a request before the cluster was read.",
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
            "istio_netpol_review_duration_seconds",
            "Time between a complete request and its answer, by webhook.",
            ("webhook",),
            registry=registry,
            buckets=SECONDS,
        )
        self._evaluations = Counter(
            "istio_netpol_evaluations",
            "Reviews for which the flow rules were evaluated, by webhook. The others could change nothing, "
            "or an earlier review had answered them.",
            ("webhook",),
            registry=registry,
        )
        self._findings = Counter(
            "istio_netpol_findings",
            "Reviews in which a rule found something, by the id of the rule.",
            ("rule",),
            registry=registry,
        )
        self._policies = Counter(
            "istio_netpol_policies",
            "Policies that mode augment set out to store, by result: written, or refused by the API server "
            "or by a limit.",
            ("result",),
            registry=registry,
        )
        self._loads = Counter(
            "istio_netpol_source_loads",
            "Times that the source was read, by result: good or broken.",
            ("result",),
            registry=registry,
        )
        self._maps = Counter(
            "istio_netpol_map_requests",
            "Requests for the map by result: answered, unauthenticated (no token that the API server "
            "accepts), forbidden (no namespace may be seen), limited (too many tokens tried) or failed.",
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
            "Errors inside istio-netpol by the loop that met them, which goes on; each is in the log with "
            "its traceback.",
            ("loop",),
            registry=registry,
        )
        self._gauge(
            "istio_netpol_source_age_seconds",
            "Seconds since what decisions go by was last known to be what the cluster, or the folder, holds.",
            lambda: state().age,
        )
        self._gauge(
            "istio_netpol_source_problems",
            "Reasons that keep the cluster, or the folder, from being read; /readyz has them in words.",
            lambda: len(state().problems),
        )
        self._gauge(
            "istio_netpol_objects", "Objects that decisions go by.", lambda: state().snapshot.object_count
        )
        self._gauge(
            "istio_netpol_certificate_expiry_timestamp_seconds",
            "When the certificate that is served ends, in Unix time.",
            certificate_ends,
        )
        self.lag = Gauge(
            "istio_netpol_source_lag_seconds",
            "Seconds since the webhook heard of the oldest change of the cluster that its decisions do not "
            "take into account yet; 0 where there is none.",
            registry=registry,
        )
        self.change_delay = Histogram(
            "istio_netpol_change_delay_seconds",
            "Time from when the webhook heard of a change of the cluster until its decisions take it into "
            "account, for the oldest change of each batch.",
            registry=registry,
            buckets=DELAYS,
        )
        self.ready = Gauge(
            "istio_netpol_ready", "1 while /readyz answers 200, otherwise 0.", registry=registry
        )
        self._begin()

    def _begin(self) -> None:
        """Lets every counter begin at 0, and keeps at hand what each review counts."""
        self._seconds_by = {str(door): self._seconds.labels(door) for door in Door}
        self._evaluations_by = {str(door): self._evaluations.labels(door) for door in Door}
        self._reviews_by = {
            (str(door), result): self._reviews.labels(door, result) for door in Door for result in RESULTS
        }
        for lacks in Unproven:
            self._unproven.labels(lacks)
        for rule in (*FlowKind, *Issue):
            self._findings.labels(rule)
        for result in ("written", "refused"):
            self._policies.labels(result)
        for result in ("good", "broken"):
            self._loads.labels(result)
        for result in MapResult:
            self._maps.labels(result)
        self._errors.labels("source")

    def reviewed(self, webhook: str, answer: ReviewResponse, seconds: float) -> None:
        """Counts one request."""
        self._seconds_by[webhook].observe(seconds)
        if answer.decision is None:
            self._reviews_by[webhook, "error"].inc()
            return
        self._reviews_by[webhook, "allowed" if answer.decision.allowed else "denied"].inc()
        if answer.decision.worked_out:
            self._evaluations_by[webhook].inc()
        for rule in answer.decision.rules:
            self._findings.labels(rule).inc()
        self.stored(answer.stored)

    def unproven(self, lacks: str) -> None:
        """Counts one request that was refused for want of proof."""
        self._unproven.labels(lacks).inc()

    def stored(self, results: Sequence[StoreResult]) -> None:
        """Counts what became of policies."""
        for result in results:
            self._policies.labels("written" if result.written else "refused").inc()

    def mapped(self, result: str) -> None:
        """Counts one request for the map."""
        self._maps.labels(result).inc()

    def errored(self, loop: str) -> None:
        """Counts an error that a loop met."""
        self._errors.labels(loop).inc()

    def loaded(self, *, good: bool) -> None:
        """Counts one reading of the source."""
        self._loads.labels("good" if good else "broken").inc()

    def _gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        Gauge(name, text, registry=self.registry).set_function(value)
