"""What the controller tells of itself: metrics, and whether it is ready."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app


class Measures:
    """The controller's metrics."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        prefix = "istio_netpol_controller_"
        self.leading = self._gauge(f"{prefix}leading", "1 while this replica leads.")
        self.stale = self._gauge(f"{prefix}stale", "1 while nothing is done since the cluster is not read.")
        self.own = self._gauge(f"{prefix}policies", "Generated policies in the cluster.")
        self.withheld = self._gauge(f"{prefix}withheld", "Policies that are needed and not written.")
        self.hosts = self._gauge(f"{prefix}hosts_in_trouble", "Hosts whose old addresses stay or go.")
        self.not_judged = self._gauge(
            f"{prefix}objects_not_judged",
            "Objects that an error inside istio-netpol keeps from being judged.",
        )
        self.failures = Counter(f"{prefix}failures", "What went wrong.", registry=self.registry)
        self.errors = Counter(
            f"{prefix}errors",
            "Errors inside istio-netpol by loop, which goes on; each is in the log with its traceback.",
            ["loop"],
            registry=self.registry,
        )
        self.seconds = Histogram(f"{prefix}seconds", "Time for one round.", registry=self.registry)
        self.actions = Counter(f"{prefix}actions", "Writes, by kind.", ["action"], registry=self.registry)

    def errored(self, loop: str) -> None:
        """Counts an error that a loop met."""
        self.errors.labels(loop).inc()

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(name, meaning, registry=self.registry)


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
