"""What a person reads whose request was refused, or admitted with warnings."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from istio_netpol.analysis.impact import Impact
from istio_netpol.manifests.encode import SEPARATOR, to_yaml
from istio_netpol.model.findings import Finding, Issue
from istio_netpol.model.policies import NetworkPolicy

MAX_MESSAGE = 8192
"""Bytes of a denial: kubectl prints all of it, and etcd events and logs carry it along."""

MAX_WARNING = 256
MAX_WARNINGS = 4096
"""Characters of one warning and of all (Kubernetes, "Dynamic Admission Control", response warnings)."""

MAX_SENTENCES = 3072
"""Bytes of a denial that sentences may take, so that room is left for YAML to paste."""

MAX_SENTENCE = 1024
PRINTS_ALL = "with what is refused in FILE, istio-netpol generate --context CONTEXT FILE prints all of them"


def denial(described: str, refused: Sequence[Finding], ahead: Sequence[NetworkPolicy] = ()) -> str:
    """Which flows are cut, by what, and YAML to paste; at most `MAX_MESSAGE` bytes, the rest counted.

    `ahead` are the policies to apply, in this order, where the refused object is what isolates their pods.
    """
    head = _sentences(described, refused)
    found = {policy.key: policy for finding in refused for policy in finding.remedy}
    own = next((key for key, policy in found.items() if str(policy.ref) == described), None)
    if own is not None:
        del found[own]
        head += "\nThis policy itself is what allows it: keep it, or first delete what needs it."
    if not found:
        return head
    if ahead:
        order = "First apply these policies in this order; each allows at once all that its pods need."
        return _with_policies(f"{head}\n{order} Then repeat the request:\n\n", ahead)
    policies = tuple(found[key] for key in sorted(found))
    return _with_policies(f"{head}\nFirst apply these policies, then repeat the request:\n\n", policies)


def warnings(impact: Impact, follows: bool) -> tuple[str, ...]:
    """The warnings of an admitted request; `follows` says that the missing policies will be written after
    it."""
    names = ", ".join(policy.key for policy in impact.policies)
    first = [f"istio-netpol will add what this cuts right after it: {names}"] if follows and names else []
    return _bounded([*first, *(finding.message for finding in impact.findings)])


def of_findings(findings: Iterable[Finding]) -> tuple[str, ...]:
    """A warning for each finding."""
    return _bounded([finding.message for finding in findings])


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


def refusals(sentences: Iterable[str]) -> tuple[str, ...]:
    """Warnings of any other kind."""
    return _bounded(list(sentences))


def _sentences(described: str, refused: Sequence[Finding]) -> str:
    """One line that says what is refused, and one for each finding, as far as they fit."""
    lines = [f"{one_line(described)} is refused: {_reason(refused)}."]
    left = MAX_SENTENCES
    for position, finding in enumerate(refused):
        line = f"- {one_line(finding.message.removeprefix(f'{described}: '))}"
        left -= len(line.encode()) + 1
        if left < 0:
            lines.append(f"- and {len(refused) - position} more")
            break
        lines.append(line)
    return "\n".join(lines)


def _reason(refused: Sequence[Finding]) -> str:
    """What is wrong with the object itself, or with what it does to others."""
    denied = [finding for finding in refused if finding.verdict is not None]
    if any(finding.asks_too_much for finding in refused):
        return "it asks for more than one object may"
    if not denied:
        return "it asks for what the administrator refuses"
    connections = f"{len(denied)} connection" + ("s" if len(denied) > 1 else "")
    if any(finding.rule is Issue.IMPACT for finding in denied):
        return f"it would cut {connections} that the mesh needs"
    return f"policies deny {connections} that it needs"


def _with_policies(head: str, policies: Sequence[NetworkPolicy]) -> str:
    """As many whole policies as fit behind the sentences, and a count of the rest."""
    start, end = "kubectl apply -f - <<'EOF'\n", "EOF"
    left = MAX_MESSAGE - sum(len(part.encode()) for part in (head, start, end, _rest(len(policies))))
    documents: list[str] = []
    for policy in policies:
        document = (SEPARATOR if documents else "") + to_yaml([policy])
        left -= len(document.encode())
        if left < 0:
            break
        documents.append(document)
    missing = len(policies) - len(documents)
    if not documents:
        count = "1 policy" if missing == 1 else f"{missing} policies"
        return f"{head.rstrip()} {count}, too long for here: {PRINTS_ALL}."
    return f"{head}{start}{''.join(documents)}{end}{_rest(missing) if missing else ''}"


def _rest(count: int) -> str:
    """Advice that works whatever is refused: once those that are shown are applied, the others are shown."""
    more = "1 more policy is" if count == 1 else f"{count} more policies are"
    return f"\n{more} missing: apply these and repeat the request, which then shows what is left."


def one_line(text: str) -> str:
    """A sentence that stays on one line whatever names and URLs it quotes, and within bounds."""
    plain = _printable(text)
    encoded = plain.encode(errors="replace")
    return (
        plain if len(encoded) <= MAX_SENTENCE else encoded[: MAX_SENTENCE - 3].decode(errors="ignore") + "..."
    )


def _bounded(sentences: list[str]) -> tuple[str, ...]:
    """Sentences as HTTP Warning headers take them: printable ASCII, within the API's limits, the rest
    counted."""
    found: list[str] = []
    left = MAX_WARNINGS - 64
    for position, sentence in enumerate(sentences):
        text = _ascii(sentence)
        text = text if len(text) <= MAX_WARNING else text[: MAX_WARNING - 3].rsplit(" ", 1)[0] + "..."
        if len(text) > left:
            return (*found, f"and {len(sentences) - position} more")
        found.append(text)
        left -= len(text)
    return tuple(found)


def _ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "replace").decode()
    return _printable(plain)


def _printable(text: str) -> str:
    """Words on one line: whatever can't be printed is a space."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(text.split())
