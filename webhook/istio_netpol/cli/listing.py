"""`istio-netpol list`: every allowed connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from istio_netpol.cli.examples import examples
from istio_netpol.cli.options import assume_deny_all_option, format_option, input_options

if TYPE_CHECKING:
    from istio_netpol.cli.input_arguments import InputArguments

FORMAT_NAMES = ("text", "json", "csv")


@click.command(
    "list",
    short_help="List every allowed connection.",
    epilog=examples(
        "istio-netpol list manifests/",
        "istio-netpol list manifests/ -f csv > connections.csv",
        "kubectl get all,netpol,ns,istio-io -A -o yaml | istio-netpol list - -f json",
    ),
)
@input_options()
@format_option(FORMAT_NAMES)
@assume_deny_all_option()
def list_connections(
    arguments: InputArguments,
    format_name: str,
    assume_deny_all: bool,
) -> None:
    """List every connection that NetworkPolicies allow between workloads and address ranges.

    Exit code: 0, or 2 for unusable input or arguments.
    """
    from istio_netpol.analysis.deny_all import assume_deny_all as with_deny_all
    from istio_netpol.analysis.listing import connections
    from istio_netpol.cli.opened_input import open_input
    from istio_netpol.cli.terminal import write
    from istio_netpol.report.connections import LISTINGS, LISTINGS_OF_INPUTS

    opened = open_input(arguments)
    settings = opened.settings
    listings = []
    for given in opened.read():
        given.tell()
        snapshot = with_deny_all(given.snapshot) if assume_deny_all else given.snapshot
        found = connections(snapshot, settings)
        listings.append((given.name, tuple(filter(given.focus.concerns_connection, found))))
    if len(listings) == 1:
        write(LISTINGS[format_name](listings[0][1]))
    else:
        write(LISTINGS_OF_INPUTS[format_name](listings))
