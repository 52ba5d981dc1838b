"""`istio-netpol list`: every allowed connection."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import click

from istio_netpol.analysis.arguments.peers import peer_filter
from istio_netpol.analysis.focus import Focus
from istio_netpol.analysis.listing import AskedList, as_listed, namespace_pairs
from istio_netpol.cli.command import Command
from istio_netpol.cli.opened_input import open_input
from istio_netpol.cli.options import (
    InputArguments,
    assume_deny_all_option,
    format_option,
    input_options,
    require_format,
)
from istio_netpol.cli.program import examples
from istio_netpol.cli.streams import write
from istio_netpol.errors import InputError, Problem, all_told
from istio_netpol.model.settings import Settings
from istio_netpol.report.table import document, writer
from istio_netpol.state.snapshot import Snapshot

_WHO = "this workload, namespace or address. Can be repeated."


@click.command(
    "list",
    cls=Command,
    epilog=examples(
        "istio-netpol list manifests/",
        "istio-netpol list manifests/ --from shop/cart",
        "istio-netpol list manifests/ --to shop --summary",
        "istio-netpol list manifests/ --exposure",
        "istio-netpol list manifests/ -f csv > connections.csv",
        "kubectl get all,netpol,ns,istio-io -A -o yaml | istio-netpol list - -f json",
    ),
)
@input_options()
@format_option("list")
@click.option("--from", "sources", metavar="WHO", multiple=True, help=f"Only connections from {_WHO}")
@click.option("--to", "destinations", metavar="WHO", multiple=True, help=f"Only connections to {_WHO}")
@click.option("--summary", is_flag=True, help="A line for each pair of namespaces.")
@click.option(
    "--exposure",
    is_flag=True,
    help="Workloads by who can reach them: the world, other namespaces, their own, nobody.",
)
@assume_deny_all_option()
def list_connections(
    *,
    arguments: InputArguments,
    format_name: str,
    sources: Sequence[str],
    destinations: Sequence[str],
    summary: bool,
    exposure: bool,
    assume_deny_all: bool,
) -> None:
    """List every connection that NetworkPolicies allow between workloads and address ranges.

    WHO is namespace/workload, namespace/Kind/workload, namespace/pod, namespace/service, namespace/* or just
    the namespace, an IP address or a CIDR.

    Exit code: 0, or 2 for unusable input or arguments.
    """
    if exposure and (summary or sources):
        raise click.UsageError("--exposure is of all who can call; leave out --summary and --from")
    printed = "list --exposure" if exposure else "list --summary" if summary else "list"
    require_format(printed, format_name)
    opened = open_input(arguments)
    settings = opened.settings
    parts = []
    for given in opened.read():
        given.tell()
        snapshot = given.judged(assume_deny_all=assume_deny_all)
        parts.append((given.name, given.focus, as_listed(snapshot, settings)))
    asked = _asked(parts, sources, destinations, settings)
    if exposure:
        write([document(printed, format_name, [(part.name, part.exposures()) for part in asked])])
    elif summary:
        pairs = [(part.name, namespace_pairs(part.connections())) for part in asked]
        write([document(printed, format_name, pairs)])
    else:
        found = [(part.name, tuple(part.connections())) for part in asked]
        write(writer(printed, format_name)(found))


def _asked(
    parts: Sequence[tuple[str, Focus, Snapshot]],
    sources: Sequence[str],
    destinations: Sequence[str],
    settings: Settings,
) -> list[AskedList]:
    """What is asked for of each input that has it. Raises InputError where none has."""
    found: list[AskedList] = []
    problems: list[Problem] = []
    for name, focus, snapshot in parts:
        try:
            ends = all_told(*(partial(peer_filter, texts, snapshot) for texts in (sources, destinations)))
        except InputError as error:
            problems += error.problems
        else:
            found.append(AskedList(name, snapshot, settings, focus, *ends))
    if not found:
        raise InputError(dict.fromkeys(problems))
    return found
