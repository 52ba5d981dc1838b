"""What a person hears of denied flows: Events, and reports of both kinds as their makers define them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.cluster.crds import KYVERNO, OPENREPORTS, defined
from tests.cluster.fixtures import require_go
from tests.controller.process import ControllerProcess
from tests.controller.test_on_a_cluster import SETTINGS, Shop

from istio_netpol.controller.report_documents import MAX_RESULTS, report, reported
from istio_netpol.controller.reporter import QUIET_SECONDS, Publisher
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.kube.resources import Resource
from istio_netpol.model.findings import Finding, Severity
from istio_netpol.model.flows import FlowKind
from istio_netpol.model.references import ObjectRef

REPORTS = {
    KYVERNO: Resource("wgpolicyk8s.io", "v1alpha2", "PolicyReport", "policyreports", namespaced=True),
    OPENREPORTS: Resource("openreports.io", "v1alpha1", "Report", "reports", namespaced=True),
}
"""The kind that each module defines."""

EVENTS = "/apis/events.k8s.io/v1/namespaces/{}/events"


class Told:
    """What a namespace's report and Events say."""

    def __init__(self, plane: ControlPlane, kind: Resource, namespace: str) -> None:
        self._api = plane.api()
        self._reports = kind.path(namespace)
        self._events = EVENTS.format(namespace)

    @property
    def report(self) -> dict[str, Any]:
        items = self._api.request("GET", self._reports).object.get("items", [])
        return dict(items[0]) if items else {}

    def failures(self) -> int:
        return int(self.report.get("summary", {}).get("fail", -1))

    def notes(self, name: str) -> list[str]:
        items = self._api.request("GET", self._events).object["items"]
        return [item["note"] for item in items if item["regarding"]["name"] == name]


@pytest.fixture(params=[KYVERNO, OPENREPORTS], ids=["wgpolicyk8s", "openreports"])
def kind(request: pytest.FixtureRequest, control_plane: ControlPlane) -> Iterator[Resource]:
    """The kind of reports that the API server serves, as its makers define it."""
    require_go()
    with defined(control_plane, request.param):
        yield REPORTS[request.param]


def test_what_is_denied_is_told_once_by_an_event_and_listed_in_a_report(
    control_plane: ControlPlane, kind: Resource, tmp_path: Path
) -> None:
    """`kubectl describe` and the report of the namespace say what is missing, until nothing is; what goes on
    beside it makes no further Event."""
    settings = tmp_path / "settings.yaml"
    settings.write_text(SETTINGS)
    shop = Shop(control_plane, mode="warn")
    told = Told(control_plane, kind, shop.name)
    kubectl = control_plane.kubectl()
    with ControllerProcess(control_plane.kubeconfig(), shop.name, settings):
        shop.deploy("cart")
        shop.deny_all()
        control_plane.wait_until("there is a report", lambda: told.failures() > 0, 60)
        results = told.report["results"]
        assert [result["policy"] for result in results] == ["dns", "dns", "proxy-to-istiod"]
        assert {result["resources"][0]["name"] for result in results} == {"cart"}
        described = kubectl("--namespace", shop.name, "describe", "deployment", "cart").stdout
        assert described.count("is denied by NetworkPolicy") == 1, described
        assert "(and 2 more)" in described

        for number in range(10):
            churn = ("label", "deployment", "cart", "--overwrite", f"round={number}")
            assert kubectl("--namespace", shop.name, *churn).code == 0
        shop.deploy("till")
        control_plane.wait_until("the other is told, too", lambda: told.failures() == 6, 60)
        assert (len(told.notes("cart")), len(told.notes("till"))) == (1, 1)

        assert kubectl("--namespace", shop.name, "delete", "networkpolicy", "deny-all").code == 0
        control_plane.wait_until("the report is empty", lambda: told.failures() == 0, 60)
    assert (len(told.notes("cart")), len(told.notes("till"))) == (1, 1)


def finding(number: int, severity: Severity, message: str = "x" * 2000, namespace: str = "shop") -> Finding:
    ref = ObjectRef("apps/v1", "Deployment", namespace, f"cart-{number:03}")
    return Finding(FlowKind.DNS, severity, ref, message)


def test_an_object_whose_trouble_changes_all_the_time_makes_few_events(
    control_plane: ControlPlane, namespace: str
) -> None:
    """A flow that is denied by something else every second does not fill the namespace with Events; what is
    true in the end is told."""
    now = [1000.0]
    connection = ApiConnection.open(kubeconfig=control_plane.kubeconfig())
    publisher = Publisher(connection, lambda _: None, lambda: now[0])
    for number in range(120):
        is_told = publisher.publish([finding(1, Severity.ERROR, f"denied, {number}", namespace)])
        now[0] += 1.0
    assert not is_told
    assert publisher.publish([finding(2, Severity.ERROR, "denied", namespace)])
    now[0] += QUIET_SECONDS
    assert publisher.publish([finding(1, Severity.ERROR, "denied, at last", namespace)])
    items = control_plane.api().request("GET", EVENTS.format(namespace)).object["items"]
    notes = sorted(item["note"] for item in items)
    assert notes == ["denied", "denied, 0", "denied, 60", "denied, at last"]


@pytest.mark.parametrize("kind", [KYVERNO, OPENREPORTS], ids=["wgpolicyk8s", "openreports"], indirect=True)
def test_a_report_that_has_no_room_for_all_says_so(control_plane: ControlPlane, kind: Resource) -> None:
    """The gravest are listed, all are counted, and the API server takes the largest report that there can
    be."""
    namespace = control_plane.namespace()
    severities = (Severity.WARNING, Severity.ERROR)
    found = reported(finding(number, severities[number % 2]) for number in range(1200))["shop"]
    manifest = report(kind, namespace, found)
    stored = control_plane.create(f"{kind.path(namespace)}?fieldValidation=Strict", manifest)
    assert (
        stored["summary"]
        == manifest["summary"]
        == {"pass": 0, "fail": 600, "warn": 600, "error": 0, "skip": 1}
    )
    assert stored["results"] == manifest["results"]
    *listed, rest = stored["results"]
    assert len(listed) == MAX_RESULTS - 1
    assert {result["result"] for result in listed} == {"fail"}
    assert rest["message"] == (
        f"701 more findings of namespace {namespace} are counted in the summary and not listed, since a "
        "report has room for 500; `istio-netpol check --context NAME` shows all"
    )
