"""`docs/metrics.md`: the metrics as webhook and controller register them, and the chart's alerts."""

from __future__ import annotations

from collections.abc import Iterator

import yaml
from prometheus_client import CollectorRegistry, Metric
from tests.alerts.metric_names import controller, webhook
from tests.chart.rendering import CHART

from istio_netpol.model.findings import Issue
from istio_netpol.model.flows import FlowKind

RULES = {str(rule) for rule in (*FlowKind, *Issue)}

BEGINNING = """\
# Metrics

Webhook and controller serve `/metrics` in the format of Prometheus, over HTTP on a port of its own
(`--metrics-listen`; port `metrics.port` of the chart, to which `metrics.fromNamespaceLabels` lets Prometheus
in). The chart brings what the Prometheus operator and Grafana take, each off by default:

| value of the chart | what it makes |
|---|---|
| `metrics.serviceMonitor.enabled` | a ServiceMonitor, so that Prometheus scrapes all pods |
| `metrics.prometheusRule.enabled` | a PrometheusRule with the [alerts](#alerts) below |
| `metrics.dashboard.enabled` | a ConfigMap with a dashboard, labelled for Grafana's sidecar |

Without the operator, take the rules from `charts/istio-netpol/files/alerts.yaml`, with the release's
namespace for `NAMESPACE`, and import `charts/istio-netpol/files/dashboard.json`; both expect that scraped
series carry the labels `namespace` and `pod`.

Names and units follow the [conventions](https://prometheus.io/docs/practices/naming/) of Prometheus. No
label has names of objects, users or addresses: their values are those below, so the number of series does
not grow with the cluster. All are there from the start, with 0.

This page is made from the code; `pytest tests/docs --update` writes it anew.
"""

HEAD = "| metric | type | labels | meaning |\n|---|---|---|---|"


def metrics_page() -> str:
    """The page, ending in a line break."""
    parts = [
        BEGINNING,
        "## Of the webhook\n",
        _table(webhook()),
        "\n## Of the controller\n",
        _table(controller()),
        "\n## Of both processes\n",
        "`istio_netpol_build_info` tells which versions run, and which pod is what; the others are "
        "Prometheus' own, on Linux.\n",
        _table(webhook(), of_process=True),
        "\n## Alerts\n",
        "Critical is what keeps changes of the cluster from being admitted; the rest can wait until the "
        "morning. Each says what to do.\n",
        *_alerts(),
    ]
    return "\n".join(parts) + "\n"


def _table(registry: CollectorRegistry, *, of_process: bool = False) -> str:
    found = [metric for metric in registry.collect() if _is_of_any_process(metric) == of_process]
    return "\n".join([HEAD, *(_row(metric) for metric in sorted(found, key=lambda metric: metric.name))])


def _is_of_any_process(metric: Metric) -> bool:
    return metric.name.startswith("process_") or metric.name == "istio_netpol_build_info"


def _row(metric: Metric) -> str:
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    return f"| `{name}` | {metric.type} | {_labels(metric)} | {metric.documentation} |"


def _labels(metric: Metric) -> str:
    """Each label with its values."""
    values: dict[str, dict[str, None]] = {}
    for sample in metric.samples:
        for label, value in sample.labels.items():
            values.setdefault(label, {})[value] = None
    values.pop("le", None)
    return "; ".join(f"`{label}`: {_values(label, list(found))}" for label, found in values.items())


def _values(label: str, found: list[str]) -> str:
    if set(found) == RULES:
        return "the id of a [rule](rules/README.md)"
    if label in ("version", "component"):
        return {"version": "the version of istio-netpol", "component": "`webhook`, `controller`"}[label]
    return ", ".join(f"`{value}`" for value in found)


def _alerts() -> Iterator[str]:
    text = (CHART / "files" / "alerts.yaml").read_text(encoding="utf-8")
    yield "| alert | severity | after | says |\n|---|---|---|---|"
    (group,) = yaml.safe_load(text)["groups"]
    for alert in group["rules"]:
        summary = alert["annotations"]["summary"]
        yield f"| `{alert['alert']}` | {alert['labels']['severity']} | {alert['for']} | {summary} |"
