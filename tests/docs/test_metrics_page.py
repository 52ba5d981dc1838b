"""`docs/metrics.md` has every metric as the code registers it, and every alert of the chart."""

from __future__ import annotations

import subprocess

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from tests.alerts.metric_names import controller, told, webhook
from tests.cluster.fixtures import require
from tests.conftest import Golden
from tests.docs.metric_reference import RULES, metrics_page
from tests.docs.transcripts import ROOT
from tests.tools.programs import located

PAGE = ROOT / "docs" / "metrics.md"
MOST_VALUES = len(RULES)


def test_the_page_is_up_to_date(golden: Golden) -> None:
    """Whoever adds or renames a metric or an alert sees it here."""
    golden(PAGE, metrics_page())


@pytest.mark.parametrize("registry", [webhook(), controller()], ids=["webhook", "controller"])
def test_metrics_keep_the_conventions(registry: CollectorRegistry) -> None:
    """promtool, which knows the conventions of names, units and types, finds nothing to say."""
    require("promtool")
    done = subprocess.run(
        [str(located("promtool")), "check", "metrics", "--extended"],
        input=generate_latest(registry).decode(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_metric_is_explained_and_has_few_series() -> None:
    """A sentence each; no label grows with the cluster, as all values are there from the start."""
    for name, metric in told().items():
        assert metric.documentation.endswith("."), name
        labels = [tuple(sample.labels.items()) for sample in metric.samples if "le" not in sample.labels]
        assert 1 <= len(set(labels)) <= MOST_VALUES, name
