"""What readers are told of a rule: its title, where its page is, the page as a terminal shows it, and the
list of all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from textwrap import wrap

from msgspec import Struct, field

from istio_netpol.model.findings import Issue, RuleId
from istio_netpol.model.flows import FlowKind
from istio_netpol.report.palette import PLAIN, Palette

TITLES: dict[RuleId, str] = {
    FlowKind.PROXY_TO_ISTIOD: "A sidecar needs its istiod.",
    FlowKind.GATEWAY_TO_ISTIOD: "A gateway needs its istiod.",
    FlowKind.DNS: "Injected pods, gateways and the control plane need DNS.",
    FlowKind.CLIENT_TO_GATEWAY: "Clients need the gateway's listener ports.",
    FlowKind.GATEWAY_TO_WORKLOAD: "A gateway needs the workloads that are exposed through it.",
    FlowKind.ISTIOD_TO_JWKS: "istiod fetches the keys that validate tokens.",
    FlowKind.WORKLOAD_TO_WORKLOAD: "A declared call between two workloads.",
    FlowKind.WORKLOAD_TO_EXTERNAL: "A declared call to an address outside the cluster.",
    FlowKind.TO_APISERVER: "The control plane needs the Kubernetes API server.",
    FlowKind.WEBHOOK_FROM_APISERVER: "The API server calls webhooks and APIs that pods serve.",
    FlowKind.EXT_AUTHZ: "External authorization asks another service.",
    FlowKind.TRACING: "Proxies send spans and access logs to a collector.",
    FlowKind.SCRAPE: "Metrics are scraped.",
    FlowKind.HBONE: "Ambient traffic arrives on TCP 15008.",
    Issue.JWKS_UNRESOLVABLE: "A JWKS host does not resolve.",
    Issue.HOST_UNRESOLVABLE: "A host that something calls does not resolve.",
    Issue.JWKS_HOST_REFUSED: "A JWKS host must not be opened.",
    Issue.FOREIGN_ROUTING: "Another tenant's object routes these calls.",
    Issue.ADDRESS_REFUSED: "An address must not be opened.",
    Issue.UNKNOWN_DESTINATION: "A destination is not there (yet).",
    Issue.BROAD_POLICY: "A rule opens more than any flow needs.",
    Issue.NEEDLESS_POLICY: "Other policies do all that a policy does.",
    Issue.OPEN_NAMESPACE: "No policy isolates any pod of a namespace.",
    Issue.IN_POD_PORT: "A rule names a port that never crosses the network.",
    Issue.IP_BLOCK_FOR_PODS: "Only an ipBlock allows traffic between pods.",
    Issue.CONSENT_MISSING: "One side has not agreed.",
    Issue.POLICY_SELECTS_NOTHING: "A policy, or a part of it, matches nothing.",
    Issue.POLICY_NOT_READ: "A policy of a network plugin selects an end of a required flow.",
    Issue.TIER_UNDECIDED: "It can't be told what a rule of a policy tier says of a required flow.",
    Issue.TUNNEL_PORT: "A rule names an application's port where ambient mode needs TCP 15008.",
    Issue.IMPACT: "A change would cut something that runs.",
    Issue.APPLY_ORDER: "A deny-all is applied before what it must not cut.",
    Issue.REMOVED_API: "An object is written for an API version that is not served any more.",
    Issue.ACCEPTANCE: "An annotation accepts nothing.",
    Issue.POLICY_REFUSED: "The cluster refuses a policy of the overlay, or could not be asked.",
    Issue.UNCOVERED_WORKLOAD: "A default-deny leaves a workload without what it needs.",
    Issue.NOT_JUDGED: "An object, or a part of it, was not judged.",
}


class RulePages(Struct, frozen=True):
    """The text of each rule's page, in Markdown, and where the pages are published: the address to which the
    id of a rule is added after a slash, empty where they are not."""

    texts: Mapping[RuleId, str] = field(default_factory=dict)
    published: str = ""

    def address(self, rule: RuleId) -> str:
        """Where the page of a rule is published; empty where it is not."""
        return f"{self.published.rstrip('/')}/{rule}" if self.published else ""


def command(rule: RuleId) -> str:
    """What prints the page of a rule, wherever the program is."""
    return f"istio-netpol rule {rule}"


WIDTH = 100

_LINK = re.compile(r"\[([^]]+)\]\(([^)\s]+)\)")
_ITEM = re.compile(r"^(\s*)([-*]|\d+\.) ")
_FENCE = "```"
_RULES: dict[str, RuleId] = {str(rule): rule for rule in TITLES}
_TITLES: dict[str, str] = {str(rule): title for rule, title in TITLES.items()}


def rule_page(markdown: str, palette: Palette = PLAIN) -> str:
    """The page with headings painted, paragraphs as wide as a screen, and examples as they can be copied."""
    return "".join(f"{line}\n" for line in _lines(markdown, palette))


def rule_list(palette: Palette = PLAIN) -> str:
    """Every rule with its title."""
    width = max(len(rule) for rule in TITLES)
    lines: list[str] = []
    for title, is_flow in (("Required flows that are denied:", True), ("Other findings:", False)):
        rules = sorted(rule for rule in TITLES if isinstance(rule, FlowKind) is is_flow)
        lines += [
            palette.paint(title, palette.heading),
            *(f"  {rule:<{width}}  {_TITLES[rule]}" for rule in rules),
            "",
        ]
    lines.append("`istio-netpol rule ID` prints the page of a rule.")
    return "".join(f"{line}\n" for line in lines)


def _lines(markdown: str, palette: Palette) -> Iterator[str]:
    for block in _blocks(markdown.splitlines()):
        first = block[0]
        if first.startswith(_FENCE):
            yield from block[1:-1]
        elif first.startswith("#"):
            yield palette.paint(first.lstrip("# "), palette.heading)
        elif first.startswith("|") or not first:
            yield from block
        else:
            yield from _wrapped(_linked(" ".join(line.strip() for line in block)), _indent(first))


def _blocks(lines: Iterable[str]) -> Iterator[list[str]]:
    """Examples, headings, tables, paragraphs, list items and empty lines, each as its lines."""
    block: list[str] = []
    in_example = False
    for line in lines:
        begins = not in_example and (
            not line or line.startswith(("#", _FENCE)) or _ITEM.match(line) or not block or not block[0]
        )
        ends_heading = bool(block) and not in_example and block[0].startswith(("#", _FENCE))
        if (begins or ends_heading) and block:
            yield block
            block = []
        block.append(line)
        if line.startswith(_FENCE):
            in_example = not in_example
    if block:
        yield block


def _indent(first: str) -> str:
    """What goes before the second line of a list item."""
    item = _ITEM.match(first)
    return " " * len(item[0]) if item else ""


def _wrapped(text: str, indent: str) -> list[str]:
    return wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _linked(text: str) -> str:
    """The text without links; those to other rules are commands, and those to the world addresses."""

    def written(link: re.Match[str]) -> str:
        title, target = link[1], link[2]
        rule = target.partition("#")[0].rpartition("/")[2].removesuffix(".md")
        if rule in _RULES:
            asked = command(_RULES[rule])
            return f"`{asked}`" if title.strip("`") == rule else f"{title} (`{asked}`)"
        return f"{title} <{target}>" if "://" in target else title

    return _LINK.sub(written, text)
