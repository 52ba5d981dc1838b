"""Several connections and what of them is cut, for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from istio_netpol.analysis.explain.walk import Hop, Walk
from istio_netpol.manifests.encode import encode_policy, to_yaml
from istio_netpol.printable import visible
from istio_netpol.report.explanation import gate_document, gate_lines
from istio_netpol.report.json_format import API_VERSION, dump, object_document
from istio_netpol.report.palette import PLAIN, Palette, text_of_inputs


def text_walks(named: Sequence[tuple[str, Walk]], palette: Palette = PLAIN) -> str:
    """The walk, or those of several inputs under their names."""
    return text_of_inputs(named, text_walk, palette)


def json_walks(named: Sequence[tuple[str, Walk]]) -> str:
    """The document of a walk, or for several inputs an `ExplanationList` whose items name theirs."""
    if len(named) == 1 and not named[0][0]:
        return dump(_document(named[0][1]))
    items = [{**_document(walk), "input": name} for name, walk in named]
    return dump({"apiVersion": API_VERSION, "kind": "ExplanationList", "items": items})


def text_walk(walk: Walk, palette: Palette = PLAIN) -> str:
    """Facts, then the hops, then the policies that open what is cut. Of a workload what is cut comes first,
    and before all what keeps its pods from starting."""
    return "".join(f"{line}\n" for line in _lines(walk, palette))


def _document(walk: Walk) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": f"{walk.kind}Explanation",
        walk.kind.lower(): walk.subject,
        "connects": walk.connects,
        "remarks": list(walk.remarks),
        "failures": list(walk.failures),
        "hops": [_hop_document(hop) for hop in walk.hops],
        "remedy": [encode_policy(policy) for policy in walk.remedy],
    }


def _hop_document(hop: Hop) -> dict[str, Any]:
    return {
        "rule": str(hop.rule),
        "object": object_document(hop.object),
        "source": hop.source,
        "destination": hop.destination,
        "protocol": str(hop.protocol),
        "port": hop.port,
        "reason": hop.reason,
        "allowed": hop.passes,
        "cut": hop.is_cut,
        "vital": hop.is_vital,
        "starts": hop.starts,
        "trouble": hop.trouble or None,
        "gates": [gate_document(gate) for gate in hop.gates],
    }


def _lines(walk: Walk, palette: Palette) -> Iterator[str]:
    cut = [hop for hop in walk.hops if hop.is_cut]
    count = f"{len(walk.hops)} connection{'' if len(walk.hops) == 1 else 's'} needed, {len(cut)} cut"
    verdict = palette.paint(count, palette.good if walk.connects else palette.error)
    yield f"{visible(walk.subject)}: {verdict}"
    yield from (f"  {visible(remark)}" for remark in walk.remarks)
    yield from (palette.paint(f"x {visible(failure)}", palette.error) for failure in walk.failures)
    for title, hops in _groups(walk):
        if hops:
            yield ""
            yield palette.paint(title, palette.heading)
            yield from (line for hop in hops for line in _hop(hop, palette, in_full=walk.kind == "Host"))
    if walk.remedy:
        yield ""
        yield palette.paint("Policies that allow what is cut:", palette.heading)
        yield ""
        yield from to_yaml(walk.remedy).rstrip("\n").split("\n")


def _groups(walk: Walk) -> tuple[tuple[str, list[Hop]], ...]:
    """The hops of a request in the order of its way; those of a workload by what is to be done."""
    if walk.kind == "Host":
        return (("The way, hop by hop:", list(walk.hops)),)
    cut = walk.cut
    others = [hop for hop in walk.hops if not hop.is_cut]
    return (
        ("Cut, and pods do not start or become ready without it:", [hop for hop in cut if hop.starts]),
        ("Cut:", [hop for hop in cut if not hop.starts]),
        ("It is unknown whether this passes:", [hop for hop in others if hop.passes is None]),
        ("Passes:", [hop for hop in others if hop.passes]),
    )


def _hop(hop: Hop, palette: Palette, *, in_full: bool) -> Iterator[str]:
    """A connection, why it is needed where it does not pass, and its gates: all of them, or those that do not
    let pass."""
    mark = "x" if hop.is_cut else "?" if hop.passes is None else "+"
    where = f"{visible(hop.source)} to {visible(hop.destination)}, {hop.protocol} {hop.port}"
    line = f"{mark} {hop.rule}: {where}"
    yield palette.paint(line, palette.error) if hop.is_cut else line
    is_told = hop.trouble and (hop.passes is None or not any(gate.passes is False for gate in hop.gates))
    if not is_told and (hop.is_cut or hop.passes is None):
        yield f"    needed because {visible(hop.reason)}"
    shown = [gate for gate in hop.gates if in_full or gate.passes is not True]
    yield from (f"    {told}" for told in gate_lines(shown, palette))
    if is_told:
        yield f"    {visible(hop.trouble)}"
