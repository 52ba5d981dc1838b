"""Why one connection is allowed or denied, for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from istio_netpol.analysis.explain.policy_gates import POLICIES
from istio_netpol.analysis.results import Explanation, ExplanationStep, Gate
from istio_netpol.manifests.encode import encode_policy, to_yaml
from istio_netpol.printable import visible
from istio_netpol.report.json_format import API_VERSION, dump
from istio_netpol.report.palette import PLAIN, Palette, text_of_inputs


def text_explanation(explanation: Explanation, palette: Palette = PLAIN) -> str:
    """The verdict, the numbered steps to it, and the policies that would change it."""
    return "".join(f"{line}\n" for line in _lines(explanation, palette))


def json_explanation(explanation: Explanation) -> str:
    """The document `Explanation`; `passes` of a step is null where it decides nothing, of a gate where it
    can't be told. `allowed` is what policies say, `connects` is false where some other gate refuses, too."""
    return dump(_document(explanation))


def _document(explanation: Explanation) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Explanation",
        "source": explanation.source,
        "destination": explanation.destination,
        "allowed": explanation.allowed,
        "connects": explanation.connects,
        "gates": [gate_document(gate) for gate in explanation.gates],
        "steps": [{"text": step.text, "passes": step.passes} for step in explanation.steps],
        "remedy": [encode_policy(policy) for policy in explanation.remedy],
    }


def gate_document(gate: Gate) -> dict[str, Any]:
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
        yield from gate_lines(explanation.gates, palette)
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


def gate_lines(gates: Sequence[Gate], palette: Palette = PLAIN) -> Iterator[str]:
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
