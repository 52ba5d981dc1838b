"""`istio-netpol map`: a picture of who can reach whom."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from istio_netpol.analysis.reachability.facts import facts
from istio_netpol.analysis.reachability.state_reading import Given
from istio_netpol.cli.command import Command
from istio_netpol.cli.inputs import Input
from istio_netpol.cli.opened_input import OpenedInput, open_input, require_two_sides
from istio_netpol.cli.options import InputArguments, input_options, resolution_options
from istio_netpol.cli.parameter_types import ListenAddress, NamedPath
from istio_netpol.cli.program import examples
from istio_netpol.cli.settings import resolver
from istio_netpol.cli.streams import OutputError, tell, write
from istio_netpol.report.table import TABLE, document, has_format, names
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.web.page import page_of

STANDARD_INPUT = STANDARD_OUTPUT = "-"
_ENDINGS = ", ".join(f".{name}" for name in names("map"))


@click.command(
    "map",
    cls=Command,
    epilog=examples(
        "istio-netpol map manifests/ -o map.html",
        "istio-netpol map manifests/ -o map.svg",
        "istio-netpol map --diff old/ new/ -o change.html",
        "istio-netpol map manifests/ --serve",
        "kubectl get all,netpol,ns,istio-io -A -o yaml | istio-netpol map - -o map.html",
    ),
)
@input_options()
@click.option(
    "-o",
    "--output",
    "output",
    metavar="FILE",
    default=STANDARD_OUTPUT,
    help=f"Where to write, and what by its ending: {_ENDINGS}. Without it, or for -, the page goes to "
    "standard output.",
)
@click.option("--diff", "compares", is_flag=True, help="Take two PATHs, OLD and NEW, and show what changes.")
@click.option("--title", metavar="TEXT", default="", help="What the picture is called, instead of PATH.")
@click.option(
    "--serve", "serves", is_flag=True, help="Serve the page, and keep it as PATH or the cluster is."
)
@click.option(
    "--listen",
    type=ListenAddress(),
    default="127.0.0.1:8040",
    show_default=True,
    help="With --serve: where; port 0 takes a free one. Other addresses than loopback need --token-file.",
)
@click.option(
    "--token-file",
    metavar="FILE",
    type=NamedPath(path_type=Path, dir_okay=False),
    help="With --serve: ask everybody for what stands in this file, as password.",
)
@resolution_options()
def map_command(
    *,
    arguments: InputArguments,
    output: str,
    compares: bool,
    title: str,
    serves: bool,
    listen: tuple[str, int],
    token_file: Path | None,
    addresses: Sequence[tuple[str, tuple[str, ...]]],
    offline: bool,
) -> None:
    """Draw who can reach whom, and which required flows are cut.

    The page is one file that needs no network: a matrix of namespaces, which open into workloads. A cell
    leads to the policies that decide, and to the policy that mends it. It shows the cluster as it is, and as
    it would be if every namespace denied all traffic by default.

    With --serve the page is live: it shows what changes in PATH or in the cluster, and keeps what is
    selected. Ctrl-C ends it.

    Exit code: 0, or 2 for unusable input or arguments and where the file can't be written.
    """
    if serves:
        _refuse_with_serve(output, compares)
    else:
        format_name = _format_of(output)
    if compares:
        require_two_sides(arguments)
    opened = open_input(arguments, addresses, paths_needed=2 if compares else 1, about_all=True)
    hosts = resolver(offline, opened.settings)
    if serves:
        # A web server and the client of clusters take a second to import, and only --serve needs them.
        from istio_netpol.cli.map_serve import serve  # noqa: PLC0415

        serve(opened, hosts, listen, token_file, title=title or _title(opened), read_from=_read_from(opened))
        return
    before, now = _two_states(opened) if compares else (None, one_cluster(opened.read()))
    now.tell()
    found = facts(given_of(now), opened.settings, hosts, before=before)
    shown = document(
        "map",
        format_name,
        found,
        title=title or _title(opened),
        read_from=_read_from(opened, last=compares),
        page=page_of,
    )
    _write(output, shown)


def _title(opened: OpenedInput) -> str:
    names = [Path(path).name or path for path in opened.paths if path != STANDARD_INPUT]
    return (opened.cluster.name if opened.cluster else " and ".join(names)) or "cluster"


def _read_from(opened: OpenedInput, *, last: bool = False) -> str:
    """The arguments of commands that the page shows."""
    return " ".join(map(shlex.quote, opened.paths[-1:] if last else opened.paths))


def _refuse_with_serve(output: str, compares: bool) -> None:
    if compares:
        raise click.UsageError("--serve shows what is, and --diff a change: give one of them.")
    if output != STANDARD_OUTPUT:
        raise click.UsageError("--serve writes no file: leave -o out.")


def _format_of(output: str) -> str:
    if output == STANDARD_OUTPUT:
        if sys.stdout.isatty():
            raise click.UsageError("Name a file: -o map.html. (-o - would fill the terminal with the page.)")
        return names("map")[0]
    ending = Path(output).suffix.lower()
    name = ending.removeprefix(".")
    if not has_format("map", name):
        known = ", ".join(f".{name} ({row.about})" for name, row in TABLE["map"].items())
        what = f"ends in {ending!r}" if ending else "has no ending"
        raise click.UsageError(f"{output!r} {what}, which names no format; use {known}")
    return name


def one_cluster(inputs: Sequence[Input]) -> Input:
    """The one cluster of an input."""
    if len(inputs) > 1:
        names = ", ".join(given.name for given in inputs)
        raise click.UsageError(f"A map shows one cluster, and PATH holds {len(inputs)}: {names}. Name one.")
    return inputs[0]


def _two_states(opened: OpenedInput) -> tuple[Given, Input]:
    """The cluster before and after a change."""
    if opened.cluster is not None:
        now = one_cluster(opened.read())
        return Given(now.there or Snapshot.of([])), now
    old, new = (one_cluster(opened.read([path])) for path in opened.paths)
    return given_of(old), new


def given_of(read: Input) -> Given:
    """What was read, as the facts are worked out from it."""
    return Given(read.snapshot, read.skipped, read.there, read.assumed, tuple(read.findings()))


def _write(output: str, text: str) -> None:
    if output == STANDARD_OUTPUT:
        write([text])
        return
    data = text.encode("utf-8", "backslashreplace")
    try:
        Path(output).write_bytes(data)
    except OSError as error:
        raise OutputError(f"{output} can't be written: {error.strerror or error}") from None
    tell(f"wrote {output} ({len(data):,} bytes)")
