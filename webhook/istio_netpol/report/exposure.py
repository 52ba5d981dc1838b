"""Who can reach each workload, for people, as JSON and as CSV."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from istio_netpol.analysis.listing import Exposure, Reach
from istio_netpol.model.connections import NO_CONNECTIONS, ConnectionSet
from istio_netpol.model.json_values import JsonObject
from istio_netpol.printable import visible
from istio_netpol.report.connections import csv_field, port_documents
from istio_netpol.report.json_format import dump
from istio_netpol.report.palette import PLAIN, text_of_inputs
from istio_netpol.report.places import plural

NamedExposures = Sequence[tuple[str, Sequence[Exposure]]]
"""The exposures of each of several inputs under its name; a single one has none."""

_TITLES = {
    Reach.WORLD: "Open to the world (public addresses):",
    Reach.ADDRESSES: "Open to addresses outside the cluster, none of them public:",
    Reach.NAMESPACES: "Open to other namespaces:",
    Reach.NAMESPACE: "Open within the own namespace only:",
    Reach.NOBODY: "Open to nobody:",
}
_MOST_NAMESPACES = 4
"""Namespaces that a line names; the JSON has all."""


def text_exposures(named: NamedExposures) -> str:
    """Workloads by who reaches them, the widest first; alike ones of a namespace share a line."""
    return text_of_inputs(named, lambda exposures, _: _text(exposures), PLAIN)


def json_exposures(named: NamedExposures) -> str:
    """`{"exposure": […]}`, an entry a workload."""
    entries = [
        {**_document(exposure), **({"input": name} if name else {})}
        for name, exposures in named
        for exposure in exposures
    ]
    return dump({"exposure": entries})


def csv_exposures(named: NamedExposures) -> str:
    """A row for each workload and whoever reaches it."""
    rows = ["workload,reach,from,ports\n"]
    with_input = any(name for name, _ in named)
    if with_input:
        rows = [f"input,{rows[0]}"]
    for name, exposures in named:
        for exposure in exposures:
            whose = [name] if with_input else []
            for source, ports in _sources(exposure) or [("", NO_CONNECTIONS)]:
                fields = [*whose, exposure.workload, str(exposure.reach), source, str(ports)]
                rows.append(",".join(map(csv_field, fields)) + "\n")
    return "".join(rows)


def _text(exposures: Sequence[Exposure]) -> str:
    lines = [line for reach in Reach for line in _of_reach(reach, exposures)]
    counted = [sum(1 for exposure in exposures if exposure.reach is reach) for reach in Reach]
    world, addresses, namespaces, own, nobody = counted
    lines.append(
        f"Of {plural(len(exposures), 'workload')}, NetworkPolicies open {world} to the world, {addresses} "
        f"to other addresses outside, {namespaces} to other namespaces, {own} to their own namespace only, "
        f"{nobody} to nobody"
    )
    return "".join(f"{line}\n" for line in lines)


def _of_reach(reach: Reach, exposures: Sequence[Exposure]) -> Iterator[str]:
    alike: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for exposure in exposures:
        if exposure.reach is reach:
            namespace, _, name = exposure.workload.partition("/")
            alike[namespace, _told(exposure)].append(name.replace("/", " "))
    if not alike:
        return
    yield _TITLES[reach]
    for (namespace, told), names in alike.items():
        yield visible(f"  {namespace}: {', '.join(names)}" + (f" ({told})" if told else ""))
    yield ""


def _told(exposure: Exposure) -> str:
    """`TCP 80 from the world, all from pay, search`: what differs by who reaches it."""
    match exposure.reach:
        case Reach.WORLD:
            return str(exposure.world)
        case Reach.ADDRESSES:
            return str(exposure.addresses)
        case Reach.NAMESPACES:
            return _by_ports(exposure)
        case Reach.NAMESPACE:
            return str(exposure.namespace)
        case Reach.NOBODY:
            return ""


def _by_ports(exposure: Exposure) -> str:
    """The other namespaces, those with the same ports together."""
    together: defaultdict[ConnectionSet, list[str]] = defaultdict(list)
    for namespace, ports in exposure.namespaces.items():
        together[ports].append(namespace)
    return "; ".join(f"{ports} from {_names(names)}" for ports, names in together.items())


def _names(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMESPACES
    return ", ".join(names[:_MOST_NAMESPACES]) + (f" and {more} more" if more > 0 else "")


def _sources(exposure: Exposure) -> list[tuple[str, ConnectionSet]]:
    """Whoever reaches a workload, and on which ports."""
    found = [("world", exposure.world), ("addresses", exposure.addresses)]
    found += [(f"namespace {name}", ports) for name, ports in exposure.namespaces.items()]
    found.append(("own namespace", exposure.namespace))
    return [(source, ports) for source, ports in found if ports]


def _document(exposure: Exposure) -> JsonObject:
    return {
        "workload": exposure.workload,
        "reach": str(exposure.reach),
        "from": {
            "world": port_documents(exposure.world),
            "addresses": port_documents(exposure.addresses),
            "namespaces": [
                {"namespace": name, "ports": port_documents(ports)}
                for name, ports in exposure.namespaces.items()
            ],
            "namespace": port_documents(exposure.namespace),
        },
    }
