"""The table of `docs/symptoms.md`: one row a symptom, as the program knows it."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.symptoms.symptom import Blame, Symptom, Topic
from istio_netpol.symptoms.table import SYMPTOMS

_BLAMES = {
    Blame.LIKELY: "likely",
    Blame.POSSIBLE: "possible",
    Blame.NO_POLICY: "no",
    Blame.WORKS: "no, it works",
}


def symptom_tables() -> str:
    """A section for each topic, its rows in the order in which they win, in Markdown."""
    return "\n\n".join("\n".join(_section(topic)) for topic in Topic)


def _section(topic: Topic) -> Iterator[str]:
    yield f"## {topic}"
    yield ""
    yield "| symptom | what is seen | a policy? | flows, likeliest first | what it means, and how to tell |"
    yield "|---|---|---|---|---|"
    yield from (_row(row) for row in SYMPTOMS if row.topic is topic)


def _row(row: Symptom) -> str:
    shown = "<br>".join(_code(text) for text in row.shown)
    flows = ", ".join(f"[{flow}](rules/{flow}.md)" for flow in row.flows)
    name = f'<a id="{row.id}"></a>{row.id}'
    return f"| {name} | {shown} | {_BLAMES[row.blame]} | {flows} | {row.means} {row.tell} |"


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")
