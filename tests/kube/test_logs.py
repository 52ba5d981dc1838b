"""The log lines of a webhook that a real API server asks: JSON with object and uids, as the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.cluster.users import TENANT
from tests.kube.manifests import deployment
from tests.kube.test_admission import denied_namespace
from tests.serving.process import WebhookProcess
from tests.waiting import wait_until

PAGE = Path(__file__).parents[2] / "docs" / "logs.md"
UID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")


def lines_about(webhook: WebhookProcess, namespace: str, since: int) -> list[dict[str, Any]]:
    """What the webhook has logged of reviews of `web` in a namespace."""
    found = webhook.logged[since:]
    return [
        line
        for line in found
        if line["logger"] == "review" and line.get("object") == f"Deployment {namespace}/web"
    ]


def fields_of_the_page() -> set[str]:
    """The fields of a review's line, as the page lists them."""
    section = PAGE.read_text(encoding="utf-8").partition("## Reviews")[2].partition("\n## ")[0]
    return {
        name
        for row in re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }


def test_a_denial_is_one_line_with_all_that_it_takes_to_find_it(
    control_plane: ControlPlane, webhook: WebhookProcess
) -> None:
    """Who asked for what in which namespace, by which rules it was denied, how long that took, with the uids
    of review and object."""
    namespace = denied_namespace(control_plane, "reject")
    mark = webhook.mark
    assert control_plane.kubectl(TENANT).apply(deployment("web", namespace)).code == 1
    wait_until("the line was read", lambda: lines_about(webhook, namespace, mark))
    (line,) = lines_about(webhook, namespace, mark)
    assert (line["event"], line["decision"], line["level"]) == ("denied", "denied", "info")
    assert (line["object"], line["namespace"]) == (f"Deployment {namespace}/web", namespace)
    assert (line["operation"], line["webhook"], line["dry_run"]) == ("CREATE", "validate", False)
    assert line["user"] == TENANT
    assert line["rules"] == ["dns", "proxy-to-istiod"]
    assert UID.fullmatch(line["uid"])
    assert UID.fullmatch(line["object_uid"])
    assert 0 < line["seconds"] < 30
    assert set(line) == fields_of_the_page()


def test_warnings_and_written_policies_are_logged_with_the_uid_of_the_stored_object(
    control_plane: ControlPlane, webhook: WebhookProcess
) -> None:
    """An update names the object as the API server stores it; what was written stands in the line."""
    namespace = denied_namespace(control_plane, "augment")
    mark = webhook.mark
    kubectl = control_plane.kubectl()
    assert kubectl.apply(deployment("web", namespace)).code == 0
    wait_until("the line was read", lambda: lines_about(webhook, namespace, mark))
    written = [line for line in lines_about(webhook, namespace, mark) if line["written"]]
    assert {line["webhook"] for line in written} == {"mutate"}
    assert all(name.startswith(f"{namespace}/") for line in written for name in line["written"])

    warned = denied_namespace(control_plane, "warn")
    mark = webhook.mark
    assert kubectl.apply(deployment("web", warned)).code == 0
    path = f"/apis/apps/v1/namespaces/{warned}/deployments/web"
    stored = control_plane.api().request("GET", path).object["metadata"]["uid"]
    wait_until("the line was read", lambda: lines_about(webhook, warned, mark))
    (line,) = lines_about(webhook, warned, mark)
    assert (line["event"], line["decision"], line["warnings"]) == ("admitted", "allowed", 3)
    assert line["object_uid"] == stored


def test_what_is_admitted_without_a_word_leaves_no_line(
    control_plane: ControlPlane, webhook: WebhookProcess
) -> None:
    """A log of every review would hide those that matter."""
    namespace = control_plane.namespace({"istio-netpol.io/mode": "reject"})
    mark = webhook.mark
    assert control_plane.kubectl().apply(deployment("web", namespace)).code == 0
    assert lines_about(webhook, namespace, mark) == []


@pytest.mark.parametrize("field", ["event", "level", "logger", "timestamp"])
def test_every_line_says_what_happened_when_and_where(webhook: WebhookProcess, field: str) -> None:
    """Whoever logs, ours or a library."""
    assert webhook.logged
    assert all(line.get(field) for line in webhook.logged)
