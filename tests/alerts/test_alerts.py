"""The alerts of the chart, judged by Prometheus' own promtool: each fires, and each stays quiet."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.alerts.metric_names import ours, told
from tests.chart.rendering import manifests, of_kind
from tests.cluster.fixtures import require
from tests.tools.programs import located

from istio_netpol.server.metrics import SECONDS

UNIT = Path(__file__).parent / "unit.yaml"
API_SERVER_WAITS = 5.0
"""Seconds: `timeoutSeconds` of the webhook configurations as shipped."""
MONITORED = {"metrics": {"prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}}}}


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the rules as the chart renders them, and the unit tests."""
    require("helm", "promtool")
    (rule,) = of_kind(manifests(MONITORED), "PrometheusRule")
    folder = tmp_path_factory.mktemp("alerts")
    (folder / "alerts.yaml").write_text(yaml.safe_dump(rule["spec"]))
    shutil.copy(UNIT, folder)
    return folder


def promtool(*arguments: str | Path) -> str:
    """What promtool says; fails where it finds something wrong."""
    done = subprocess.run(
        [str(located("promtool")), *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def alerts(rules: Path) -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((rules / "alerts.yaml").read_text())["groups"]
    return list(group["rules"])


def test_every_alert_fires_where_it_should_and_nowhere_else(rules: Path) -> None:
    """With its severity and the words that a person on call reads."""
    promtool("check", "rules", rules / "alerts.yaml")
    promtool("test", "rules", rules / "unit.yaml")


def test_durations_are_counted_as_the_webhook_counts_them() -> None:
    """A bucket that there is not makes a test that nothing in a cluster passes."""
    series = [
        entry["series"]
        for test in yaml.safe_load(UNIT.read_text())["tests"]
        for entry in test["input_series"]
    ]
    asked = {float(bound) for text in series for bound in re.findall(r'le="([^"]+)"', text)}
    assert asked <= {*SECONDS, float("inf")}
    assert max(SECONDS) >= API_SERVER_WAITS, "a review that was too late has to be told from a slow one"


def test_every_alert_is_tried_in_both_directions(rules: Path) -> None:
    """Whoever adds one shows when it fires, when it is only pending, and when it stays quiet."""
    tried = yaml.safe_load(UNIT.read_text())["tests"]
    fires = {check["alertname"] for test in tried for check in test["alert_rule_test"] if check["exp_alerts"]}
    quiet = {
        test["alert_rule_test"][0]["alertname"]
        for test in tried
        if not any(check["exp_alerts"] for check in test["alert_rule_test"])
    }
    names = {alert["alert"] for alert in alerts(rules)}
    assert fires == quiet == names


def test_alerts_ask_for_metrics_that_there_are(rules: Path) -> None:
    """With labels that these have, and of the release's namespace alone."""
    for alert in alerts(rules):
        names = ours(alert["expr"])
        assert names, alert["alert"]
        for name in names:
            assert name in told(), alert["alert"]
        assert len(re.findall(r'namespace="istio-netpol"', alert["expr"])) == len(
            re.findall(r"\bistio_netpol_\w+", alert["expr"])
        )


def test_whoever_is_called_reads_what_to_do(rules: Path) -> None:
    """A summary of one sentence, a description of more, and a severity."""
    for alert in alerts(rules):
        summary, description = alert["annotations"]["summary"], alert["annotations"]["description"]
        assert summary.endswith("."), alert["alert"]
        assert len(description) > len(summary), alert["alert"]
        assert alert["labels"]["severity"] in ("critical", "warning")
        assert alert["for"], alert["alert"]


def test_alerts_are_off_by_default() -> None:
    """A cluster without the operator's CRDs could not install them."""
    require("helm")
    kinds = {manifest["kind"] for manifest in manifests()}
    assert not kinds & {"PrometheusRule", "ServiceMonitor"}
