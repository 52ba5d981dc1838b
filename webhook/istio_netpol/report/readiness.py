"""A cluster's readiness for a deny-all for people: what it would cut, whom to ask, in which order to apply
what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby

from istio_netpol.analysis.readiness.assessment import Cut, NamespaceReadiness, OpenQuestion, ReadinessReport
from istio_netpol.analysis.readiness.rollout import RolloutStep
from istio_netpol.model.policies import Direction
from istio_netpol.printable import visible
from istio_netpol.report.palette import PLAIN, Palette, text_of_inputs
from istio_netpol.report.places import plural

ALL = 1_000_000
_MOST_NAMESPACES, _MOST_ASKED, _MOST_CUTS, _MOST_OPEN = 12, 6, 5, 4
_NAMES = 4
_LONGEST = 220
"""Of a reason, unless everything is asked for: what follows names the same again for others."""

_QUESTIONS = {
    (Direction.EGRESS,): "what they call",
    (Direction.INGRESS,): "who calls them",
    (Direction.EGRESS, Direction.INGRESS): "what they call and who calls them",
}


def text_plans(
    named: Sequence[tuple[str, ReadinessReport]], palette: Palette = PLAIN, *, everything: bool = False
) -> str:
    """The plan of the input, or those of several inputs under their names."""
    return text_of_inputs(named, partial(readiness_text, everything=everything), palette)


def readiness_text(found: ReadinessReport, palette: Palette = PLAIN, *, everything: bool = False) -> str:
    """The document, ending in a line break: a screen of it, or all."""
    return "".join(f"{line}\n" for line in _lines(found, palette, everything))


def _lines(found: ReadinessReport, palette: Palette, everything: bool) -> Iterator[str]:
    escape = palette.good if found.is_safe else palette.error
    yield palette.paint(verdict_of(found), escape)
    yield ""
    yield from _namespaces(found, palette, ALL if everything else _MOST_NAMESPACES)
    yield from _section(
        "Nothing says what these workloads need, so ask their owners before they are isolated:",
        list(asked_lines(found.asked)),
        ALL if everything else _MOST_ASKED,
        palette,
    )
    yield from _section(
        "Still denied when all steps are applied:",
        list(cut_lines(found.cuts)),
        ALL if everything else _MOST_CUTS,
        palette,
    )
    yield from _section("Not judged:", list(open_lines(found)), ALL if everything else _MOST_OPEN, palette)
    yield palette.paint("Order:", palette.heading)
    yield from (f"  {line}" for line in order_lines(found))
    if everything:
        yield ""
        yield palette.paint("Steps:", palette.heading)
        yield from (f"  {visible(line)}" for line in step_lines(found.steps))


def verdict_of(found: ReadinessReport) -> str:
    """One sentence: whether the plan can be applied to its end, and what a deny-all would cost without it."""
    cost = f"A deny-all alone would cut {found.would_cut} of {plural(found.flows, 'required connection')}"
    if not found.steps:
        return f"{_state(found)} Nothing is left to apply."
    return f"{_state(found)} {cost}; the plan keeps {len(found.opened)} of them."


def _state(found: ReadinessReport) -> str:
    if found.is_safe:
        steps = plural(len(found.steps), "step")
        return (
            f"Ready: all {steps} can be applied, and none cuts a connection that the input declares. What no "
            "object declares is not seen."
        )
    reasons = [
        *([f"{plural(len(found.asked), 'workload')} to ask about"] if found.asked else ()),
        *([f"{plural(len(found.cuts), 'connection')} that no policy keeps"] if found.cuts else ()),
        *([f"{plural(len(found.not_judged), 'question')} not judged"] if found.not_judged else ()),
        *([f"{plural(len(found.assumptions), 'assumption')}"] if found.assumptions else ()),
    ]
    return f"Not ready: {', '.join(reasons)}."


def state_of(namespace: NamespaceReadiness) -> str:
    """What is denied to all pods of a namespace today, and which policies take that back."""
    if not namespace.denied:
        return "open"
    denied = "denied" if namespace.is_denied else f"{next(iter(namespace.denied)).lower()} denied"
    names = ", ".join(key.partition("/")[2] for key in namespace.opened_by)
    return f"{denied}, opened by {names}" if names else denied


def outcome_of(namespace: NamespaceReadiness) -> str:
    """What the plan comes to for a namespace."""
    if namespace.left:
        return f"left alone: {namespace.left}"
    parts = [
        *([f"ask about {plural(namespace.asks, 'workload')}"] if namespace.asks else ()),
        *([f"{namespace.cuts} still cut"] if namespace.cuts else ()),
    ]
    return ", ".join(parts) or "ready"


def policies_of(namespace: NamespaceReadiness) -> str:
    """How many policies the plan adds, by side."""
    counts = (("egress", namespace.egress_policies), ("ingress", namespace.ingress_policies))
    return " + ".join(f"{count} {side}" for side, count in counts if count) or "-"


def by_weight(namespaces: Iterable[NamespaceReadiness]) -> list[NamespaceReadiness]:
    """Those with something open first, then those that the plan changes, then the rest."""

    def weight(namespace: NamespaceReadiness) -> tuple[bool, bool, int, str]:
        is_open = bool(namespace.asks or namespace.cuts)
        return (not is_open, bool(namespace.left), -namespace.would_cut, namespace.name)

    return sorted(namespaces, key=weight)


def _namespaces(found: ReadinessReport, palette: Palette, most: int) -> Iterator[str]:
    ranked = by_weight(found.namespaces)
    rows = [
        (
            visible(namespace.name),
            state_of(namespace),
            str(namespace.would_cut),
            policies_of(namespace),
            visible(outcome_of(namespace)),
        )
        for namespace in ranked[:most]
    ]
    heading = ("Namespace", "Today", "Would cut", "Policies to add", "With the plan")
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    yield palette.paint(_row(heading, widths), palette.heading)
    yield from (_row(row, widths) for row in rows)
    if len(ranked) > most:
        others = ranked[most:]
        is_ready = not any(namespace.asks or namespace.cuts for namespace in others)
        yield f"and {len(others)} more{', all ready or left alone' if is_ready else ''}; --all lists them"
    yield ""


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _section(title: str, lines: Sequence[str], most: int, palette: Palette) -> Iterator[str]:
    if not lines:
        return
    yield palette.paint(title, palette.heading)
    yield from (f"  - {visible(line if most == ALL else _clipped(line))}" for line in lines[:most])
    if len(lines) > most:
        yield f"  and {len(lines) - most} more; --all lists them"
    yield ""


def _clipped(line: str) -> str:
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 2].rstrip()} …"


def asked_lines(asked: Iterable[OpenQuestion]) -> Iterator[str]:
    """`auth: what they call: Deployment oauth2-proxy, …`, a line for each namespace and question."""

    def topic(workload: OpenQuestion) -> tuple[str, tuple[Direction, ...]]:
        return (workload.workload.namespace, workload.directions)

    for (namespace, directions), group in groupby(sorted(asked, key=topic), key=topic):
        names = [f"{question.workload.kind} {question.workload.name}" for question in group]
        more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
        yield f"{namespace}: {_QUESTIONS[directions]}: {', '.join(names[:_NAMES])}{more}"


def cut_lines(cuts: Iterable[Cut]) -> Iterator[str]:
    """One line for each reason, with the steps that cut and how many connections they are."""
    groups: dict[tuple[str, str], list[Cut]] = {}
    for cut in sorted(cuts, key=lambda cut: (cut.step == 0, cut.step)):
        groups.setdefault((str(cut.rule), cut.message), []).append(cut)
    for (rule, message), members in groups.items():
        steps = sorted({cut.step for cut in members if cut.step})
        today = sum(not cut.step for cut in members)
        when = [
            *([f"cut by {'step' if len(steps) == 1 else 'steps'} {_ranges(steps)}"] if steps else ()),
            *([f"{today} denied today already"] if today else ()),
        ]
        yield f"{rule} ({plural(len(members), 'connection')}, {', '.join(when)}): {message}"


def _ranges(numbers: Sequence[int]) -> str:
    """`3, 7-9`."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)


def open_lines(found: ReadinessReport) -> Iterator[str]:
    """What is not known, but for what is told of as cut already."""
    told = {cut.message for cut in found.cuts}
    for finding in found.not_judged:
        if finding.message not in told:
            yield f"{finding.rule}: {finding.message}"
    yield from (f"assumed: {assumption}" for assumption in found.assumptions)


def order_lines(found: ReadinessReport) -> Iterator[str]:
    """Which steps to apply when."""
    safe = [step for step in found.steps if not step.waits]
    others = [step for step in found.steps if step.waits]
    allows, denials = ([step for step in safe if step.is_denial is kind] for kind in (False, True))
    if not found.steps:
        yield "nothing to apply: every namespace that is not left alone denies both directions already"
        return
    if allows:
        yield f"{_steps(allows)}: policies that allow, one by one; none of them cuts anything"
    if denials:
        yield f"{_steps(denials)}: the deny-all of {plural(len(denials), 'namespace')}; cuts nothing"
    if others:
        yield f"{_steps(others)}: after the answers only, each costs what is listed above"
    yield "-o DIR writes a file for each step; apply them one by one with `kubectl apply -f`"


def step_lines(steps: Iterable[RolloutStep]) -> Iterator[str]:
    """`12: allow egress, shop/egress-cart-…`, a line for each step, with what it costs."""
    for step in steps:
        sides = " and ".join(sorted(direction.lower() for direction in step.policy.policy_types))
        costs = [
            *([f"cuts {plural(len(step.cuts), 'connection')}"] if step.cuts else ()),
            *([f"ask about {plural(len(step.asks), 'workload')}"] if step.asks else ()),
            *(["after answers"] if step.waits else ()),
        ]
        told = f" ({', '.join(costs)})" if costs else ""
        yield f"{step.number}: {'deny' if step.is_denial else 'allow'} {sides}, {step.policy.key}{told}"


def _steps(steps: Iterable[RolloutStep]) -> str:
    numbers = sorted(step.number for step in steps)
    return f"{'step' if len(numbers) == 1 else 'steps'} {_ranges(numbers)}"
