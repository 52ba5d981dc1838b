"""The map of namespaces without a browser: an SVG of the matrix, and graphs for DOT and Mermaid.

The marks are those of the page: hollow for some ports, solid for every port, a dot where something requires
it, a cross where that is denied, with a bar on the side that denies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from istio_netpol.analysis.reachability.document import ReachabilityFacts
from istio_netpol.analysis.reachability.pair_counts import OUTSIDE, PairCounts, Pairs, namespace_pairs
from istio_netpol.printable import visible

SIZE, LEFT, TOP = 20, 190, 150
_STYLE = """\
text{font:12px system-ui,sans-serif;fill:#1a2027}.quiet{fill:#535d68}.line{stroke:#e9ecef}
.allow{fill:#5192cd}.some{fill:none;stroke:#5192cd;stroke-width:1.75}.need{fill:#081f36}
.cut{fill:#b93500}.cross{stroke:#fff;stroke-width:2;stroke-linecap:round}.wall{fill:#1a2027}
.unknown{fill:#7a6000;font-weight:700}"""


def svg(facts: ReachabilityFacts, title: str) -> str:
    """The matrix of namespaces as it is now."""
    pairs = namespace_pairs(facts, facts.now)
    names = _shown(facts, pairs)
    width, height = LEFT + len(names) * SIZE + 20, TOP + len(names) * SIZE + 50
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img">',
            f"<title>{_text(title)}: who can reach whom</title>",
            f"<style>{_STYLE}</style>",
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
            f'<text x="12" y="24" font-weight="600">{_text(title)}</text>',
            f'<text x="12" y="42" class="quiet">{_text(_summary(facts))}</text>',
            *_names(names),
            *_cells(names, pairs),
            f'<text x="12" y="{height - 16}" class="quiet">Rows are sources. Cross: required and denied; bar '
            "left: by the source's egress, on top: by the destination's ingress. Dot: required and allowed. "
            "Hollow: some ports. Solid: every port.</text>",
            "</svg>\n",
        ]
    )


def dot(facts: ReachabilityFacts, title: str) -> str:
    """The namespaces between which something is required, for Graphviz. What is cut is a dashed red edge."""
    pairs = namespace_pairs(facts, facts.now)
    lines = [f"digraph {_quoted(title)} {{", "  rankdir=LR;", "  node [shape=box];"]
    lines += [f"  {_quoted(name)};" for name in _names_in(pairs)]
    for (source, destination), counts in _edges(pairs):
        look = ' color="#b93500" style=dashed' if counts.cut else ""
        ends = f"{_quoted(_name(source))} -> {_quoted(_name(destination))}"
        lines.append(f"  {ends} [label={_quoted(_label(counts))}{look}];")
    return "\n".join([*lines, "}\n"])


def mermaid(facts: ReachabilityFacts) -> str:
    """The same for Mermaid. Nodes are numbered, as names may be words of its language."""
    pairs = namespace_pairs(facts, facts.now)
    names = _names_in(pairs)
    numbers = {name: f"n{number}" for number, name in enumerate(names)}
    lines = ["flowchart LR", *(f"  {numbers[name]}[{_mermaid_text(name)}]" for name in names)]
    cut = []
    for number, ((source, destination), counts) in enumerate(_edges(pairs)):
        arrow = "-. " if counts.cut else "-- "
        tip = " .-> " if counts.cut else " --> "
        ends = numbers[_name(source)], numbers[_name(destination)]
        lines.append(f"  {ends[0]} {arrow}{_mermaid_text(_label(counts))}{tip}{ends[1]}")
        if counts.cut:
            cut.append(str(number))
    if cut:
        lines.append(f"  linkStyle {','.join(cut)} stroke:#b93500")
    return "\n".join([*lines, ""])


def _shown(facts: ReachabilityFacts, pairs: Pairs) -> list[str]:
    """The namespaces with workloads, outside peers first where there is anything to say of them."""
    inside = sorted({workload.namespace for workload in facts.workloads})
    return [OUTSIDE, *inside] if any(OUTSIDE in pair for pair in pairs) else inside


def _summary(facts: ReachabilityFacts) -> str:
    summary = facts.now.report.summary
    return f"{summary.denied} of {summary.flows} required flows are cut"


def _name(namespace: str) -> str:
    return namespace or "outside the cluster"


def _names(names: Sequence[str]) -> Iterator[str]:
    end = len(names) * SIZE
    for place, name in enumerate(names):
        middle = place * SIZE + SIZE // 2
        short = _text(_short(_name(name)))
        yield f'<text x="{LEFT - 8}" y="{TOP + middle + 4}" text-anchor="end">{short}</text>'
        turned = f'transform="translate({LEFT + middle + 4},{TOP - 8}) rotate(-90)"'
        yield f"<text {turned}>{short}</text>"
    for place in range(len(names) + 1):
        at = place * SIZE
        yield f'<path class="line" d="M{LEFT} {TOP + at}h{end}M{LEFT + at} {TOP}v{end}"/>'


def _short(name: str) -> str:
    return name if len(name) <= 26 else f"{name[:25]}…"


def _cells(names: Sequence[str], pairs: Pairs) -> Iterator[str]:
    for row, source in enumerate(names):
        for column, destination in enumerate(names):
            if counts := pairs.get((source, destination)):
                x, y = LEFT + column * SIZE, TOP + row * SIZE
                words = f"{_name(source)} to {_name(destination)}: {_label(counts)}"
                yield f"<g><title>{_text(words)}</title>{''.join(_marks(counts, x, y))}</g>"


def _marks(counts: PairCounts, x: int, y: int) -> Iterator[str]:
    middle_x, middle_y = x + SIZE / 2, y + SIZE / 2
    if counts.cut:
        yield f'<rect class="cut" x="{x + 2}" y="{y + 2}" width="{SIZE - 4}" height="{SIZE - 4}" rx="2"/>'
        yield f'<path class="cross" d="M{x + 6} {y + 6}l8 8M{x + 14} {y + 6}l-8 8"/>'
        if counts.cut_by_egress:
            yield f'<rect class="wall" x="{x}" y="{y}" width="3" height="{SIZE}"/>'
        if counts.cut_by_ingress:
            yield f'<rect class="wall" x="{x}" y="{y}" width="{SIZE}" height="3"/>'
        return
    if counts.allowed:
        look = "allow" if counts.wide else "some"
        yield f'<rect class="{look}" x="{x + 3}" y="{y + 3}" width="{SIZE - 6}" height="{SIZE - 6}" rx="2"/>'
    if counts.unknown:
        yield f'<text class="unknown" x="{middle_x}" y="{middle_y + 4}" text-anchor="middle">?</text>'
    elif counts.needed:
        yield f'<circle class="need" cx="{middle_x}" cy="{middle_y}" r="2.5"/>'


def _edges(pairs: Pairs) -> list[tuple[tuple[str, str], PairCounts]]:
    """Only what something requires: a graph of all that is allowed is a ball of wool."""
    asked = ((ends, counts) for ends, counts in pairs.items() if _is_required(counts))
    return sorted(asked, key=lambda edge: edge[0])


def _is_required(counts: PairCounts) -> bool:
    return bool(counts.needed or counts.cut or counts.unknown)


def _names_in(pairs: Pairs) -> list[str]:
    return sorted({_name(name) for ends, _ in _edges(pairs) for name in ends})


def _label(counts: PairCounts) -> str:
    required = counts.needed + counts.cut + counts.unknown
    if counts.cut:
        return f"{counts.cut} of {required} required flows cut"
    if required:
        return f"{required} required {'flow' if required == 1 else 'flows'}"
    return f"{counts.allowed} {'pair' if counts.allowed == 1 else 'pairs'} allowed, none required"


def _text(text: str) -> str:
    return escape(visible(text))


def _quoted(text: str) -> str:
    """A string of DOT: only the backslash and the quote mean something in it."""
    plain = visible(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'


def _mermaid_text(text: str) -> str:
    """A string of Mermaid, which knows entity codes for what means something in it."""
    written = "".join(
        character if character.isalnum() or character in " -_./," else f"#{ord(character)};"
        for character in visible(text)
    )
    return f'"{written}"'
