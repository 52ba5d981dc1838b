"""`istio-netpol explain`: whether a connection is allowed, and why; what a workload needs."""

from __future__ import annotations

from collections.abc import Sequence

import click

from istio_netpol.analysis.arguments.objects import find_named
from istio_netpol.analysis.arguments.peers import in_namespace
from istio_netpol.analysis.explain.connection import explain as explain_connection
from istio_netpol.analysis.explain.host import explain_host
from istio_netpol.analysis.explain.walk import Walk
from istio_netpol.analysis.explain.workload import explain_workload
from istio_netpol.analysis.results import Explanation
from istio_netpol.cli.command import Command
from istio_netpol.cli.inputs import answers_of
from istio_netpol.cli.opened_input import OpenedInput, open_input
from istio_netpol.cli.options import (
    InputArguments,
    assume_deny_all_option,
    format_option,
    input_options,
    require_format,
    resolution_options,
)
from istio_netpol.cli.parameter_types import DestinationParameter, HostName, UrlPath
from istio_netpol.cli.program import FINE, FOUND, examples
from istio_netpol.cli.settings import resolver
from istio_netpol.cli.streams import write
from istio_netpol.cli.terminal import palette
from istio_netpol.errors import InputError, Problem
from istio_netpol.model.connections import Protocol
from istio_netpol.report.table import document
from istio_netpol.state.snapshot import Snapshot


@click.command(
    cls=Command,
    epilog=examples(
        "istio-netpol explain manifests/ --from shop/cart --to shop/db:5432",
        "istio-netpol explain manifests/ --from 203.0.113.9 --to shop/cart:http",
        "istio-netpol explain manifests/ --from shop/cart --to 192.0.2.7:53/UDP -f json",
        "istio-netpol explain manifests/ --symptom 'upstream request timeout'",
        "kubectl logs -n shop deploy/cart -c istio-proxy | istio-netpol explain manifests/ --symptom - "
        "-n shop",
        "istio-netpol explain shop.yaml --from shop/cart --to api.example:443 --address api.example=1.2.3.4",
        "istio-netpol explain manifests/ --workload shop/cart",
        "istio-netpol explain manifests/ -n shop --from cart --to db:5432",
        "istio-netpol explain shop.yaml gateway.yaml --host shop.example.com --path /cart",
    ),
)
@input_options()
@click.option(
    "--from",
    "source",
    metavar="WHO",
    help="namespace/workload, namespace/Kind/workload, namespace/pod, an address, or with -n a name alone.",
)
@click.option(
    "--to",
    "destination",
    type=DestinationParameter(),
    help="The same, a Service or a host, with a port's number or name; TCP by default. IPv6 in brackets.",
)
@click.option(
    "--workload",
    metavar="WHO",
    help="All that a workload or a pod needs, what of it is cut, and the policies that open it.",
)
@click.option(
    "--symptom",
    metavar="TEXT|-",
    help="What was seen, or - for a log on standard input: of a proxy, istiod, curl, kubectl. "
    "Says which connection can be cut; without PATH and cluster nothing is judged.",
)
@click.option(
    "--host",
    metavar="HOST",
    type=HostName(),
    help="The way of a request for a host: clients, gateway, route, Service, pods.",
)
@click.option("--path", metavar="PATH", type=UrlPath(), help="Of --host: which route takes it.")
@format_option("explain")
@assume_deny_all_option()
@resolution_options()
@click.pass_context
def explain(
    ctx: click.Context,
    *,
    arguments: InputArguments,
    source: str | None,
    destination: tuple[str, int | str, Protocol] | None,
    workload: str | None,
    symptom: str | None,
    host: str | None,
    path: str | None,
    format_name: str,
    assume_deny_all: bool,
    addresses: Sequence[tuple[str, tuple[str, ...]]],
    offline: bool,
) -> None:
    """Say whether a connection is allowed, gate by gate, and show the smallest remedy.

    Asks for one connection with --from and --to, for all that a workload needs with --workload or by
    KIND/NAME, or for the way of a request with --host.

    Of several overlays in a folder, those that have both ends answer, each on its own.

    With --symptom: which connections can have caused what was seen, likeliest first, each with its verdict
    and remedy. --from and --to say who connected to whom where the text does not.

    Exit code: 0 if policies allow what was asked for and nothing else surely refuses it, 1 if policies, an
    AuthorizationPolicy, mutual TLS or a Sidecar do, 2 for unusable input or arguments. What depends on the
    request is marked with '?' and refuses nothing; losing metrics or traces alone is not a failure either.
    With --symptom 1 if policies deny a connection that can be the cause, and 2 if nothing is known of what
    was seen.
    """
    _require_fitting(ctx, symptom=symptom, host=host, path=path)
    source, workload = (who and in_namespace(who, arguments.namespace) for who in (source, workload))
    if destination is not None:
        destination = (in_namespace(destination[0], arguments.namespace), *destination[1:])
    if symptom is not None:
        # Only this question needs the patterns of all symptoms, which take 15 ms to compile.
        from istio_netpol.analysis.symptom_causes.causes import NamedEnds  # noqa: PLC0415
        from istio_netpol.cli.symptoms import answer_symptom  # noqa: PLC0415

        is_denied = answer_symptom(
            symptom,
            arguments,
            NamedEnds(source or workload or "", destination, arguments.namespace),
            format_name=format_name,
            assume_deny_all=assume_deny_all,
            addresses=addresses,
            offline=offline,
        )
        ctx.exit(FOUND if is_denied else FINE)
    opened = open_input(arguments, addresses, is_asked=True)
    named = opened.objects or None
    _require_one_question(ctx, source=source, to=destination, workload=workload, host=host, object=named)
    about = "explain --workload" if destination is None else "explain"
    require_format(about, format_name)
    settings, hosts = opened.settings, resolver(offline, opened.settings)

    def answer(read: Snapshot) -> Explanation | Walk:
        if source is not None and destination is not None:
            return explain_connection(read, settings, hosts, source, *destination)
        if host is not None:
            return explain_host(read, settings, hosts, host, path or "")
        name = _named_in(read, opened) if workload is None else workload
        return explain_workload(read, settings, hosts, name)

    found = answers_of(opened.read(), answer, assume_deny_all=assume_deny_all)
    write([document(about, format_name, found, palette=palette())])
    ctx.exit(FINE if all(each.connects for _, each in found) else FOUND)


def _require_fitting(ctx: click.Context, symptom: str | None, host: str | None, path: str | None) -> None:
    """Refuses a path without a host, and a host beside a symptom, which names its own."""
    if path is not None and host is None:
        raise click.UsageError("--path belongs to --host", ctx)
    if symptom is not None and host is not None:
        raise click.UsageError("say what to explain, one thing at a time: --symptom or --host", ctx)


def _require_one_question(ctx: click.Context, **given: object) -> None:
    """Refuses a command line that asks for nothing, for half a connection, or for two things."""
    asked = {name for name, value in given.items() if value is not None}
    if asked not in ({"source", "to"}, {"workload"}, {"host"}, {"object"}):
        ways = "--from WHO --to WHOM:PORT, --workload WHO, KIND/NAME, --host HOST, or --symptom TEXT"
        raise click.UsageError(f"say what to explain, one thing at a time: {ways}", ctx)


def _named_in(snapshot: Snapshot, opened: OpenedInput) -> str:
    """The one workload that the arguments name, `namespace/Kind/name`. Raises InputError for several."""
    found = [ref for wanted in opened.objects for ref in find_named(snapshot, wanted)]
    if len(found) > 1:
        names = ", ".join(str(ref) for ref in found)
        cause, remedy = f"stands for {len(found)} objects ({names})", "explain one at a time; -n names one"
        written = " ".join(wanted.written for wanted in opened.objects)
        raise InputError([Problem("arguments", None, None, None, written, cause, remedy)])
    return next((f"{ref.namespace}/{ref.kind}/{ref.name}" for ref in found), opened.objects[0].written)
