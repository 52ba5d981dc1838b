"""`istio-netpol check`: the required flows that are denied."""

from __future__ import annotations

from collections.abc import Sequence

import click

from istio_netpol.cli.examples import examples
from istio_netpol.cli.exits import FINE, FOUND
from istio_netpol.cli.options import (
    assume_deny_all_option,
    config_option,
    format_option,
    input_options,
    proposals_option,
    resolution_options,
)

FORMAT_NAMES = ("text", "json", "sarif", "junit", "github")


@click.command(
    short_help="Find required flows that are denied.",
    epilog=examples(
        "istio-netpol check shop.yaml",
        "istio-netpol check manifests/ --assume-deny-all",
        "istio-netpol check manifests/ --address keys.example.com=192.0.2.7,192.0.2.8",
        "istio-netpol check overlays/prod -f github",
        "istio-netpol check . --exclude charts/ --exclude '*-values.yaml'",
        "helm template cart charts/cart -n shop | istio-netpol check - -n shop",
        "kubectl get all,netpol,ns,istio-io -A -o yaml | istio-netpol check - -f sarif > netpol.sarif",
    ),
)
@input_options()
@format_option(FORMAT_NAMES)
@assume_deny_all_option()
@proposals_option()
@resolution_options()
@config_option()
@click.pass_context
def check(
    ctx: click.Context,
    *,
    paths: Sequence[str],
    context: str,
    namespace: str | None,
    exclude: Sequence[str],
    format_name: str,
    assume_deny_all: bool,
    proposals: bool,
    addresses: Sequence[tuple[str, tuple[str, ...]]],
    offline: bool,
    config: str | None,
) -> None:
    """Find the connections that Istio and Kyma need and NetworkPolicies deny.

    PATH is a file, a folder, an overlay (a folder with a kustomization.yaml), a Helm chart or - for standard
    input. Of a folder with several overlays, each that no other includes is judged on its own.

    Exit code: 0 without findings of severity error, 1 with some, 2 for unusable input or arguments.
    """
    from istio_netpol.analysis.check import check as check_snapshot
    from istio_netpol.analysis.deny_all import assume_deny_all as with_deny_all
    from istio_netpol.analysis.deny_all import told_of_today
    from istio_netpol.analysis.results import Report
    from istio_netpol.cli.inputs import read_inputs
    from istio_netpol.cli.options import read_settings, reading_from
    from istio_netpol.cli.resolving import resolver
    from istio_netpol.cli.terminal import palette, tell, write
    from istio_netpol.model.findings import Severity
    from istio_netpol.report.table import FORMATS
    from istio_netpol.report.text import kinds_not_read, text
    from istio_netpol.report.undeclared import summary_of

    settings = read_settings(config, addresses)
    hosts = resolver(offline, settings)
    parts = []
    for given in read_inputs(paths, reading_from(namespace, exclude), context, settings):
        snapshot = with_deny_all(given.snapshot) if assume_deny_all else given.snapshot
        found = check_snapshot(snapshot, settings, hosts, given.skipped, proposals=proposals)
        if assume_deny_all:
            found = told_of_today(found, given.snapshot, given.there or given.snapshot, settings)
        parts.append((given.name, found.with_input(given.assumed, given.findings())))
    report = Report.of_inputs(parts)
    if format_name == "text":
        write([text(report, palette())])
    else:
        for assumption in report.assumptions:
            tell(f"assumed: {assumption}")
        if report.not_read:
            tell(f"not read: {kinds_not_read(report.not_read)}")
        if report.undeclared and format_name != "json":
            tell(summary_of(report.undeclared))
        write([FORMATS[format_name](report)])
    ctx.exit(FOUND if any(each.severity is Severity.ERROR for each in report.findings) else FINE)
