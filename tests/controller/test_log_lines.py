"""What the controller logs of its writes: the policy and its uid, in the words of the page."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.controller.test_loops import Cabinet
from tests.controller.test_plan import keys_at

from istio_netpol.controller.metrics import ControllerMetrics
from istio_netpol.controller.plan import Apply, Delete, Mark, PlannedWrite, Present
from istio_netpol.controller.policy_writer import PacedWriter
from istio_netpol.errors import ApiError

PAGE = (Path(__file__).parents[2] / "docs" / "logs.md").read_text(encoding="utf-8")
UID = "0b4f5f6e-6a0e-4f0e-8f43-9d2c1a5b7e11"


def logged(action: PlannedWrite) -> dict[str, Any]:
    """The line that one write leaves."""
    with capture_logs() as lines:
        PacedWriter(Cabinet(ApiError(403, "exceeded quota")), 10_000, ControllerMetrics()).carry_out(
            [action], threading.Event()
        )
    (line,) = lines
    return dict(line)


def present(name: str) -> Present:
    return Present(keys_at("192.0.2.1/32", name=name), True, UID, "1")


@pytest.mark.parametrize(
    ("action", "event", "uid"),
    [
        (Apply(keys_at("192.0.2.1/32", name="good")), "policy applied", ""),
        (Apply(keys_at("192.0.2.1/32", name="good"), (), present("good")), "policy applied", UID),
        (Mark(present("good"), 1.0), "policy marked", UID),
        (Delete(present("good")), "policy deleted", UID),
    ],
)
def test_a_write_names_the_policy_and_its_uid(action: PlannedWrite, event: str, uid: str) -> None:
    """The uid tells a policy from another one of its name, before or after it."""
    line = logged(action)
    assert line["event"] == event
    assert line["object"] == str(action.target.ref)
    assert line["object_uid"] == uid
    assert f"`{event}`" in PAGE


def test_a_write_that_fails_says_why() -> None:
    """With the status and the words of the API server."""
    line = logged(Delete(present("bad")))
    assert (line["event"], line["log_level"]) == ("policy not deleted, and tried again", "warning")
    assert (line["status"], line["object_uid"]) == (403, UID)
    assert "exceeded quota" in line["reason"]
    assert "`policy not applied, and tried again`" in PAGE
