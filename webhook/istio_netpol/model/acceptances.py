"""Reads the annotation `istio-netpol.io/accept` of an object: findings that somebody knows of, and until
when."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from difflib import get_close_matches

from msgspec import Struct

from istio_netpol.model.findings import Issue, RuleId
from istio_netpol.model.flows import FlowKind

LONGEST = 4096
"""How many characters of the annotation are read."""

FORM = "write RULE until YYYY-MM-DD: REASON, a line for each"

_RULES: dict[str, RuleId] = {str(rule): rule for ids in (FlowKind, Issue) for rule in ids}
_ENTRY = re.compile(r"(?P<rule>\S+)\s+until\s+(?P<until>[^\s:]+)\s*(:\s*(?P<reason>.*))?", re.DOTALL)
_BETWEEN = re.compile(r"\n|;\s*(?=[a-z][a-z-]*\s+until\s)")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class Acceptance(Struct, frozen=True):
    """Accepts findings of one rule on the object through the day `until`, for a reason."""

    rule: RuleId
    until: date
    reason: str

    def __str__(self) -> str:
        return f"until {self.until}: {self.reason}"


class UnusableAcceptance(Struct, frozen=True):
    """A part of the annotation that accepts nothing, and why it does not."""

    text: str
    cause: str


def acceptances(text: str) -> Iterator[Acceptance | UnusableAcceptance]:
    """Each entry of the annotation."""
    if len(text) > LONGEST:
        yield UnusableAcceptance(f"{text[:40]}…", f"is longer than {LONGEST} characters; keep reasons short")
        return
    for entry in filter(None, map(str.strip, _BETWEEN.split(text))):
        yield _acceptance(entry)


def _acceptance(entry: str) -> Acceptance | UnusableAcceptance:
    found = _ENTRY.fullmatch(entry)
    if found is None:
        return UnusableAcceptance(entry, f"names no rule and end date; {FORM}")
    rule, until, reason = found["rule"], found["until"], (found["reason"] or "").strip()
    if rule not in _RULES:
        close = get_close_matches(rule, _RULES, n=1)
        remedy = f"did you mean {close[0]}?" if close else "`istio-netpol rule` lists all"
        return UnusableAcceptance(entry, f"{rule} is not the id of a rule; {remedy}")
    if _RULES[rule] is Issue.ACCEPTANCE:
        return UnusableAcceptance(
            entry, f"{rule} can't be accepted; mend or delete the entry that it tells of"
        )
    if not reason:
        return UnusableAcceptance(entry, f"gives no reason; {FORM}")
    try:
        if _DATE.fullmatch(until) is None:
            raise ValueError(until)
        return Acceptance(_RULES[rule], date.fromisoformat(until), reason)
    except ValueError:
        return UnusableAcceptance(entry, f"{until} is not a date; write it as 2027-03-31")
