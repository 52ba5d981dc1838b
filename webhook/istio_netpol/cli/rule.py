"""`istio-netpol rule`: what a rule looks for, why, and what to do."""

from __future__ import annotations

import click

from istio_netpol.cli.finding_options import RuleName
from istio_netpol.cli.program import examples
from istio_netpol.model.findings import RuleId


@click.command(
    short_help="Explain a rule.",
    epilog=examples("istio-netpol rule", "istio-netpol rule proxy-to-istiod"),
)
@click.argument("rule_id", metavar="[ID]", type=RuleName(), required=False)
def rule(rule_id: RuleId | None) -> None:
    """Print the page of a rule: symptom, why, example, remedy. Without ID, list all rules.

    Exit code: 0, or 2 for an ID that no rule has.
    """
    from istio_netpol.cli.rule_pages import page_of
    from istio_netpol.cli.terminal import palette, write
    from istio_netpol.report.rules import rule_list, rule_page

    write([rule_page(page_of(rule_id), palette()) if rule_id else rule_list(palette())])
