"""The tables of the documentation that are made from code: in `docs/how-it-decides.md` what is judged, what
is named instead and what can't be known, in `docs/symptoms.md` a row for each symptom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import get_args, get_type_hints

from istio_netpol.istio.catalogue import CATALOGUE
from istio_netpol.istio.rule import Rule, Unjudged
from istio_netpol.manifests.decode import DECODERS
from istio_netpol.model.unread import UnreadPolicy
from istio_netpol.model.workloads import Workload
from istio_netpol.symptoms.symptom import Blame, Symptom, Topic
from istio_netpol.symptoms.table import SYMPTOMS

NAMED: tuple[Unjudged, ...] = (
    Unjudged(
        "objects of every kind that is not above",
        "no rule reads them",
        "`notRead` in the JSON, `Not read:` in the text, with kinds and counts",
    ),
    Unjudged(
        "policies of Cilium and Calico",
        "only their selectors are read",
        "the same, and wherever they select an end: warning `policy-not-read`, `explain`, `list`",
    ),
    Unjudged(
        "rules of policy tiers about Nodes, hosts or addresses that the input does not hold",
        "only the cluster knows what they match",
        "warning `tier-undecided`",
    ),
    Unjudged(
        "istiod, gateways and cluster DNS that are not in the input",
        "stand-ins take their place, which nothing isolates",
        "`assumed` in the JSON, `Assumed:` in the text",
    ),
    Unjudged(
        "a destination that is not in the input",
        "GitOps applies in any order, so it may come",
        "warning `unknown-destination`",
    ),
    Unjudged(
        "calls to a host that does not resolve",
        "its addresses can't be compared with policies",
        "warning `host-unresolvable`; `--address` names them",
    ),
    Unjudged(
        "objects of API versions that are not served any more",
        "the API server refuses them",
        "warning `removed-api`",
    ),
    Unjudged(
        "an object that asks for more than one may, or at which a rule fails",
        "the rest of the cluster is judged nevertheless",
        "error `not-judged`",
    ),
)
"""What is not judged whichever rule it concerns, and is told where it occurs."""

UNKNOWABLE: tuple[Unjudged, ...] = (
    Unjudged(
        "connections that are open when a policy arrives",
        "most network plugins let them live",
        "restart a workload to see the effect of a change",
    ),
    Unjudged(
        "whether an ipBlock covers pods and nodes",
        "network plugins differ in which address they see",
        "warning `ip-block-for-pods` where a required flow depends on it",
    ),
    Unjudged(
        "whether the network plugin enforces policies at all, and how soon",
        "no object says so",
        "nothing tells of it: try a denied connection once",
    ),
    Unjudged(
        "which addresses a host will have tomorrow",
        "DNS answers for now",
        "the controller follows them; a file of `generate` does not",
    ),
    Unjudged(
        "who collects metrics",
        "it differs by cluster, and no object says so",
        "`checkScrape` in the [settings](settings.md) names them",
    ),
    Unjudged(
        "which requests DENY AuthorizationPolicies and conditions of HTTP refuse (paths, methods, headers, "
        "`remoteIpBlocks`)",
        "a NetworkPolicy knows pods, addresses and ports only",
        "they open nothing",
    ),
    Unjudged(
        "firewalls and security groups outside the cluster, and what listens on a port",
        "they are not Kubernetes objects",
        "nothing tells of them",
    ),
)
"""What no input could answer."""


def coverage_tables() -> str:
    """The tables as Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    kinds = _kinds_by_type()
    yield "### What is judged"
    yield ""
    yield "A rule derives the connections that objects of its kinds need."
    yield ""
    rows = (_row_of(rule, kinds) for rule in sorted(CATALOGUE, key=lambda rule: (rule.kind, rule.name)))
    yield from _table(("findings", "rule", "asked for by", "sources"), rows)
    yield ""
    yield f"Workloads are {_enumerated(kinds[Workload])}."
    asking = {name for rule in CATALOGUE for subject in rule.subjects for name in kinds[subject]}
    others = {name for type_, names in kinds.items() for name in names if type_ is not UnreadPolicy} - asking
    yield f"Other kinds are read to find what these mean, and what is allowed: {_enumerated(others)}."
    yield f"Of these kinds only the selectors are read: {_enumerated(kinds[UnreadPolicy])}."
    yield ""
    yield "### What is named, and not judged"
    yield ""
    limits = (limit for rule in sorted(CATALOGUE, key=lambda rule: rule.name) for limit in rule.unjudged)
    yield from _table(("what", "because", "told by"), map(_cells, (*NAMED, *limits)))
    yield ""
    yield "### What can't be known"
    yield ""
    yield from _table(("what", "because", "and so"), map(_cells, UNKNOWABLE))


def _row_of(rule: Rule, kinds: dict[type, list[str]]) -> tuple[str, ...]:
    asking = dict.fromkeys(name for subject in rule.subjects for name in _subjects(subject, kinds))
    return f"[{rule.kind}](rules/{rule.kind}.md)", rule.name, ", ".join(asking), "<br>".join(rule.sources)


def _subjects(subject: type, kinds: dict[type, list[str]]) -> Sequence[str]:
    """The kinds of objects that a rule looks at; those with pods in one word."""
    return ("workloads",) if subject is Workload else sorted(kinds[subject])


def _kinds_by_type() -> dict[type, list[str]]:
    """The Kubernetes kinds of which each model type is decoded, with their group where two have the name."""
    found: dict[type, list[str]] = {}
    names = Counter(kind for _, kind in DECODERS)
    for (group, kind), decoder in DECODERS.items():
        (yielded,) = get_args(get_type_hints(decoder)["return"])
        for type_ in get_args(yielded) or (yielded,):
            found.setdefault(type_, []).append(f"{kind} ({group})" if names[kind] > 1 else kind)
    return found


def _cells(limit: Unjudged) -> tuple[str, ...]:
    return limit.what, limit.because, limit.told


def _enumerated(names: Iterable[str]) -> str:
    *most, last = sorted(names)
    return f"{', '.join(most)} and {last}" if most else last


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    yield from (f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in rows)


_BLAMES = {
    Blame.LIKELY: "likely",
    Blame.POSSIBLE: "possible",
    Blame.NO_POLICY: "no",
    Blame.WORKS: "no, it works",
}


def symptom_tables() -> str:
    """A section for each topic, its rows in the order in which they win, in Markdown."""
    return "\n\n".join("\n".join(_section(topic)) for topic in Topic)


def _section(topic: Topic) -> Iterator[str]:
    yield f"## {topic}"
    yield ""
    yield "| symptom | what is seen | a policy? | flows, likeliest first | what it means, and how to tell |"
    yield "|---|---|---|---|---|"
    yield from (_row(row) for row in SYMPTOMS if row.topic is topic)


def _row(row: Symptom) -> str:
    shown = "<br>".join(_code(text) for text in row.shown)
    flows = ", ".join(f"[{flow}](rules/{flow}.md)" for flow in row.flows)
    name = f'<a id="{row.id}"></a>{row.id}'
    return f"| {name} | {shown} | {_BLAMES[row.blame]} | {flows} | {row.means} {row.tell} |"


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")
