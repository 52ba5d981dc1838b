"""What of a check counts: not what the settings, a namespace's mode or the owner of an object leave out.

Nothing of it is silent: the report says what was left out, and why.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import date

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.admission.modes import effective_mode
from istio_netpol.analysis.focus import WHOLE, Focus
from istio_netpol.analysis.results import AcceptedFinding, LeftOut, Report
from istio_netpol.model.acceptances import Acceptance, UnusableAcceptance, acceptances
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.own_names import ACCEPT, MODE_LABEL
from istio_netpol.model.references import ObjectKey, ObjectRef
from istio_netpol.model.settings import Mode, RuleSeverity, Settings
from istio_netpol.state.snapshot import Snapshot


def counted(
    report: Report, snapshot: Snapshot, settings: Settings, today: date, focus: Focus = WHOLE
) -> Report:
    """The report of one input with what counts of it, in the severities of the settings."""
    left_out: Counter[tuple[str, str]] = Counter()
    kept = []
    for finding in report.findings:
        reason = _why_left_out(finding, snapshot, settings)
        if reason:
            left_out[reason] += 1
        else:
            kept.append(_with_severity(finding, settings))
    book = _AcceptanceBook.of(snapshot, today)
    findings, accepted = book.sorted_out(kept)
    complaints = (
        finding
        for finding in book.complaints(kept)
        if focus.concerns_object(finding.object) and _why_left_out(finding, snapshot, settings) is None
    )
    findings += [_with_severity(finding, settings) for finding in complaints]
    return replace(
        report,
        findings=tuple(sorted(findings, key=lambda finding: finding.sort_key)),
        accepted=tuple(accepted),
        left_out=tuple(LeftOut(what, why, count) for (what, why), count in sorted(left_out.items())),
    )


def _why_left_out(finding: Finding, snapshot: Snapshot, settings: Settings) -> tuple[str, str] | None:
    """What leaves a finding out, and why: a rule that is off, or a namespace whose objects are not judged."""
    if settings.severities.get(finding.rule) is RuleSeverity.OFF:
        return f"rule {finding.rule}", "the setting severities turns it off"
    namespace = _namespace_of(finding)
    why = why_not_judged(namespace, snapshot, settings) if namespace else ""
    return (f"namespace {namespace}", why) if why else None


def _namespace_of(finding: Finding) -> str:
    """The namespace whose mode holds: a Namespace's own, else the object's; empty where there is none."""
    ref = finding.told_of
    return ref.name if (ref.group, ref.kind) == ("", "Namespace") else ref.namespace


def why_not_judged(namespace: str, snapshot: Snapshot, settings: Settings) -> str:
    """Why admission judges nothing of a namespace, empty where it does. Kubernetes' own namespaces and the
    webhook's are checked all the same: admission leaves them out so that a cluster can be repaired."""
    admission = settings.admission
    if namespace in admission.exempt_namespaces:
        return "the setting admission.exemptNamespaces names it"
    labels = snapshot.namespace(namespace).labels
    if effective_mode(namespace, labels, admission).mode is not Mode.OFF:
        return ""
    if labels.get(MODE_LABEL) == Mode.OFF:
        return f"its label {MODE_LABEL} is off"
    return "the setting admission.defaultMode is off"


def _with_severity(finding: Finding, settings: Settings) -> Finding:
    asked = settings.severities.get(finding.rule)
    return replace(finding, severity=Severity(str(asked))) if asked else finding


class _AcceptanceBook(Struct, frozen=True):
    """What the objects of an input accept on a day, by their keys."""

    today: date
    entries: dict[ObjectRef, list[Acceptance | UnusableAcceptance]]

    @classmethod
    def of(cls, snapshot: Snapshot, today: date) -> _AcceptanceBook:
        refs = {member.ref for member in snapshot.every_object() if member.ref.accepts}
        return cls(today, {ref: list(acceptances(ref.accepts)) for ref in refs})

    def sorted_out(self, findings: Iterable[Finding]) -> tuple[list[Finding], list[AcceptedFinding]]:
        """The findings that count, and those that are accepted. Where an acceptance has ended, the finding
        counts and says so."""
        counting, accepted = [], []
        for finding in findings:
            last = max(self._of(finding), key=lambda entry: entry.until, default=None)
            if last is None:
                counting.append(finding)
            elif last.until >= self.today:
                accepted.append(AcceptedFinding(finding, last.until.isoformat(), last.reason))
            else:
                ended = f"; it was accepted until {last.until} ({last.reason}), which is over"
                counting.append(replace(finding, message=finding.message + ended))
        return counting, accepted

    def complaints(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """What is wrong with the annotations: what can't be read, and what nothing is found of."""
        rules: defaultdict[ObjectKey, set[str]] = defaultdict(set)
        for finding in findings:
            rules[finding.object.key].add(finding.rule)
        for ref, entries in self.entries.items():
            for entry in entries:
                if isinstance(entry, UnusableAcceptance):
                    text = f"in the annotation {ACCEPT}, {entry.text!r} accepts nothing: {entry.cause}"
                    yield _complaint(ref, Severity.WARNING, text)
                elif entry.rule not in rules[ref.key]:
                    text = (
                        f"{ACCEPT} accepts {entry.rule} {entry}; there is no such finding, so delete the "
                        "entry"
                    )
                    yield _complaint(ref, Severity.INFO, text)

    def _of(self, finding: Finding) -> list[Acceptance]:
        entries = self.entries.get(finding.object, [])
        return [entry for entry in entries if isinstance(entry, Acceptance) and entry.rule == finding.rule]


def _complaint(ref: ObjectRef, severity: Severity, text: str) -> Finding:
    return Finding(Issue.ACCEPTANCE, severity, ref, f"{ref}: {text}", field=f"metadata.annotations[{ACCEPT}]")
