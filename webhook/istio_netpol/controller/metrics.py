"""The metrics of the controller, and whether it is ready, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import Counter, Gauge, Histogram, make_wsgi_app

from istio_netpol.runtime.probes import ALIVE, readiness_answer
from istio_netpol.runtime.process_metrics import CONTROLLER, process_registry

PREFIX = "istio_netpol_controller_"
LOOPS = ("follow", "reconcile", "tell", "lease", "review-paths", "certificates")
"""The loops of the controller, as the label `loop` names them."""

ACTIONS = ("apply", "mark", "delete")
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class ControllerMetrics:
    """The controller's metrics. Every label has few values, and all of them are there from the start."""

    def __init__(self) -> None:
        self.registry = process_registry(CONTROLLER)
        self.leading = self._gauge(
            "leading", "1 while this replica leads, and so writes policies; 0 while it only follows."
        )
        self.stale = self._gauge(
            "stale",
            "1 while no policy is written or deleted, because the cluster was not read or was read too long "
            "ago; otherwise 0.",
        )
        self.own = self._gauge("policies", "Generated policies in the cluster.")
        self.withheld = self._gauge(
            "policies_withheld",
            "Needed policies that are not written, because a limit or another policy of that name holds "
            "them back.",
        )
        self.hosts = self._gauge(
            "hosts_in_trouble",
            "Hosts whose last good addresses stay open because DNS fails, or whose oldest addresses were "
            "given up.",
        )
        self.not_judged = self._gauge(
            "objects_not_judged",
            "Objects that are not judged because of an error inside istio-netpol.",
        )
        self.failures = Counter(
            f"{PREFIX}failures",
            "Requests for policies, Events and reports that the API server refused or that failed.",
            registry=self.registry,
        )
        self.errors = Counter(
            f"{PREFIX}errors",
            "Errors inside istio-netpol by the loop that met them. The loop goes on; the log has each error "
            "with its traceback.",
            ["loop"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            f"{PREFIX}round_duration_seconds",
            "Time that a round takes to compare the needed policies with those that are there, and to write "
            "the difference.",
            registry=self.registry,
            buckets=SECONDS,
        )
        self.actions = Counter(
            f"{PREFIX}actions",
            "Policies that were applied (written or restored), marked (for later deletion) or deleted, by "
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


def application(registered: ControllerMetrics, problems: Callable[[], Sequence[str]]) -> WSGIApplication:
    """`/healthz`, `/readyz` (503 with the problems while there are any) and `/metrics`, as WSGI."""
    metrics: WSGIApplication = make_wsgi_app(registered.registry)

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/metrics":
                return metrics(environ, start_response)
            case "/healthz":
                return _answer(start_response, HTTPStatus.OK, ALIVE)
            case "/readyz":
                return _answer(start_response, *readiness_answer(problems()))
        nothing = {"error": "nothing is served here", "code": HTTPStatus.NOT_FOUND}
        return _answer(start_response, HTTPStatus.NOT_FOUND, nothing)

    return serve


def _answer(
    start_response: StartResponse, status: HTTPStatus, content: Mapping[str, object]
) -> Iterable[bytes]:
    start_response(f"{status:d} {status.phrase}", [("Content-Type", "application/json")])
    return [json.dumps(content).encode()]
