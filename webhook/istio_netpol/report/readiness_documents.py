"""A cluster's readiness as documents: as JSON, the `ReadinessReport` whose fields docs/readiness.md lists,
and as Markdown, for a ticket and beside the files of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from istio_netpol.analysis.readiness.assessment import (
    Cut,
    KeptConnection,
    NamespaceReadiness,
    OpenQuestion,
    ReadinessReport,
)
from istio_netpol.analysis.readiness.rollout import Ask, RolloutStep
from istio_netpol.manifests.encode import encode_policy
from istio_netpol.model.flows import RequiredFlow
from istio_netpol.model.json_values import JsonObject
from istio_netpol.model.policies import Direction
from istio_netpol.printable import visible
from istio_netpol.report.json_format import API_VERSION, dump, finding_documents, object_document, peer_shapes
from istio_netpol.report.readiness import (
    asked_lines,
    by_weight,
    cut_lines,
    open_lines,
    order_lines,
    outcome_of,
    policies_of,
    state_of,
    step_lines,
    verdict_of,
)


def readiness_json(named: Sequence[tuple[str, ReadinessReport]]) -> str:
    """One document, or a list of those of several inputs, each with the name of its input."""
    if len(named) == 1 and not named[0][0]:
        return dump(_document(named[0][1]))
    items = [{"input": name, **_document(found)} for name, found in named]
    return dump({"apiVersion": API_VERSION, "kind": "ReadinessList", "items": items})


def _document(found: ReadinessReport) -> JsonObject:
    return {
        "apiVersion": API_VERSION,
        "kind": "Readiness",
        "safe": found.is_safe,
        "summary": {
            "requiredConnections": found.flows,
            "wouldCut": found.would_cut,
            "kept": len(found.opened),
            "stillCut": len(found.cuts),
            "steps": len(found.steps),
            "safeSteps": found.safe_steps,
            "toAsk": len(found.asked),
            "notJudged": len(found.not_judged),
        },
        "namespaces": [_namespace(namespace) for namespace in found.namespaces],
        "steps": [_step(step) for step in found.steps],
        "wouldCut": [_opened(opened) for opened in found.opened],
        "stillCut": [_cut(cut) for cut in found.cuts],
        "ask": [_asked(asked) for asked in found.asked],
        "notJudged": finding_documents(found.not_judged),
        "assumed": [{"what": assumption.what, "why": assumption.why} for assumption in found.assumptions],
    }


def _namespace(namespace: NamespaceReadiness) -> JsonObject:
    return {
        "name": namespace.name,
        "denied": _sides(namespace.denied),
        "openedBy": list(namespace.opened_by),
        "leftAlone": namespace.left,
        "workloads": namespace.workloads,
        "wouldCut": namespace.would_cut,
        "policies": {"egress": namespace.egress_policies, "ingress": namespace.ingress_policies},
        "stillCut": namespace.cuts,
        "toAsk": namespace.asks,
    }


def _step(step: RolloutStep) -> JsonObject:
    return {
        "number": step.number,
        "action": "deny-all" if step.is_denial else "allow",
        "afterAnswers": step.waits,
        "policy": encode_policy(step.policy),
        "cuts": [_connection(flow) for flow in step.cuts],
        "ask": [_ask(ask) for ask in step.asks],
    }


def _opened(opened: KeptConnection) -> JsonObject:
    return {
        **_connection(opened.flow),
        "keptBy": {"egress": list(opened.egress_steps), "ingress": list(opened.ingress_steps)},
    }


def _cut(cut: Cut) -> JsonObject:
    return {**_connection(cut.flow), "why": str(cut.rule), "message": cut.message, "step": cut.step}


def _connection(flow: RequiredFlow) -> JsonObject:
    source, destination = list(peer_shapes(flow.source)), list(peer_shapes(flow.destination))
    return {
        "rule": str(flow.kind),
        "object": object_document(flow.object),
        "sources": source,
        "destinations": destination,
        "protocol": str(flow.protocol),
        "port": flow.port,
    }


def _ask(ask: Ask) -> JsonObject:
    return {**object_document(ask.workload), "directions": _sides(ask.directions)}


def _asked(asked: OpenQuestion) -> JsonObject:
    return {
        **object_document(asked.workload),
        "directions": _sides(asked.directions),
        "policies": list(asked.policies),
    }


def _sides(directions: Sequence[Direction] | frozenset[Direction]) -> list[str]:
    return sorted(direction.lower() for direction in directions)


_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_|<>[]#"})


def markdown_plans(named: Sequence[tuple[str, ReadinessReport]]) -> str:
    """The plans of all inputs, one after the other."""
    return "\n".join(readiness_markdown(plan, name) for name, plan in named)


def readiness_markdown(found: ReadinessReport, name: str = "") -> str:
    """The document, ending in a line break. It is whole: nothing is left out of it."""
    return "".join(f"{line}\n" for line in _lines(found, name))


def _lines(found: ReadinessReport, name: str) -> Iterator[str]:
    title = f" of {_text(name)}" if name else ""
    yield f"# Readiness for a deny-all{title}"
    yield ""
    yield f"**{_text(verdict_of(found))}**"
    yield ""
    yield "| Namespace | Today | Would cut | Policies to add | With the plan |"
    yield "|---|---|---:|---|---|"
    for namespace in by_weight(found.namespaces):
        cells = (state_of(namespace), str(namespace.would_cut), policies_of(namespace), outcome_of(namespace))
        yield f"| {' | '.join(map(_text, (namespace.name, *cells)))} |"
    yield from _section("Ask the owners of", asked_lines(found.asked))
    yield from _section("Still denied when all steps are applied", cut_lines(found.cuts))
    yield from _section("Not judged", open_lines(found))
    yield from _section("Order", order_lines(found))
    yield from _section("Steps", step_lines(found.steps))


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield ""
        yield f"## {title}"
        yield ""
        yield from (f"- {_text(line)}" for line in found)


def _text(text: str) -> str:
    return visible(text).translate(_SPECIAL)
