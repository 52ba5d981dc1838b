"""The page of a rule as a terminal shows it, and the list of all rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from textwrap import wrap

from istio_netpol.model.findings import RuleId
from istio_netpol.model.flows import FlowKind
from istio_netpol.report.palette import PLAIN, Palette
from istio_netpol.report.rule_titles import TITLES, command

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
