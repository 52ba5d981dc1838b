"""What the controller tells of itself: metrics, and whether it is ready."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from prometheus_client import Counter, Gauge, Histogram, make_wsgi_app

from istio_netpol.runtime.process_metrics import CONTROLLER, process_registry

PREFIX = "istio_netpol_controller_"
LOOPS = ("follow", "reconcile", "tell", "lease", "PathUpkeep", "CertificateUpkeep")
ACTIONS = ("apply", "mark", "delete")
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Measures:
    """The controller's metrics. Every label has few values, which all are there from the start."""

    def __init__(self) -> None:
        self.registry = process_registry(CONTROLLER)
        self.leading = self._gauge("leading", "1 while this replica leads, and so keeps policies, else 0.")
        self.stale = self._gauge(
            "stale",
            "1 while nothing is written or deleted, since the cluster was not read, or too long ago, else 0.",
        )
        self.own = self._gauge("policies", "Generated policies in the cluster.")
        self.withheld = self._gauge(
            "policies_withheld", "Policies that are needed and not written: a limit holds them back."
        )
        self.hosts = self._gauge(
            "hosts_in_trouble",
            "Hosts whose last good addresses stay open since DNS fails, or whose oldest ones were given up.",
        )
        self.not_judged = self._gauge(
            "objects_not_judged",
            "Objects that an error inside istio-netpol keeps from being judged.",
        )
        self.failures = Counter(
            f"{PREFIX}failures",
            "Requests to the API server that were refused or failed: of policies, Events and reports.",
            registry=self.registry,
        )
        self.errors = Counter(
            f"{PREFIX}errors",
            "Errors inside istio-netpol by the loop that met them, which goes on; each is in the log with "
            "its traceback.",
            ["loop"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            f"{PREFIX}round_duration_seconds",
            "Time for one round: to compare what is needed with what is there, and to write the difference.",
            registry=self.registry,
            buckets=SECONDS,
        )
        self.actions = Counter(
            f"{PREFIX}actions",
            "Policies that were applied (written or put right), marked (for deletion later) or deleted, by "
            "action.",
            ["action"],
            registry=self.registry,
        )
        for loop in LOOPS:
            self.errors.labels(loop)
        for action in ACTIONS:
            self.actions.labels(action)

    def errored(self, loop: str) -> None:
        """Counts an error that a loop met."""
        self.errors.labels(loop).inc()

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(f"{PREFIX}{name}", meaning, registry=self.registry)


class Said:
    """What was said last: what stays true is said once."""

    def __init__(self) -> None:
        self._sentences: frozenset[str] = frozenset()

    def news(self, sentences: Sequence[str]) -> list[str]:
        """Those that were not among the last ones."""
        said, self._sentences = self._sentences, frozenset(sentences)
        return [each for each in sentences if each not in said]


def application(measures: Measures, problems: Callable[[], Sequence[str]]) -> Any:
    """`/healthz`, `/readyz` (503 with the problems while there are any) and `/metrics`, as WSGI."""
    metrics: Any = make_wsgi_app(measures.registry)

    def serve(environ: dict[str, Any], start_response: Any) -> Any:
        match environ["PATH_INFO"]:
            case "/metrics":
                return metrics(environ, start_response)
            case "/healthz":
                return _answer(start_response, "200 OK", {"status": "ok"})
            case "/readyz":
                found = list(problems())
                status = "503 Service Unavailable" if found else "200 OK"
                return _answer(start_response, status, {"reasons": found} if found else {"status": "ready"})
        return _answer(start_response, "404 Not Found", {"error": "nothing is served here", "code": 404})

    return serve


def _answer(start_response: Any, status: str, content: dict[str, Any]) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(content).encode()]
