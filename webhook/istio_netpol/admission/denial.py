"""What a person reads whose request was refused: why, what each rule means, and what to do about it.

It begins with one sentence. What the reader can apply stands apart from what belongs to namespaces of others.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from istio_netpol.admission.bounded_text import one_line
from istio_netpol.manifests.encode import SEPARATOR, to_yaml
from istio_netpol.model.findings import Finding, Issue
from istio_netpol.model.policies import NetworkPolicy

MAX_MESSAGE = 8192
"""Bytes of a denial: kubectl prints all of it, and etcd events and logs carry it along."""

MAX_SENTENCES = 3072
"""Bytes of a denial that sentences may take, so that room is left for YAML to paste."""

MAX_RULES = 6
"""How many rules a denial says the pages of."""

START, END = "kubectl apply -f - <<'EOF'\n", "EOF"
PRINTS_ALL = "with what is refused in FILE, istio-netpol generate --context CONTEXT FILE prints all of them"
IN_ORDER = "First apply these policies in this order; each allows at once all that its pods need."


class DenialReader(Struct, frozen=True):
    """Who reads a denial: somebody who writes in `namespace`, and for all else asks the `contact`.
    `rule_pages` is where the rules' pages are published, if they are."""

    namespace: str = ""
    contact: str = ""
    rule_pages: str = ""


ANYBODY = DenialReader()
"""Of whom nothing is known."""


def denial(
    described: str, refused: Sequence[Finding], reader: DenialReader, ahead: Sequence[NetworkPolicy] = ()
) -> str:
    """The text of a denial: which flows are cut, by what, and YAML to paste; at most `MAX_MESSAGE`
    bytes, the rest counted.

    `ahead` are the policies to apply, in this order, where the refused object is what isolates their pods.
    """
    head = f"{_sentences(described, refused)}\n{_pages(refused, reader.rule_pages)}"
    found = {policy.key: policy for finding in refused for policy in finding.remedy}
    own = next((key for key, policy in found.items() if str(policy.ref) == described), None)
    if own is not None:
        del found[own]
        head += "\nThis policy itself is what allows it: keep it, or first delete what needs it."
    if not found:
        return f"{head}\nAsk {reader.contact}." if reader.contact else head
    policies = ahead or tuple(found[key] for key in sorted(found))
    return _with_policies(head, policies, reader, in_order=bool(ahead))


def _sentences(described: str, refused: Sequence[Finding]) -> str:
    """One line that says what is refused, and one for each finding, as far as they fit."""
    lines = [f"{one_line(described)} is refused: {_reason(refused)}."]
    left = MAX_SENTENCES
    for position, finding in enumerate(refused):
        sentence = finding.message.removeprefix(f"{described}: ")
        line = f"- {one_line(sentence)} [{finding.rule}]"
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


def _pages(refused: Sequence[Finding], published: str) -> str:
    """The pages on which the rules are explained."""
    rules = list(dict.fromkeys(str(finding.rule) for finding in refused))
    told = [
        f"istio-netpol rule {rule}" + (f" ({published.rstrip('/')}/{rule})" if published else "")
        for rule in rules[:MAX_RULES]
    ]
    more = [f"{len(rules) - MAX_RULES} more"] if len(rules) > MAX_RULES else []
    return f"What {'this means' if len(rules) == 1 else 'these rules mean'}: {', '.join([*told, *more])}"


def _with_policies(
    head: str, policies: Sequence[NetworkPolicy], reader: DenialReader, *, in_order: bool
) -> str:
    """As many whole policies as fit behind the sentences, those of the reader first, and a count of the
    rest."""
    own = [policy for policy in policies if policy.namespace == reader.namespace]
    others = [policy for policy in policies if policy.namespace != reader.namespace]
    text = f"{head}\n{_whose(own, others, reader)}\n{_order(in_order, own, others)}"
    left = MAX_MESSAGE - len(text.encode()) - len(_rest(len(policies)).encode())
    missing = len(policies)
    blocks: list[str] = []
    for policies_of_one_hand in filter(None, (own, others)):
        heading = f"\n\n{_passing_on(others)}:\n\n" if blocks else "\n\n"
        block, shown = _block(heading, policies_of_one_hand, left)
        left -= len(block.encode())
        missing -= shown
        blocks += [block] if block else []
        if shown < len(policies_of_one_hand):
            break
    if not blocks:
        count = "1 policy" if missing == 1 else f"{missing} policies"
        return f"{text} {count}, too long for here: {PRINTS_ALL}."
    return f"{text}{''.join(blocks)}{_rest(missing) if missing else ''}"


def _whose(own: Sequence[NetworkPolicy], others: Sequence[NetworkPolicy], reader: DenialReader) -> str:
    """Tells the reader what they can do alone, and who else has to agree."""
    ask = f" ask {reader.contact}." if reader.contact else ""
    if not others:
        doubt = f" If in doubt,{ask}" if ask else ""
        return f"You can mend this yourself, in namespace {reader.namespace}.{doubt}"
    place = _namespaces(others)
    runs = "runs them" if place.startswith("namespaces") else "runs it"
    theirs = f"{_count(others)} of {place} must come from whoever {runs}"
    whom = f":{ask}" if ask else ", such as your platform team."
    if not own:
        return f"You can't mend this yourself: {theirs}{whom}"
    return f"You can apply {_count(own)} of namespace {reader.namespace} yourself; {theirs}{whom}"


def _order(in_order: bool, own: Sequence[NetworkPolicy], others: Sequence[NetworkPolicy]) -> str:
    """The sentence before the first command."""
    if not own:
        return f"{_passing_on(others)}{', in this order' if in_order else ''}; then repeat the request:"
    if in_order:
        return f"{IN_ORDER} Then repeat the request:"
    return "First apply these policies, then repeat the request:"


def _passing_on(others: Sequence[NetworkPolicy]) -> str:
    return f"Have these applied in {_namespaces(others)}"


def _namespaces(policies: Sequence[NetworkPolicy]) -> str:
    """The namespaces of policies, three of them at most."""
    names = sorted({policy.namespace for policy in policies})
    if len(names) == 1:
        return f"namespace {names[0]}"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"namespaces {', '.join(names[:3])}{more}"


def _count(policies: Sequence[NetworkPolicy]) -> str:
    return "1 policy" if len(policies) == 1 else f"{len(policies)} policies"


def _block(heading: str, policies: Sequence[NetworkPolicy], left: int) -> tuple[str, int]:
    """The command that applies as many whole policies as there is room for, and how many that are."""
    left -= len(heading.encode()) + len(START) + len(END)
    documents: list[str] = []
    for policy in policies:
        document = (SEPARATOR if documents else "") + to_yaml([policy])
        left -= len(document.encode())
        if left < 0:
            break
        documents.append(document)
    return (f"{heading}{START}{''.join(documents)}{END}" if documents else ""), len(documents)


def _rest(count: int) -> str:
    """Advice that works whatever is refused: once those that are shown are applied, the others are shown."""
    more = "1 more policy is" if count == 1 else f"{count} more policies are"
    return f"\n{more} missing: apply these and repeat the request, which then shows what is left."
