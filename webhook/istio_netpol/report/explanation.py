"""Why one connection is allowed or denied, for people and for scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from istio_netpol.analysis.results import Explanation, Step
from istio_netpol.manifests.encode import encode_policy, to_yaml
from istio_netpol.printable import visible
from istio_netpol.report.json_format import API_VERSION, dump
from istio_netpol.report.palette import PLAIN, Palette, text_of_inputs


def text_explanation(explanation: Explanation, palette: Palette = PLAIN) -> str:
    """The verdict, the numbered steps to it, and the policies that would change it."""
    return "".join(f"{line}\n" for line in _lines(explanation, palette))


def json_explanation(explanation: Explanation) -> str:
    """The document `Explanation`; `passes` of a step is null where it decides nothing."""
    return dump(_document(explanation))


def _document(explanation: Explanation) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Explanation",
        "source": explanation.source,
        "destination": explanation.destination,
        "allowed": explanation.allowed,
        "steps": [{"text": step.text, "passes": step.passes} for step in explanation.steps],
        "remedy": [encode_policy(policy) for policy in explanation.remedy],
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


EXPLANATIONS: dict[str, Callable[[Explanation], str]] = {"text": text_explanation, "json": json_explanation}
"""The output formats of an explanation by name."""


def _lines(explanation: Explanation, palette: Palette) -> Iterator[str]:
    escape = palette.good if explanation.allowed else palette.error
    verdict = palette.paint("allowed" if explanation.allowed else "denied", escape)
    yield f"{visible(explanation.source)} to {visible(explanation.destination)}: {verdict}"
    yield ""
    yield from (_step(number, step, palette) for number, step in enumerate(explanation.steps, 1))
    if explanation.remedy:
        yield ""
        yield palette.paint("Policies that allow it:", palette.heading)
        yield ""
        yield from to_yaml(explanation.remedy).rstrip("\n").split("\n")


def _step(number: int, step: Step, palette: Palette) -> str:
    text = f"{number}. {visible(step.text)}"
    if step.passes is None:
        return f"  {text}"
    return (
        palette.paint(f"+ {text}", palette.good) if step.passes else palette.paint(f"x {text}", palette.error)
    )
