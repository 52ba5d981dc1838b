"""The warnings of an admitted request: all of them, within the limits of the API."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from istio_netpol.admission.bounded_text import ascii_line, shortened
from istio_netpol.admission.finding_warning import MAX_WARNING, warning_of
from istio_netpol.analysis.impact import Impact
from istio_netpol.model.findings import Finding
from istio_netpol.model.policies import NetworkPolicy

MAX_WARNINGS = 4096
"""Characters of all warnings together (Kubernetes, "Dynamic Admission Control", response warnings)."""


def of_impact(impact: Impact, follows: bool) -> tuple[str, ...]:
    """The warnings of an admitted request; `follows` says that the missing policies will be written after
    it."""
    names = ", ".join(policy.key for policy in impact.policies)
    first = [f"istio-netpol will add what this cuts right after it: {names}"] if follows and names else []
    return _bounded([*first, *map(warning_of, impact.findings)])


def of_findings(findings: Iterable[Finding]) -> tuple[str, ...]:
    """A warning for each finding."""
    return _bounded(list(map(warning_of, findings)))


def would_write(policies: Sequence[NetworkPolicy]) -> tuple[str, ...]:
    """The warnings of a dry run."""
    return _bounded([f"dry run: istio-netpol would add NetworkPolicy {policy.key}" for policy in policies])


def labelled(labels: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The warnings that name the labels that pods get."""
    told = "Kyma's policies let these pods through"
    return _bounded([f"istio-netpol added label {key}={value}: {told}" for key, value in labels])


def wrote(policies: Sequence[NetworkPolicy]) -> tuple[str, ...]:
    """The warnings that name what was written."""
    return _bounded([f"istio-netpol added NetworkPolicy {policy.key}" for policy in policies])


def of_sentences(sentences: Iterable[str]) -> tuple[str, ...]:
    """Warnings of any other kind."""
    return _bounded(list(sentences))


def _bounded(sentences: list[str]) -> tuple[str, ...]:
    """Sentences as HTTP Warning headers take them: printable ASCII, within the API's limits, the rest
    counted."""
    found: list[str] = []
    left = MAX_WARNINGS - 64
    for position, sentence in enumerate(sentences):
        text = shortened(ascii_line(sentence), MAX_WARNING)
        if len(text) > left:
            return (*found, f"and {len(sentences) - position} more")
        found.append(text)
        left -= len(text)
    return tuple(found)
