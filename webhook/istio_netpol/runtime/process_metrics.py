"""What every process tells Prometheus of itself: which version it is, and what it takes."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, disable_created_metrics

from istio_netpol import __version__

WEBHOOK, CONTROLLER = "webhook", "controller"


def process_registry(component: str) -> CollectorRegistry:
    """A registry with `istio_netpol_build_info` and Prometheus' own metrics of a process."""
    # When each counter began is a series more for every series, and asked for by nobody.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    Gauge(
        "istio_netpol_build_info",
        "Always 1, with the component (webhook or controller) and the version of the process as labels.",
        ("component", "version"),
        registry=registry,
    ).labels(component, __version__).set(1)
    ProcessCollector(registry=registry)
    return registry
