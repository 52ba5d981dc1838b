"""What one line of a log, or of what somebody pasted, shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.model.flows import FlowKind
from istio_netpol.model.json_values import JsonObject
from istio_netpol.symptoms import facts
from istio_netpol.symptoms.access_line import AccessLine, access_line, access_object, bare_flags
from istio_netpol.symptoms.answers import CALLS
from istio_netpol.symptoms.facts import NO_FACTS, ConnectionFacts
from istio_netpol.symptoms.symptom import Symptom, Topic
from istio_netpol.symptoms.table import SYMPTOMS

FLOWS_BY_PORT: Mapping[int, tuple[FlowKind, ...]] = {
    **dict.fromkeys((53, 1053, 8053, 5353), (FlowKind.DNS,)),
    **dict.fromkeys((15010, 15012), (FlowKind.PROXY_TO_ISTIOD, FlowKind.GATEWAY_TO_ISTIOD)),
    **dict.fromkeys((15017, 9443), (FlowKind.WEBHOOK_FROM_APISERVER,)),
    **dict.fromkeys((15014, 15020, 15090), (FlowKind.SCRAPE,)),
    **dict.fromkeys((4317, 4318, 9411), (FlowKind.TRACING, FlowKind.WORKLOAD_TO_WORKLOAD)),
    6443: (FlowKind.TO_APISERVER,),
    15008: (FlowKind.HBONE,),
}
"""What a connection is for that is named by its port alone."""

_FLAGS = re.compile(
    r"(?:^\W{0,4}(?=[A-Z, ]{2,40}\W{0,4}(?:$|(?:response )?flags?\b))|flags?\W{1,4}|(?:^"
    r"|\s)(?P<code>0|[1-5]\d\d)\s{1,8})"
    r"(?P<flags>[A-Z]{2,5}(?:[, ][A-Z]{2,5}\b){0,8})(?=\W"
    r"|$)(?:\s{1,8}(?P<details>[a-z_]{4,60}(?:\{\S{0,300}\})?))?"
)
_MOST_NESTED = 3
_TEXTS_IN_DOCUMENT = 60


class Sighting(Struct, frozen=True):
    """A symptom in one line, the flows that can cause it there, likeliest first, and who connected to "
    "whom."""

    symptom: Symptom
    flows: tuple[FlowKind, ...]
    facts: ConnectionFacts = NO_FACTS


def sighting(line: str, rows: Iterable[Symptom] = SYMPTOMS) -> Sighting | None:
    """What the line shows; None where no row of the table recognises it. `rows` are those that can match."""
    text, told, logged = _unwrapped(line)
    logged = logged or access_line(text)
    if logged is not None:
        return _of_access_line(logged, told.over(facts.of_writer(line)))
    if '\\"' in text:
        text = text.replace('\\"', '"')
    found = _of_text(text, rows)
    if found is None:
        flags = _flags(text)
        if flags is None:
            return None
        found = _of_access_line(flags, NO_FACTS)
    own = found.facts.over(facts.of_labels(text)) if "=" in text else found.facts
    return replace(found, facts=own.over(told).over(facts.of_writer(text)))


def _of_text(text: str, rows: Iterable[Symptom]) -> Sighting | None:
    lower = text.lower()
    for row in rows:
        if row.pattern is None or not any(needle in lower for needle in row.needles):
            continue
        match = row.pattern.search(text)
        if match is not None:
            told = facts.of_match(match)
            return Sighting(row, _by_port(row, told), told)
    return None


def _by_port(row: Symptom, told: ConnectionFacts) -> tuple[FlowKind, ...]:
    if row.topic is not Topic.CLIENTS or told.host:
        return row.flows
    return FLOWS_BY_PORT.get(told.port, row.flows)


def _of_access_line(line: AccessLine, told: ConnectionFacts) -> Sighting:
    row = next(row for row in SYMPTOMS if row.logged is not None and row.logged(line))
    own = facts.of_access_line(line)
    policy = re.search(r"matched_policy\[(.{0,300}?)\]?$", line.details)
    if policy is not None:
        own = replace(own, policy=policy[1])
    return Sighting(row, _on_the_way(row.flows, line), own.over(told))


def _on_the_way(flows: tuple[FlowKind, ...], line: AccessLine) -> tuple[FlowKind, ...]:
    """Those of the flows that the line's cluster leaves possible."""
    if not line.cluster or FlowKind.WORKLOAD_TO_EXTERNAL not in flows:
        return flows
    called = line.called
    is_outside = line.cluster.startswith("Passthrough") or (called is not None and ".svc." not in called[0])
    if line.goes_through_tunnel:
        possible: tuple[FlowKind, ...] = (FlowKind.HBONE,)
    elif is_outside:
        possible = (FlowKind.DNS, FlowKind.WORKLOAD_TO_EXTERNAL)
    else:
        possible = (FlowKind.GATEWAY_TO_WORKLOAD, FlowKind.WORKLOAD_TO_WORKLOAD)
    kept = tuple(flow for flow in flows if flow in possible)
    return kept or (possible if set(flows) >= set(CALLS) else flows)


def _flags(text: str) -> AccessLine | None:
    """Flags that are named without the line that they stood in."""
    for match in _FLAGS.finditer(text[:1000]):
        found = bare_flags(match["flags"].replace(" ", ","))
        if found is not None:
            return replace(found, code=match["code"] or "", details=match["details"] or "")
    return None


def _unwrapped(line: str) -> tuple[str, ConnectionFacts, AccessLine | None]:
    """The text of a line that is JSON, what its document says of the pod, and its fields where it is of an
    access log."""
    told = NO_FACTS
    for _ in range(_MOST_NESTED):
        document = _document(line)
        if document is None:
            break
        told = told.over(facts.of_document(document))
        logged = access_object(document)
        if logged is not None:
            return line, told, logged
        inner = document.get("log") or document.get("message") or document.get("msg")
        if not (isinstance(inner, str) and (inner.lstrip().startswith("{") or access_line(inner))):
            return " ".join(_texts(document)), told, None
        line = inner
    return line, told, None


def _document(line: str) -> JsonObject | None:
    start = line.find("{")
    if start < 0 or not line.rstrip().endswith("}"):
        return None
    try:
        document = json.loads(line[start:])
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _texts(document: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The fields of a document as a log in text would have them, those of the message without their name."""
    for key, value in list(document.items())[:_TEXTS_IN_DOCUMENT]:
        if isinstance(value, Mapping) and not prefix:
            yield from _texts(value, f"{key}.")
        elif key in ("msg", "message", "log", "body", "textPayload"):
            yield str(value)
        elif isinstance(value, str | int | float):
            yield f'{prefix}{key}="{value}"'
