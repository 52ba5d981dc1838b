"""`istio-netpol diff`: what a change of manifests allows and denies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from istio_netpol.analysis.diff import diff as compare
from istio_netpol.analysis.results import Difference
from istio_netpol.cli.command import Command
from istio_netpol.cli.inputs import paired
from istio_netpol.cli.opened_input import open_input, require_two_sides
from istio_netpol.cli.options import InputArguments, format_option, input_options, resolution_options
from istio_netpol.cli.program import FINE, FOUND, examples
from istio_netpol.cli.settings import resolver
from istio_netpol.cli.streams import tell, write
from istio_netpol.cli.terminal import palette
from istio_netpol.report.table import document
from istio_netpol.state.snapshot import Snapshot

CHANGES = {
    "lost": "connections are lost",
    "gained": "connections are gained",
    "required": "required flows are lost",
}
"""What `--fail-on` may name, and what is then said."""


class ChangeNames(click.ParamType[tuple[str, ...]]):
    """`CHANGE[,CHANGE…]`."""

    name = "CHANGE[,CHANGE…]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The changes that are named, in the order of `CHANGES`."""
        if isinstance(value, tuple):
            return value
        named = {name.strip() for name in value.split(",")}
        unknown = sorted(named - CHANGES.keys())
        if unknown:
            self.fail(
                f"{unknown[0]!r} is not a change; use {', '.join(CHANGES)}, several with commas",
                param,
                ctx,
            )
        return tuple(change for change in CHANGES if change in named)


@click.command(
    cls=Command,
    epilog=examples(
        "istio-netpol diff old/ new/",
        "istio-netpol diff old/ new/ -f json",
        "istio-netpol diff old/ new/ --fail-on gained,required",
        "git show main:shop.yaml | istio-netpol diff - shop.yaml",
    ),
)
@input_options("[OLD] NEW")
@format_option("diff")
@click.option(
    "--fail-on",
    type=ChangeNames(),
    multiple=True,
    default=["required"],
    show_default=True,
    help="Exit with 1 where connections are lost (`lost`), connections are gained (`gained`), or required "
    "flows are lost (`required`). Takes several with commas, and can be repeated.",
)
@resolution_options()
@click.pass_context
def diff(
    ctx: click.Context,
    *,
    arguments: InputArguments,
    format_name: str,
    fail_on: Sequence[tuple[str, ...]],
    addresses: Sequence[tuple[str, tuple[str, ...]]],
    offline: bool,
) -> None:
    """Compare two inputs: the connections and required flows that NEW gains and loses.

    OLD and NEW are what PATH is elsewhere: a file, a folder, an overlay, or - for standard input. Without OLD
    the cluster as it stands is compared with what it will be once NEW is applied to it. Of several overlays
    in folders, those at the same place are compared.

    Exit code: 1 where a required flow is lost, or what --fail-on names instead; 0 otherwise; 2 for unusable
    input or arguments.
    """
    require_two_sides(arguments)
    opened = open_input(arguments, addresses, paths_needed=2)
    settings = opened.settings
    if opened.cluster is not None:
        inputs = [opened.read()]
        pairs = [(given.name, given.there or Snapshot.of([]), given.snapshot) for given in inputs[0]]
    else:
        inputs = [opened.read([path]) for path in opened.paths]
        pairs = paired(*inputs)
    for given in (given for side in inputs for given in side):
        given.tell()
    hosts = resolver(offline, settings)
    focus = inputs[-1][0].focus
    differences = [
        (name, focus.of_difference(compare(before, after, settings, hosts))) for name, before, after in pairs
    ]
    write([document("diff", format_name, differences, palette=palette())])
    happened = {change for _, difference in differences for change in _happened(difference)}
    failed = [
        change for change in CHANGES if change in happened and any(change in named for named in fail_on)
    ]
    for change in failed:
        tell(f"fails because {CHANGES[change]} (--fail-on {change})")
    ctx.exit(FOUND if failed else FINE)


def _happened(difference: Difference) -> list[str]:
    """Which of `CHANGES` there are."""
    found = {"lost": difference.lost, "gained": difference.gained, "required": difference.flows_lost}
    return [change for change in CHANGES if found[change]]
