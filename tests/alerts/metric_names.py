"""The metrics that there are, as webhook and controller register them."""

from __future__ import annotations

import re
from functools import cache
from types import SimpleNamespace

from prometheus_client import CollectorRegistry, Metric

from istio_netpol.controller.metrics import ControllerMetrics
from istio_netpol.http.refusals import Refusals
from istio_netpol.server.metrics import Metrics
from istio_netpol.state.snapshot import Snapshot

OF_A_HISTOGRAM = re.compile(r"_(bucket|sum|count)$")


def webhook() -> CollectorRegistry:
    """The registry that the webhook serves, of a process that has read an empty cluster."""
    state = SimpleNamespace(age=0.0, problems=(), snapshot=Snapshot.of([]))
    metrics = Metrics(lambda: state, lambda: 0.0)
    metrics.registry.register(Refusals())
    return metrics.registry


def controller() -> CollectorRegistry:
    """The registry that the controller serves."""
    return ControllerMetrics().registry


@cache
def told() -> dict[str, Metric]:
    """Every metric by the name under which it is asked for."""
    found: dict[str, Metric] = {}
    for registry in (webhook(), controller()):
        for metric in registry.collect():
            suffix = "_total" if metric.type == "counter" else ""
            found[metric.name + suffix] = metric
    return found


def ours(expression: str) -> set[str]:
    """The metrics of istio-netpol, and of its processes, that an expression names."""
    names = re.findall(r"\b(?:istio_netpol|process)_\w+", expression)
    return {OF_A_HISTOGRAM.sub("", name) for name in names}
