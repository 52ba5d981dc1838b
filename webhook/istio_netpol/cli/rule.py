"""`istio-netpol rule`: what a rule looks for, why, and what to do; and the pages of the rules, which are
part of the program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from istio_netpol.cli.command import Command
from istio_netpol.cli.finding_options import RuleName
from istio_netpol.cli.program import examples
from istio_netpol.cli.streams import write
from istio_netpol.cli.terminal import palette
from istio_netpol.model.findings import RuleId
from istio_netpol.report.rules import TITLES, RulePages, rule_list, rule_page


@click.command(
    cls=Command,
    epilog=examples("istio-netpol rule", "istio-netpol rule proxy-to-istiod"),
)
@click.argument("rule_id", metavar="[ID]", type=RuleName(), required=False)
def rule(rule_id: RuleId | None) -> None:
    """Print the page of a rule: symptom, why, example, remedy. Without ID, list all rules.

    Exit code: 0, or 2 for an ID that no rule has.
    """
    write([rule_page(page_of(rule_id), palette()) if rule_id else rule_list(palette())])


_FOLDER = Path(__file__).parents[1] / "rule_pages"
"""In a checkout a link to docs/rules, which is where the pages are written."""


def page_of(rule: RuleId) -> str:
    """The Markdown of a rule's page."""
    return (_FOLDER / f"{rule}.md").read_text(encoding="utf-8")


def all_pages(published: str = "") -> RulePages:
    """Every page; `published` is the address of those that a browser finds, if there is one."""
    return RulePages(_Pages(), published)


class _Pages(Mapping[RuleId, str]):
    """The page of each rule, read when it is asked for: most reports need none."""

    def __getitem__(self, rule: RuleId) -> str:
        if rule not in TITLES:
            raise KeyError(rule)
        return page_of(rule)

    def __iter__(self) -> Iterator[RuleId]:
        return iter(TITLES)

    def __len__(self) -> int:
        return len(TITLES)
