"""A cluster's readiness as JSON: the `ReadinessReport` document, whose fields docs/readiness.md lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
from istio_netpol.model.policies import Direction
from istio_netpol.report.json_format import API_VERSION, dump, finding_documents, object_document, peer_shapes


def readiness_json(named: Sequence[tuple[str, ReadinessReport]]) -> str:
    """One document, or a list of those of several inputs, each with the name of its input."""
    if len(named) == 1 and not named[0][0]:
        return dump(_document(named[0][1]))
    items = [{"input": name, **_document(found)} for name, found in named]
    return dump({"apiVersion": API_VERSION, "kind": "ReadinessList", "items": items})


def _document(found: ReadinessReport) -> dict[str, Any]:
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


def _namespace(namespace: NamespaceReadiness) -> dict[str, Any]:
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


def _step(step: RolloutStep) -> dict[str, Any]:
    return {
        "number": step.number,
        "action": "deny-all" if step.is_denial else "allow",
        "afterAnswers": step.waits,
        "policy": encode_policy(step.policy),
        "cuts": [_connection(flow) for flow in step.cuts],
        "ask": [_ask(ask) for ask in step.asks],
    }


def _opened(opened: KeptConnection) -> dict[str, Any]:
    return {
        **_connection(opened.flow),
        "keptBy": {"egress": list(opened.egress_steps), "ingress": list(opened.ingress_steps)},
    }


def _cut(cut: Cut) -> dict[str, Any]:
    return {**_connection(cut.flow), "why": str(cut.rule), "message": cut.message, "step": cut.step}


def _connection(flow: RequiredFlow) -> dict[str, Any]:
    source, destination = list(peer_shapes(flow.source)), list(peer_shapes(flow.destination))
    return {
        "rule": str(flow.kind),
        "object": object_document(flow.object),
        "sources": source,
        "destinations": destination,
        "protocol": str(flow.protocol),
        "port": flow.port,
    }


def _ask(ask: Ask) -> dict[str, Any]:
    return {**object_document(ask.workload), "directions": _sides(ask.directions)}


def _asked(asked: OpenQuestion) -> dict[str, Any]:
    return {
        **object_document(asked.workload),
        "directions": _sides(asked.directions),
        "policies": list(asked.policies),
    }


def _sides(directions: Sequence[Direction] | frozenset[Direction]) -> list[str]:
    return sorted(direction.lower() for direction in directions)
