"""Why connections are allowed or denied: one, all that a workload needs, or the hops of a request; for
people and for scripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from istio_netpol.analysis.explain.policy_gates import POLICIES
from istio_netpol.analysis.explain.walk import Hop, Walk
from istio_netpol.analysis.results import Explanation, ExplanationStep, Gate
from istio_netpol.manifests.encode import encode_policy, to_yaml
from istio_netpol.model.json_values import JsonObject
from istio_netpol.printable import visible
from istio_netpol.report.json_format import API_VERSION, dump, object_document
from istio_netpol.report.palette import PLAIN, Palette, text_of_inputs


def text_explanation(explanation: Explanation, palette: Palette = PLAIN) -> str:
    """The verdict, the numbered steps to it, and the policies that would change it."""
    return "".join(f"{line}\n" for line in _lines(explanation, palette))


def json_explanation(explanation: Explanation) -> str:
    """The document `Explanation`; `passes` of a step is null where it decides nothing, of a gate where it
    can't be told. `allowed` is what policies say, `connects` is false where some other gate refuses, too."""
    return dump(_document(explanation))


def _document(explanation: Explanation) -> JsonObject:
    return {
        "apiVersion": API_VERSION,
        "kind": "Explanation",
        "source": explanation.source,
        "destination": explanation.destination,
        "allowed": explanation.allowed,
        "connects": explanation.connects,
        "gates": [_gate_document(gate) for gate in explanation.gates],
        "steps": [{"text": step.text, "passes": step.passes} for step in explanation.steps],
        "remedy": [encode_policy(policy) for policy in explanation.remedy],
    }


def _gate_document(gate: Gate) -> JsonObject:
    """An entry of `gates`; `object` is null where no object decides."""
    return {
        "gate": gate.gate,
        "object": ", ".join(map(str, gate.objects)) or None,
        "passes": gate.passes,
        "text": gate.text,
    }


def text_explanations(named: Sequence[tuple[str, Explanation]], palette: Palette = PLAIN) -> str:
    """The explanation, or those of several inputs under their names."""
    return text_of_inputs(named, text_explanation, palette)


def json_explanations(named: Sequence[tuple[str, Explanation]]) -> str:
    """The document `Explanation`, or for several inputs an `ExplanationList` whose items name theirs."""
    if len(named) == 1 and not named[0][0]:
        return json_explanation(named[0][1])
    items = [{**_document(explanation), "input": name} for name, explanation in named]
    return dump({"apiVersion": API_VERSION, "kind": "ExplanationList", "items": items})


def _lines(explanation: Explanation, palette: Palette) -> Iterator[str]:
    word = "denied" if not explanation.allowed else "allowed" if explanation.connects else "refused"
    verdict = palette.paint(word, palette.good if explanation.connects else palette.error)
    yield f"{visible(explanation.source)} to {visible(explanation.destination)}: {verdict}"
    yield from map(visible, _summary(explanation))
    if explanation.gates:
        yield ""
        yield from _gate_lines(explanation.gates, palette)
    yield ""
    yield palette.paint("How the policies decide:", palette.heading)
    yield from (_step(number, step, palette) for number, step in enumerate(explanation.steps, 1))
    if explanation.remedy:
        yield ""
        yield palette.paint("Policies that allow it:", palette.heading)
        yield ""
        yield from to_yaml(explanation.remedy).rstrip("\n").split("\n")


def _summary(explanation: Explanation) -> Iterator[str]:
    """What is to be said of gates that no policy can open."""
    others = [gate for gate in explanation.refusing if gate.gate not in POLICIES]
    both = "Policies deny it, and that is not all:" if not explanation.allowed else "Policies allow it;"
    for gate in others:
        yield f"{both} {gate.text}. No NetworkPolicy changes that."
        both = "And"
    if explanation.connects and (names := dict.fromkeys(gate.gate for gate in explanation.open_questions)):
        yield f"The input does not tell whether it passes {' and '.join(names)}; the lines with '?' say why."


def _gate_lines(gates: Sequence[Gate], palette: Palette = PLAIN) -> Iterator[str]:
    """A line for each gate: `+` lets pass, `x` does not, `?` can't be told."""
    width = max((len(gate.gate) for gate in gates), default=0)
    for gate in gates:
        mark = {True: "+", False: "x", None: "?"}[gate.passes]
        line = f"{mark} {gate.gate:<{width}}  {visible(gate.text)}"
        yield palette.paint(line, palette.error) if gate.passes is False else line


def _step(number: int, step: ExplanationStep, palette: Palette) -> str:
    text = f"{number}. {visible(step.text)}"
    if step.passes is None:
        return f"  {text}"
    return (
        palette.paint(f"+ {text}", palette.good) if step.passes else palette.paint(f"x {text}", palette.error)
    )


def text_walks(named: Sequence[tuple[str, Walk]], palette: Palette = PLAIN) -> str:
    """The walk, or those of several inputs under their names."""
    return text_of_inputs(named, text_walk, palette)


def json_walks(named: Sequence[tuple[str, Walk]]) -> str:
    """The document of a walk, or for several inputs an `ExplanationList` whose items name theirs."""
    if len(named) == 1 and not named[0][0]:
        return dump(_walk_document(named[0][1]))
    items = [{**_walk_document(walk), "input": name} for name, walk in named]
    return dump({"apiVersion": API_VERSION, "kind": "ExplanationList", "items": items})


def text_walk(walk: Walk, palette: Palette = PLAIN) -> str:
    """Facts, then the hops, then the policies that open what is cut. Of a workload what is cut comes first,
    and before all what keeps its pods from starting."""
    return "".join(f"{line}\n" for line in _walk_lines(walk, palette))


def _walk_document(walk: Walk) -> JsonObject:
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


def _hop_document(hop: Hop) -> JsonObject:
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
        "gates": [_gate_document(gate) for gate in hop.gates],
    }


def _walk_lines(walk: Walk, palette: Palette) -> Iterator[str]:
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
    yield from (f"    {told}" for told in _gate_lines(shown, palette))
    if is_told:
        yield f"    {visible(hop.trouble)}"
