"""What the controller answers over HTTP, and that the webhook answers in the same shape."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from werkzeug.test import Client

from istio_netpol.controller.metrics import ControllerMetrics, application
from istio_netpol.server.app import create_app
from istio_netpol.server.readiness import Readiness


def controller(*problems: str) -> Client:
    """The controller, with what keeps it from being ready."""
    return Client(application(ControllerMetrics(), lambda: problems))


def webhook(*problems: str) -> Client:
    """The webhook, likewise."""
    source = SimpleNamespace(problems=problems, synced=True, age=0.0)
    readiness = Readiness(lambda: source, lambda: True, str, float, str, str, 60.0)
    return create_app(SimpleNamespace(), readiness, SimpleNamespace()).test_client()


@pytest.mark.parametrize("process", [controller, webhook])
def test_readiness_has_one_shape(process: type[Client]) -> None:
    """A status and reasons, none where all is well; the HTTP status is what a kubelet reads."""
    ready = process().get("/readyz")
    assert (ready.status, ready.json) == ("200 OK", {"status": "ready", "reasons": []})
    told = process("pods can't be watched", "the lease is lost").get("/readyz")
    reasons = ["pods can't be watched", "the lease is lost"]
    assert told.status.lower() == "503 service unavailable"
    assert told.json == {"status": "not ready", "reasons": reasons}
    assert told.mimetype == "application/json"
    lives = process("pods can't be watched").get("/healthz")
    assert (lives.status, lives.json) == ("200 OK", {"status": "ok"})


def test_other_paths_are_not_served() -> None:
    """With an error object, as everywhere."""
    answer = controller().get("/")
    assert (answer.status_code, answer.json) == (404, {"error": "nothing is served here", "code": 404})
    assert b"istio_netpol_controller_leading" in controller().get("/metrics").data
