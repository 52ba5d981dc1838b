"""What was seen, and which flow is cut, for people and for scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from istio_netpol.analysis.symptom_causes.causes import Suspect, SymptomAnswer, SymptomOutcome
from istio_netpol.manifests.encode import encode_policy, to_yaml
from istio_netpol.model.json_values import JsonObject
from istio_netpol.printable import visible, without_secrets
from istio_netpol.report.json_format import API_VERSION, dump
from istio_netpol.report.palette import PLAIN, Palette, text_of_inputs
from istio_netpol.symptoms.paste import PasteReading
from istio_netpol.symptoms.symptom import Blame

MOST_ANSWERS = 8
MOST_SUSPECTS = 3
"""What text shows of each: there is more in JSON."""

_QUERY = re.compile(r"\?[^\s\"=?]{1,200}=[^\s\"]*")
_SENTENCES = {
    SymptomOutcome.DENIED: "a NetworkPolicy denies it here",
    SymptomOutcome.ALLOWED: "the NetworkPolicies here allow it",
    SymptomOutcome.UNKNOWN: "not judged: nothing in the input fits",
    SymptomOutcome.OTHER_CAUSE: "not a NetworkPolicy",
}
_WITHOUT_INPUT = {
    Blame.LIKELY: "a NetworkPolicy is likely",
    Blame.POSSIBLE: "a NetworkPolicy is possible",
}
_ELSEWHERE = (
    "Then look where NetworkPolicies do not: policies of the network plugin, firewalls and security groups, "
    "the node, or the far end itself."
)


def text_symptoms(
    named: Sequence[tuple[str, tuple[SymptomAnswer, ...]]], reading: PasteReading, palette: Palette = PLAIN
) -> str:
    """The answers for the input, or for several inputs under their names."""

    def text(found: tuple[SymptomAnswer, ...], palette: Palette) -> str:
        return "".join(f"{line}\n" for line in _lines(found, reading, palette))

    return text_of_inputs(named, text, palette)


def json_symptoms(named: Sequence[tuple[str, tuple[SymptomAnswer, ...]]], reading: PasteReading) -> str:
    """The document `Symptoms`, or for several inputs a `SymptomsList` whose items name theirs."""
    items = [{**_document(found, reading), **({"input": name} if name else {})} for name, found in named]
    if len(items) == 1 and "input" not in items[0]:
        return dump(items[0])
    return dump({"apiVersion": API_VERSION, "kind": "SymptomsList", "items": items})


def _document(found: tuple[SymptomAnswer, ...], reading: PasteReading) -> JsonObject:
    return {
        "apiVersion": API_VERSION,
        "kind": "Symptoms",
        "lines": reading.lines,
        "symptoms": [_answer_document(answer) for answer in found],
    }


def _answer_document(answer: SymptomAnswer) -> JsonObject:
    seen, sighting = answer.seen, answer.seen.sighting
    facts = sighting.facts
    told = {
        "pod": facts.pod,
        "namespace": facts.namespace,
        "host": facts.host,
        "address": facts.address,
        "port": facts.port,
        "authorizationPolicy": facts.policy,
        "server": facts.server,
    }
    return {
        "id": sighting.symptom.id,
        "blame": sighting.symptom.blame,
        "outcome": answer.outcome,
        "line": seen.line,
        "count": seen.count,
        "excerpt": _excerpt(answer),
        "means": sighting.symptom.means,
        "tell": sighting.symptom.tell,
        "told": {key: value for key, value in told.items() if value},
        "flows": list(sighting.flows),
        "suspects": [_suspect_document(suspect) for suspect in answer.suspects],
        "remarks": list(answer.remarks),
    }


def _suspect_document(suspect: Suspect) -> JsonObject:
    return {
        "rule": suspect.kind,
        "source": suspect.source,
        "destination": suspect.destination,
        "protocol": suspect.protocol,
        "port": suspect.port,
        "allowed": suspect.allowed,
        "message": suspect.told,
        "remedy": [encode_policy(policy) for policy in suspect.remedy],
    }


def _lines(found: tuple[SymptomAnswer, ...], reading: PasteReading, palette: Palette) -> Iterator[str]:
    shown = found[:MOST_ANSWERS]
    for answer in shown:
        yield from _answer(answer, reading, palette)
        yield ""
    if left := len(found) - len(shown):
        yield f"and {left} more, less likely; -f json has all"
        yield ""
    if reading.merged:
        yield f"{reading.merged} lines more name other connections with the same symptoms."
        yield ""
    policies = {policy.key: policy for suspect in _told(shown) for policy in suspect.remedy}
    if policies:
        yield palette.paint("Policies that allow what is shown as denied:", palette.heading)
        yield ""
        yield from to_yaml([policies[key] for key in sorted(policies)]).rstrip("\n").split("\n")


def _answer(answer: SymptomAnswer, reading: PasteReading, palette: Palette) -> Iterator[str]:
    symptom = answer.seen.sighting.symptom
    yield f"{palette.paint(symptom.id, palette.heading)}: {_verdict(answer, palette)}"
    yield f"  {_place(answer, reading)}{_excerpt(answer)}"
    yield ""
    yield f"  {symptom.means}"
    told = list(_told([answer]))
    for suspect in told:
        yield palette.paint(f"  x {suspect.kind}: {visible(suspect.told)}", palette.error)
    if left := sum(suspect.allowed is False for suspect in answer.suspects) - len(told):
        yield f"  x and {left} more that are denied; -n and --from narrow it down, -f json has all"
    yield from _others(answer, palette)
    for remark in answer.remarks:
        yield f"  - {visible(remark)}"
    if symptom.blame is Blame.WORKS and answer.seen.sighting.facts.host:
        yield f"  - the answer came from {visible(answer.seen.sighting.facts.host)}"
    if answer.outcome is SymptomOutcome.ALLOWED and symptom.blame is not Blame.WORKS:
        yield f"  {_ELSEWHERE}"
    yield f"  {symptom.tell}"
    if answer.flows:
        kind = next((suspect.kind for suspect in told), answer.flows[0])
        yield f"  More: istio-netpol rule {kind}"


def _told(found: Sequence[SymptomAnswer]) -> Iterator[Suspect]:
    """The denied connections that are shown: of those between the same ends the first."""
    for answer in found:
        denied = {
            (suspect.kind, suspect.source, suspect.destination): suspect
            for suspect in reversed(answer.suspects)
            if suspect.allowed is False
        }
        yield from list(reversed(denied.values()))[:MOST_SUSPECTS]


def _others(answer: SymptomAnswer, palette: Palette) -> Iterator[str]:
    """The kinds of flows that no policy denies, in the order in which they can be the cause."""
    for kind in answer.flows:
        verdicts = [suspect.allowed for suspect in answer.suspects if suspect.asked == kind]
        if False in verdicts:
            continue
        if answer.outcome is SymptomOutcome.NO_INPUT:
            yield f"  - look at {kind}{_ends(answer)}"
        elif None in verdicts:
            yield f"  - {kind}: it is unknown whether it is allowed"
        elif verdicts:
            flows = "the flow is" if len(verdicts) == 1 else f"all {len(verdicts)} flows are"
            yield palette.paint(f"  + {kind}: {flows} allowed", palette.good)
        else:
            yield f"  - {kind}: the input needs none that fits"


def _ends(answer: SymptomAnswer) -> str:
    """Between whom a connection is to be looked for, where the line says it."""
    facts = answer.seen.sighting.facts
    target = facts.host or facts.address
    parts = (
        f"from pod {facts.pod}" if facts.pod else "",
        f"to {target}" + (f":{facts.port}" if facts.port else "") if target else "",
    )
    text = " ".join(part for part in parts if part)
    return f": {visible(text)}" if text else ""


def _verdict(answer: SymptomAnswer, palette: Palette) -> str:
    blame = answer.seen.sighting.symptom.blame
    if blame is Blame.WORKS:
        return palette.paint("this connection works", palette.good)
    if answer.outcome is SymptomOutcome.NO_INPUT:
        return palette.paint(_WITHOUT_INPUT[blame], palette.warning)
    escape = {SymptomOutcome.DENIED: palette.error, SymptomOutcome.ALLOWED: palette.good}.get(
        answer.outcome, ""
    )
    return palette.paint(_SENTENCES[answer.outcome], escape)


def _place(answer: SymptomAnswer, reading: PasteReading) -> str:
    if reading.lines <= 1:
        return ""
    times = f", {answer.seen.count} times" if answer.seen.count > 1 else ""
    return f"line {answer.seen.line}{times}: "


def _excerpt(answer: SymptomAnswer) -> str:
    return visible(_QUERY.sub("?…", without_secrets(answer.seen.excerpt)))
