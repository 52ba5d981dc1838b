"""`istio-netpol explain`: whether one connection is allowed, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from istio_netpol.cli.examples import examples
from istio_netpol.cli.exits import FINE, FOUND
from istio_netpol.cli.options import (
    Destination,
    assume_deny_all_option,
    format_option,
    input_options,
    resolution_options,
)

if TYPE_CHECKING:
    from istio_netpol.cli.input_arguments import InputArguments
    from istio_netpol.model.connections import Protocol

FORMAT_NAMES = ("text", "json")


@click.command(
    short_help="Say why a connection is allowed or denied.",
    epilog=examples(
        "istio-netpol explain manifests/ --from shop/cart --to shop/db:5432",
        "istio-netpol explain manifests/ --from 203.0.113.9 --to shop/cart:http",
        "istio-netpol explain manifests/ --from shop/cart --to 192.0.2.7:53/UDP -f json",
        "istio-netpol explain shop.yaml --from shop/cart --to api.example:443 --address api.example=1.2.3.4",
    ),
)
@input_options()
@click.option(
    "--from",
    "source",
    metavar="WHO",
    required=True,
    help="namespace/workload, namespace/Kind/workload, namespace/pod, or an IP address.",
)
@click.option(
    "--to",
    "destination",
    type=Destination(),
    required=True,
    help="The same, a Service or a host, with a port's number or name; TCP by default. IPv6 in brackets.",
)
@format_option(FORMAT_NAMES)
@assume_deny_all_option()
@resolution_options()
@click.pass_context
def explain(
    ctx: click.Context,
    *,
    arguments: InputArguments,
    source: str,
    destination: tuple[str, int | str, Protocol],
    format_name: str,
    assume_deny_all: bool,
    addresses: Sequence[tuple[str, tuple[str, ...]]],
    offline: bool,
) -> None:
    """Say whether a connection is allowed, gate by gate, and show the smallest remedy.

    Of several overlays in a folder, those that have both ends answer, each on its own.

    Exit code: 0 if policies allow it and nothing else surely refuses it, 1 if policies, an
    AuthorizationPolicy, mutual TLS or a Sidecar do, 2 for unusable input or arguments. What depends on the
    request is marked with '?' and refuses nothing.
    """
    from istio_netpol.analysis.deny_all import assume_deny_all as with_deny_all
    from istio_netpol.analysis.explain import explain as explain_connection
    from istio_netpol.analysis.results import Explanation
    from istio_netpol.cli.opened_input import open_input
    from istio_netpol.cli.resolving import resolver
    from istio_netpol.cli.terminal import palette, write
    from istio_netpol.errors import InputError, Problem
    from istio_netpol.report.explanation import json_explanations, text_explanations

    opened = open_input(arguments, addresses)
    settings = opened.settings
    hosts = resolver(offline, settings)
    explanations: list[tuple[str, Explanation]] = []
    problems: list[Problem] = []
    for given in opened.read():
        given.tell()
        snapshot = with_deny_all(given.snapshot) if assume_deny_all else given.snapshot
        try:
            explanations.append(
                (given.name, explain_connection(snapshot, settings, hosts, source, *destination))
            )
        except InputError as error:
            problems += error.problems
    if not explanations:
        raise InputError(dict.fromkeys(problems))
    is_text = format_name == "text"
    write([text_explanations(explanations, palette()) if is_text else json_explanations(explanations)])
    ctx.exit(FINE if all(explanation.connects for _, explanation in explanations) else FOUND)
