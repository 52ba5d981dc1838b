"""What a bundle meets in a cluster, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from istio_netpol.analysis.bundle_coverage.results import Coverage, IsolatedSide, SideState
from istio_netpol.model.policies import Direction
from istio_netpol.model.references import ObjectRef
from istio_netpol.printable import visible
from istio_netpol.report.palette import Palette
from istio_netpol.report.places import plural


def coverage_lines(coverage: Coverage, palette: Palette) -> Iterator[str]:
    """The sides that lose a connection, and how many lose none."""
    yield palette.paint(f"Workloads of {', '.join(coverage.namespaces)} under the overlay:", palette.heading)
    for side in coverage.cut:
        yield from _side(side, palette)
    for namespace in coverage.empty:
        yield visible(f"  {namespace}: the input holds no workload of it, so nothing is known of it")
    yield visible(f"  {_figures(coverage)}")


def _figures(coverage: Coverage) -> str:
    lose = len({side.workload.key for side in coverage.cut})
    flows = plural(coverage.flows, "required flow")
    verdict = f"{plural(lose, 'workload')} cut" if lose else "no known connection of theirs is cut"
    return f"{plural(coverage.workloads, 'workload')} and {flows} looked at: {verdict}"


def _side(side: IsolatedSide, palette: Palette) -> Iterator[str]:
    paint = palette.error if side.state is SideState.UNCOVERED else palette.warning
    title = f"{side.workload}, {side.direction.lower()}"
    yield f"  {palette.paint(side.state, paint)}: {visible(title)}"
    if side.listens:
        ports = ", ".join(f"{port}{' (closed)' if not port.is_open else ''}" for port in side.listens)
        yield visible(f"      listens on {ports}")
    elif side.direction is Direction.INGRESS:
        yield "      declares no port, and no Service leads to it"
    yield from (visible(f"      loses {lost}") for lost in side.loses)
    if side.is_denied_anyway:
        yield visible(f"      without the overlay too, by {', '.join(side.policies)}")


def coverage_document(coverage: Coverage) -> dict[str, Any]:
    """The value of `coverage` in a BundleReport."""
    return {
        "namespaces": list(coverage.namespaces),
        "namespacesWithoutWorkloads": list(coverage.empty),
        "sides": [_document(side) for side in coverage.sides],
        "assumed": [{"what": assumption.what, "why": assumption.why} for assumption in coverage.assumptions],
        "summary": {
            "workloads": coverage.workloads,
            "flows": coverage.flows,
            "covered": len(coverage.sides) - len(coverage.cut),
            "partlyCovered": sum(side.state is SideState.PARTLY for side in coverage.sides),
            "notCovered": sum(side.state is SideState.UNCOVERED for side in coverage.sides),
        },
    }


_STATES = {
    SideState.COVERED: "covered",
    SideState.PARTLY: "partlyCovered",
    SideState.UNCOVERED: "notCovered",
}


def _document(side: IsolatedSide) -> dict[str, Any]:
    return {
        "workload": _object(side.workload),
        "direction": str(side.direction),
        "state": _STATES[side.state],
        "listens": [
            {
                "protocol": str(port.protocol),
                "port": port.port,
                "services": list(port.services),
                "open": port.is_open,
            }
            for port in side.listens
        ],
        "callers": [
            {
                "object": _object(caller.object),
                "port": caller.port,
                "failsClosed": caller.fails_closed,
                "allowed": caller.allowed,
            }
            for caller in side.callers
        ],
        "loses": list(side.loses),
        "otherPolicies": list(side.policies),
        "deniedAnyway": side.is_denied_anyway,
        "remedy": side.remedy,
    }


def _object(ref: ObjectRef) -> dict[str, str]:
    return {"apiVersion": ref.api_version, "kind": ref.kind, "namespace": ref.namespace, "name": ref.name}
