"""Options of a check that say which findings are shown, and which make it fail."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

import click

from istio_netpol.cli.options import Decorator
from istio_netpol.cli.parameter_types import NamedPath
from istio_netpol.model.findings import Issue, RuleId, Severity
from istio_netpol.model.flows import FlowKind

RULES: dict[str, RuleId] = {str(rule): rule for ids in (FlowKind, Issue) for rule in ids}
"""Every rule by its id."""

MOST_SUGGESTED = 5
"""More rules than that suggest nothing: a part such as `a` is in most ids."""

NEVER = "none"


class RuleName(click.ParamType[RuleId]):
    """The id of a rule."""

    name = "ID"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> RuleId:
        """The rule; where there is none of that name, those that are called alike are named."""
        if isinstance(value, FlowKind | Issue):
            return value
        written = str(value).strip().lower().removesuffix(".md")
        if written not in RULES:
            self._refuse(value, written, param, ctx)
        return RULES[written]

    def _refuse(
        self, value: Any, written: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> NoReturn:
        close = get_close_matches(written, RULES, n=3, cutoff=0.5) or [
            rule for rule in RULES if written in rule
        ]
        is_help = 0 < len(close) <= MOST_SUGGESTED
        asked = f"did you mean {' or '.join(close)}?" if is_help else "`istio-netpol rule` lists all"
        self.fail(f"{value!r} is not the id of a rule; {asked}", param, ctx)


def selection_options() -> Decorator:
    """`--rule`, `--severity` and `--all`."""
    rule = click.option(
        "--rule",
        "rules",
        type=RuleName(),
        multiple=True,
        help="Count findings of this rule only. Can be repeated.",
    )
    severity = click.option(
        "--severity",
        type=click.Choice([str(severity) for severity in Severity]),
        default=str(Severity.INFO),
        show_default=True,
        help="Show findings of this severity and worse.",
    )
    every = click.option(
        "--all",
        "in_full",
        is_flag=True,
        help="Show every finding with its remedy, instead of one screen by cause (text).",
    )
    return lambda command: rule(severity(every(command)))


def fail_on_option() -> Decorator:
    """`--fail-on`."""
    return click.option(
        "--fail-on",
        type=click.Choice([str(Severity.ERROR), str(Severity.WARNING), NEVER]),
        default=str(Severity.ERROR),
        show_default=True,
        help="Exit with 1 where there are findings of this severity or worse.",
    )


def baseline_options() -> Decorator:
    """`--baseline` and `--update-baseline`."""
    file = click.option(
        "--baseline",
        "baseline_file",
        metavar="FILE",
        type=NamedPath(dir_okay=False, path_type=Path),
        help="Leave out the findings that this file knows, and say which of them have gone.",
    )
    update = click.option(
        "--update-baseline",
        is_flag=True,
        help="Write what is found to the file of --baseline, so that from now on only what is new counts.",
    )
    return lambda command: file(update(command))


def is_at_least(severity: Severity, wanted: str) -> bool:
    """Whether a severity is `wanted` or worse."""
    ranks = list(Severity)
    return wanted != NEVER and ranks.index(severity) <= ranks.index(Severity(wanted))
