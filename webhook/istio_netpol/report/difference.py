"""What changed between two inputs: connections, and required flows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from istio_netpol.analysis.results import AllowedConnection, Difference
from istio_netpol.manifests.encode import to_yaml
from istio_netpol.model.findings import Finding
from istio_netpol.model.json_values import JsonObject
from istio_netpol.printable import visible
from istio_netpol.report.connections import port_documents
from istio_netpol.report.json_format import API_VERSION, dump, finding_documents
from istio_netpol.report.palette import PLAIN, Palette, text_of_inputs
from istio_netpol.report.places import place, plural
from istio_netpol.report.remedies import distinct_policies


def text_difference(difference: Difference, palette: Palette = PLAIN) -> str:
    """Required flows first, since only those decide; then connections by `+` and `-`; then the figures."""
    return "".join(f"{line}\n" for line in _lines(difference, palette))


def text_differences(named: Sequence[tuple[str, Difference]], palette: Palette = PLAIN) -> str:
    """The difference, or those of several inputs under their names."""
    return text_of_inputs(named, text_difference, palette)


def json_differences(named: Sequence[tuple[str, Difference]]) -> str:
    """The document `Difference`: connections as `list` prints them, flows as findings of `check`; of several
    inputs, each entry names its own."""
    lists: dict[str, list[JsonObject]] = {"flowsLost": [], "flowsGained": [], "lost": [], "gained": []}
    for name, difference in named:
        whose = {"input": name} if name else {}
        entries = {
            "flowsLost": finding_documents(difference.flows_lost),
            "flowsGained": finding_documents(difference.flows_gained),
            "lost": [_connection(connection) for connection in difference.lost],
            "gained": [_connection(connection) for connection in difference.gained],
        }
        for field, documents in entries.items():
            lists[field] += [document | whose for document in documents]
    return dump({"apiVersion": API_VERSION, "kind": "Difference", **lists})


def _connection(connection: AllowedConnection) -> JsonObject:
    return {
        "source": connection.source,
        "destination": connection.destination,
        "ports": port_documents(connection.ports),
    }


def _lines(difference: Difference, palette: Palette) -> Iterator[str]:
    yield from _flows(
        "Required flows that are lost:",
        (_lost(finding, palette) for finding in difference.flows_lost),
        palette,
    )
    policies = distinct_policies(difference.flows_lost)
    if policies:
        yield palette.paint("Policies that allow them again:", palette.heading)
        yield ""
        yield from to_yaml(policies).rstrip("\n").split("\n")
        yield ""
    yield from _flows(
        "Required flows that are allowed now:",
        (_gained(finding, palette) for finding in difference.flows_gained),
        palette,
    )
    yield from _connections("-", difference.lost, palette, palette.error)
    yield from _connections("+", difference.gained, palette, palette.good)
    yield (
        f"{plural(len(difference.flows_lost), 'required flow')} lost, {len(difference.flows_gained)} gained; "
        f"{plural(len(difference.lost), 'connection')} lost, {len(difference.gained)} gained"
    )


def _flows(title: str, sentences: Iterable[str], palette: Palette) -> Iterator[str]:
    sentences = tuple(sentences)
    if sentences:
        yield palette.paint(title, palette.heading)
        yield from (f"  {sentence}" for sentence in sentences)
        yield ""


def _lost(finding: Finding, palette: Palette) -> str:
    return f"{palette.paint(finding.rule, palette.error)} {visible(finding.message)}{_where(finding)}"


def _gained(finding: Finding, palette: Palette) -> str:
    """Only the ends: the message says that the flow is denied, which was true of the old input."""
    flow = finding.flow
    ends = f"{flow.source} to {flow.destination} ({flow.protocol} {flow.port})" if flow else finding.message
    return (
        f"{palette.paint(finding.rule, palette.good)} {visible(f'{finding.object}: {ends}')}{_where(finding)}"
    )


def _where(finding: Finding) -> str:
    where = visible(place(finding.object))
    return f"  [{where}]" if where else ""


def _connections(
    sign: str, connections: Iterable[AllowedConnection], palette: Palette, escape: str
) -> Iterator[str]:
    found = False
    for connection in connections:
        found = True
        yield palette.paint(
            f"{sign} {connection.source} -> {connection.destination}: {connection.ports}", escape
        )
    if found:
        yield ""
