"""From a mode and an impact to a decision."""

from __future__ import annotations

from msgspec import Struct

from istio_netpol.admission import request_warnings
from istio_netpol.admission.bounded_text import one_line
from istio_netpol.admission.denial import ANYBODY, DenialReader, denial
from istio_netpol.admission.reviews import StatusCause
from istio_netpol.analysis.impact import Impact
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.settings import Mode

MAX_CAUSES = 50
"""How many causes a denial lists; its message counts the rest."""


class Circumstances(Struct, frozen=True):
    """What a decision depends on besides the impact: `controlled` marks what a controller made, which is
    spared; `reader` is who reads a denial."""

    described: str
    mode: Mode
    dry_run: bool = False
    controlled: bool = False
    reader: DenialReader = ANYBODY


class Decision(Struct, frozen=True):
    """The answer to a request; `write` are the policies to store before the object is, `admitted` those
    that the request itself is about to store. `missed` are the namespaces in which policies are missing: what
    a denial rests on. `labels` are added to the pods of the object under review. `worked_out` says that the
    rules were asked, instead of an earlier answer or none."""

    allowed: bool = True
    message: str = ""
    causes: tuple[StatusCause, ...] = ()
    warnings: tuple[str, ...] = ()
    write: tuple[NetworkPolicy, ...] = ()
    admitted: tuple[NetworkPolicy, ...] = ()
    rules: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    worked_out: bool = False


ADMITTED = Decision()


def decide_mutation(circumstances: Circumstances, impact: Impact) -> Decision:
    """What to write before the object is admitted: in mode augment, unless the object itself is what
    isolates."""
    if circumstances.mode is not Mode.AUGMENT or impact.isolating or not impact.policies:
        return ADMITTED
    if circumstances.dry_run:
        return Decision(warnings=request_warnings.would_write(impact.policies), rules=_rules(impact.findings))
    return Decision(write=impact.policies, rules=_rules(impact.findings))


def decide_validation(circumstances: Circumstances, impact: Impact) -> Decision:
    """Whether the object is admitted."""
    mode = circumstances.mode
    if mode is Mode.OFF or not impact.findings:
        return ADMITTED
    rules = _rules(impact.findings)
    refused = [finding for finding in impact.findings if _must_refuse(finding)]
    if mode is Mode.AUGMENT and (impact.isolating or circumstances.dry_run):
        refused = [finding for finding in refused if not finding.remedy]
    if mode is Mode.WARN or circumstances.controlled or not refused:
        follows = mode is Mode.AUGMENT and impact.isolating
        return Decision(warnings=request_warnings.of_impact(impact, follows), rules=rules)
    text = denial(circumstances.described, refused, circumstances.reader, impact.ahead)
    causes = tuple(map(_cause, refused[:MAX_CAUSES]))
    told = {id(finding) for finding in refused}
    rest = tuple(finding for finding in impact.findings if id(finding) not in told)
    missed = sorted({policy.namespace for finding in refused for policy in finding.remedy})
    return Decision(
        False, text, causes, request_warnings.of_findings(rest), rules=rules, missed=tuple(missed)
    )


def decide_late(circumstances: Circumstances) -> Decision:
    """Instead of a decision by what the object costs, where time ran out before that was known."""
    sentence = (
        f"{circumstances.described}: asks for too much to be judged in time; make several objects of it, or "
        "raise limits.reviewSeconds and the timeout of the webhook"
    )
    rules = (str(Issue.NOT_JUDGED),)
    if circumstances.mode is Mode.WARN or circumstances.controlled:
        return Decision(warnings=request_warnings.of_sentences([sentence]), rules=rules)
    text = one_line(sentence)
    return Decision(False, text, (StatusCause(rules[0], text),), rules=rules)


def _cause(finding: Finding) -> StatusCause:
    """A finding for programs; the field is one of the object under review, so other objects' have none."""
    field = "" if finding.rule is Issue.IMPACT else finding.field
    return StatusCause(str(finding.rule), one_line(finding.message), field)


def _must_refuse(finding: Finding) -> bool:
    """Whether a finding is a reason to refuse: an error that the submitter can mend, by a policy, by another
    host or address, or by asking for less. An error of our own is nobody's to mend."""
    mendable = bool(finding.remedy) or finding.rule in (Issue.JWKS_HOST_REFUSED, Issue.ADDRESS_REFUSED)
    return finding.severity is Severity.ERROR and (mendable or finding.asks_too_much)


def _rules(findings: tuple[Finding, ...]) -> tuple[str, ...]:
    return tuple(sorted({str(finding.rule) for finding in findings}))
