"""The dashboard of the chart, held against the metrics that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.alerts.metric_names import ours, told
from tests.alerts.test_alerts import promtool
from tests.chart.rendering import CHART, manifests, of_kind
from tests.cluster.fixtures import require

DASHBOARD = CHART / "files" / "dashboard.json"
SHIPPED = {"metrics": {"dashboard": {"enabled": True, "annotations": {"grafana_folder": "Mesh"}}}}
VARIABLES = {"$namespace": "istio-netpol", "$__rate_interval": "5m"}


def panels() -> list[dict[str, Any]]:
    """All panels but the headings."""
    found = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def expressions() -> list[str]:
    """What the panels ask for, as Grafana asks Prometheus."""
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    for name, value in VARIABLES.items():
        found = [expression.replace(name, value) for expression in found]
    return found


def test_every_panel_asks_for_what_prometheus_understands(tmp_path: Path) -> None:
    """promtool parses each expression."""
    require("promtool")
    rules = [
        {"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(expressions())
    ]
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", file)
    assert "$" not in "".join(expressions())


def test_panels_show_every_metric_and_none_that_there_is_not() -> None:
    """A metric that is added is shown; one that is renamed leaves no empty panel behind. Of Prometheus' own
    metrics of a process memory and CPU are enough."""
    shown = {name for expression in expressions() for name in ours(expression)}
    there = {name for name in told() if name.startswith("istio_netpol_")}
    assert shown - set(told()) == set()
    assert there - shown == set()


def test_labels_in_panels_are_those_of_their_metrics() -> None:
    """What is summed by, and what stands in a legend, exists; Prometheus adds namespace and pod itself."""
    added = {"namespace", "pod", "le"}
    for panel in panels():
        for target in panel["targets"]:
            labels = {
                label
                for name in ours(target["expr"])
                for sample in told()[name].samples
                for label in sample.labels
            }
            grouped = re.findall(r"(?:by|on|group_left) \(([^)]*)\)", target["expr"])
            asked = {label.strip() for group in grouped for label in group.split(",")}
            asked |= set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert asked <= labels | added, panel["title"]


def test_every_panel_says_what_it_shows() -> None:
    """Its title, a sentence, a unit; no two have one number or lie upon each other."""
    places: set[tuple[int, int]] = set()
    for panel in panels():
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        place = panel["gridPos"]
        cells = {
            (place["x"] + across, place["y"] + down)
            for across in range(place["w"])
            for down in range(place["h"])
        }
        assert not cells & places, panel["title"]
        places |= cells
    numbers = [panel["id"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("values", [SHIPPED, {**SHIPPED, "commonLabels": {"team": "mesh"}}])
def test_the_chart_hands_the_dashboard_to_grafanas_sidecar(values: dict[str, Any]) -> None:
    """Under the label by which the sidecar of Grafana's chart looks for dashboards, byte for byte."""
    require("helm")
    (config,) = (
        manifest
        for manifest in of_kind(manifests(values), "ConfigMap")
        if "istio-netpol.json" in manifest["data"]
    )
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config["metadata"]["annotations"] == {"grafana_folder": "Mesh"}
    assert json.loads(config["data"]["istio-netpol.json"]) == json.loads(
        DASHBOARD.read_text(encoding="utf-8")
    )


def test_the_dashboard_is_off_by_default() -> None:
    """Nobody without Grafana gets a ConfigMap for it."""
    require("helm")
    assert len(of_kind(manifests(), "ConfigMap")) == 1
