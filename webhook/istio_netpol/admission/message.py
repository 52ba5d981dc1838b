"""What a person reads whose request was refused, or admitted with warnings."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from istio_netpol.analysis.impact import Impact
from istio_netpol.manifests.encode import to_yaml
from istio_netpol.model.findings import Finding
from istio_netpol.model.policies import NetworkPolicy

MAX_MESSAGE = 8192
"""Bytes of a denial: kubectl prints all of it, and etcd events and logs carry it along."""

MAX_WARNING = 256
MAX_WARNINGS = 4096
"""Characters of one warning and of all (Kubernetes, "Dynamic Admission Control", response warnings)."""

CLOSING = "The rest: istio-netpol generate PATH, or kubectl istio-netpol check, prints all of it."


def denial(described: str, refused: Sequence[Finding], isolating: bool) -> str:
    """Which flows are cut, by what, and YAML to paste; at most `MAX_MESSAGE` bytes."""
    count = f"{len(refused)} connection" + ("s" if len(refused) > 1 else "")
    lines = [f"{described} is refused: it would cut {count} that the mesh needs."]
    lines += [f"- {finding.message}" for finding in refused]
    policies = list(
        {(each.namespace, each.name): each for finding in refused for each in finding.remedy}.values()
    )
    if policies:
        order = "First apply these policies, then repeat the request:"
        if isolating:
            order = "First apply these policies, which allow what is needed; then repeat the request:"
        return _fitted(
            "\n".join(lines), order, sorted(policies, key=lambda each: (each.namespace, each.name))
        )
    return _cut("\n".join(lines), MAX_MESSAGE)


def warnings(impact: Impact, follows: bool) -> tuple[str, ...]:
    """The warnings of an admitted request; `follows` says that the missing policies will be written after
    it."""
    names = ", ".join(policy.key for policy in impact.policies)
    first = (
        [f"istio-netpol will add what this cuts as soon as it is stored: {names}"]
        if follows and names
        else []
    )
    return _bounded([*first, *(finding.message for finding in impact.findings)])


def of_findings(findings: Iterable[Finding]) -> tuple[str, ...]:
    """A warning for each finding."""
    return _bounded([finding.message for finding in findings])


def would_write(policies: Sequence[NetworkPolicy]) -> tuple[str, ...]:
    """The warnings of a dry run."""
    return _bounded([f"dry run: istio-netpol would add NetworkPolicy {policy.key}" for policy in policies])


def wrote(policies: Sequence[NetworkPolicy]) -> tuple[str, ...]:
    """The warnings that name what was written."""
    return _bounded([f"istio-netpol added NetworkPolicy {policy.key}" for policy in policies])


def refusals(sentences: Iterable[str]) -> tuple[str, ...]:
    """Warnings of any other kind."""
    return _bounded(list(sentences))


def _fitted(head: str, order: str, policies: list[NetworkPolicy]) -> str:
    """As many whole policies as fit behind the sentences, and a count of the rest."""
    start, end = "kubectl apply -f - <<'EOF'\n", "EOF"
    for shown in range(len(policies), 0, -1):
        rest = len(policies) - shown
        tail = f"\n{rest} more. {CLOSING}" if rest else ""
        text = f"{head}\n{order}\n\n{start}{to_yaml(policies[:shown])}{end}{tail}"
        if len(text.encode()) <= MAX_MESSAGE:
            return text
    names = ", ".join(policy.key for policy in policies)
    tail = f"\n{len(policies)} policies are missing: {_cut(names, 1024)}. {CLOSING}"
    return _cut(head, MAX_MESSAGE - len(tail.encode())) + tail


def _cut(text: str, limit: int) -> str:
    """The text within so many bytes, cut where a line ends if possible."""
    encoded = text.encode()
    if len(encoded) <= limit:
        return text
    kept = encoded[: limit - 4].decode(errors="ignore")
    line_end = kept.rfind("\n")
    return (kept[:line_end] if line_end > limit // 2 else kept) + "\n..."


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
    return " ".join("".join(char if char.isprintable() else " " for char in plain).split())
