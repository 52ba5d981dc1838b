"""`istio-netpol list`: every allowed connection."""

from __future__ import annotations

from collections.abc import Sequence

import click

from istio_netpol.cli.examples import examples
from istio_netpol.cli.options import assume_deny_all_option, config_option, format_option, input_options

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
@config_option()
def list_connections(
    paths: Sequence[str], context: str, format_name: str, assume_deny_all: bool, config: str | None
) -> None:
    """List every connection that NetworkPolicies allow between workloads and address ranges.

    Exit code: 0, or 2 for unusable input or arguments.
    """
    from istio_netpol.analysis.deny_all import assume_deny_all as with_deny_all
    from istio_netpol.analysis.listing import connections
    from istio_netpol.cli.inputs import read_input
    from istio_netpol.cli.options import kustomize_from_environment, read_settings
    from istio_netpol.cli.terminal import write
    from istio_netpol.report.connections import LISTINGS

    settings = read_settings(config)
    snapshot = read_input(paths, kustomize_from_environment(), context, settings).snapshot
    if assume_deny_all:
        snapshot = with_deny_all(snapshot)
    write(LISTINGS[format_name](connections(snapshot, settings)))
