"""`istio-netpol readiness`: what a deny-all would cut, and the plan by which it cuts nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from istio_netpol.admission.left_alone import left_alone
from istio_netpol.analysis.readiness.assessment import ReadinessReport
from istio_netpol.analysis.readiness.assessment import readiness as assess
from istio_netpol.cli.command import Command
from istio_netpol.cli.inputs import Input
from istio_netpol.cli.opened_input import open_input
from istio_netpol.cli.options import (
    InputArguments,
    format_option,
    input_options,
    output_folder_option,
    proposals_option,
    resolution_options,
    tight_option,
)
from istio_netpol.cli.plan_files import WAITING, plan_problems, write_plan
from istio_netpol.cli.program import FINE, FOUND, examples
from istio_netpol.cli.settings import resolver
from istio_netpol.cli.streams import OutputError, tell, write
from istio_netpol.cli.terminal import palette
from istio_netpol.errors import InputError
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.report.places import plural
from istio_netpol.report.readiness_documents import readiness_markdown
from istio_netpol.report.table import document


@click.command(
    cls=Command,
    epilog=examples(
        "istio-netpol readiness manifests/",
        "istio-netpol readiness manifests/ --all",
        "istio-netpol readiness manifests/ -f markdown > readiness.md",
        "istio-netpol readiness manifests/ -o plan/",
    ),
)
@input_options()
@format_option("readiness")
@click.option("--all", "everything", is_flag=True, help="List everything in the text, not only a screen.")
@output_folder_option("Write the plan into this new folder, a numbered file for each step.")
@tight_option()
@proposals_option()
@resolution_options()
@click.pass_context
def readiness(
    ctx: click.Context,
    *,
    arguments: InputArguments,
    format_name: str,
    everything: bool,
    folder: Path | None,
    tight: bool,
    proposals: bool,
    addresses: Sequence[tuple[str, tuple[str, ...]]],
    offline: bool,
) -> None:
    """Tell what a deny-all in every namespace would cut, and plan it so that nothing is cut.

    The plan allows first, then denies, a policy at a time. After each of its steps all that was needed and
    allowed before is allowed still. Steps that cost something, or that concern workloads of which nothing
    says what they need, come last and wait for an answer. Namespaces of Kubernetes, of Kyma, of istio-netpol
    itself, of mode off and those that the settings exempt get no deny-all. docs/schemas/readiness.schema.json
    describes -f json.

    Exit code: 0 if all steps can be applied and nothing required is denied at the end; 1 if something is, or
    is not known; 2 for unusable input or arguments.
    """
    problems = list(plan_problems(folder)) if folder is not None else []
    if problems:
        raise InputError(problems)
    opened = open_input(arguments, addresses, about_all=True)
    settings = opened.settings
    hosts = resolver(offline, settings)
    found: list[tuple[Input, ReadinessReport]] = []
    for given in opened.read():
        given.tell()
        found.append((given, _planned(given, settings, hosts, per_namespace=not tight, proposals=proposals)))
    named = [(given.name, plan) for given, plan in found]
    write([document("readiness", format_name, named, palette=palette(), everything=everything)])
    if folder is not None:
        for given, plan in found:
            _write_plan(given, plan, folder)
    ctx.exit(FINE if all(plan.is_safe for _, plan in found) else FOUND)


def _planned(
    given: Input, settings: Settings, hosts: Resolver, *, per_namespace: bool, proposals: bool
) -> ReadinessReport:
    left = left_alone(given.snapshot, settings)
    return assess(
        given.snapshot,
        settings,
        hosts,
        {name: why.reason for name, why in left.items()},
        untouched=frozenset(name for name, why in left.items() if why.untouched),
        per_namespace=per_namespace,
        proposals=proposals,
    )


def _write_plan(given: Input, plan: ReadinessReport, folder: Path) -> None:
    place = given.folder_below(folder)
    try:
        write_plan(plan.steps, readiness_markdown(plan, given.name), place)
    except OSError as error:
        raise OutputError(f"{error.filename or place}: can't be written: {error.strerror or error}") from None
    waiting = len(plan.steps) - plan.safe_steps
    tell(f"wrote {plural(len(plan.steps), 'step')} to {place}")
    if waiting:
        tell(f"{plural(waiting, 'step')} of them in {place / WAITING}: apply these after the answers only")
