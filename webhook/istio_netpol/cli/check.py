"""`istio-netpol check`: the required flows that are denied."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from istio_netpol.analysis.focus import WHOLE
from istio_netpol.analysis.results import Report
from istio_netpol.cli.baseline_file import read_baseline, write_baseline
from istio_netpol.cli.command import Command
from istio_netpol.cli.finding_options import baseline_options, fail_on_option, is_at_least, selection_options
from istio_netpol.cli.one_input import checked
from istio_netpol.cli.opened_input import open_input
from istio_netpol.cli.options import (
    InputArguments,
    assume_deny_all_option,
    format_option,
    input_options,
    proposals_option,
    resolution_options,
)
from istio_netpol.cli.program import FINE, FOUND, examples
from istio_netpol.cli.rule import all_pages
from istio_netpol.cli.settings import resolver
from istio_netpol.cli.streams import tell, write
from istio_netpol.cli.terminal import palette
from istio_netpol.cli.typed_again import command_line_for
from istio_netpol.model.findings import Finding, RuleId
from istio_netpol.report.baseline import Baseline
from istio_netpol.report.overview import overview
from istio_netpol.report.places import counts, in_words, plural
from istio_netpol.report.remarks import not_counted_sentences, undeclared_summary
from istio_netpol.report.table import document
from istio_netpol.report.text import kinds_not_read


@click.command(
    cls=Command,
    epilog=examples(
        "istio-netpol check shop.yaml",
        "istio-netpol check manifests/ --assume-deny-all",
        "istio-netpol check manifests/ --address keys.example.com=192.0.2.7,192.0.2.8",
        "istio-netpol check manifests/ --rule dns --rule proxy-to-istiod --all",
        "istio-netpol check manifests/ --severity warning --fail-on warning",
        "istio-netpol check overlays/prod -f github",
        "istio-netpol check -n shop",
        "istio-netpol check deploy/cart -n shop",
        "istio-netpol check manifests/ deploy/cart",
        "istio-netpol check shop.yaml --context prod",
        "istio-netpol check . --exclude charts/ --exclude '*-values.yaml'",
        "helm template cart charts/cart -n shop | istio-netpol check - -n shop",
        "kubectl get all,netpol,ns,istio-io -A -o yaml | istio-netpol check - -f sarif > netpol.sarif",
    ),
)
@input_options()
@format_option("check")
@selection_options()
@fail_on_option()
@baseline_options()
@assume_deny_all_option()
@proposals_option()
@resolution_options()
@click.pass_context
def check(
    ctx: click.Context,
    *,
    arguments: InputArguments,
    format_name: str,
    rules: Sequence[RuleId],
    severity: str,
    in_full: bool,
    fail_on: str,
    baseline_file: Path | None,
    update_baseline: bool,
    assume_deny_all: bool,
    proposals: bool,
    addresses: Sequence[tuple[str, tuple[str, ...]]],
    offline: bool,
) -> None:
    """Find the connections that Istio and Kyma need and NetworkPolicies deny.

    PATH is a file, a folder, an overlay (a folder with a kustomization.yaml), a Helm chart or - for standard
    input; without one, the cluster of the current context is read. KIND/NAME, such as deploy/cart, names an
    object to report on. Of a folder with several overlays, each that no other includes is judged on its own.

    The text groups findings by their cause on one screen; --all shows each with its remedy, and
    `istio-netpol rule ID` explains a rule. docs/schemas/report.schema.json describes the JSON.

    Exit code: 1 with findings of the severity of --fail-on or worse, 0 without, 2 for unusable input or
    arguments.
    """
    _require_all_findings(update_baseline, baseline_file, rules)
    opened = open_input(arguments, addresses)
    settings, today = opened.settings, datetime.now(UTC).date()
    known = read_baseline(baseline_file) if baseline_file and not update_baseline else None
    hosts = resolver(offline, settings)
    parts = []
    inputs = opened.read()
    is_whole = all(given.focus is WHOLE for given in inputs)
    for given in inputs:
        found = checked(given, settings, hosts, today, assume_deny_all=assume_deny_all, proposals=proposals)
        parts.append((given.name, found))
    report = Report.of_inputs(parts)
    if update_baseline and baseline_file:
        known = _updated(baseline_file, report, is_whole)
    if rules:
        report = report.filtered(lambda finding: finding.rule in rules)
        known = known.of_rules(rules) if known else None
    if known:
        report = known.compared(report, str(baseline_file), in_full=is_whole)
    shown = report.filtered(lambda finding: is_at_least(finding.severity, severity))
    if format_name != "text":
        _tell_what_is_not_in(shown, format_name)
    if format_name == "text" and not in_full:
        write([overview(shown, palette(), command_line_for(ctx, "generate"))])
    else:
        pages = all_pages(settings.rule_pages)
        write([document("check", format_name, shown, palette=palette(), pages=pages)])
    failing = [finding for finding in report.findings if is_at_least(finding.severity, fail_on)]
    _tell_what_is_hidden(failing, shown)
    ctx.exit(FOUND if failing else FINE)


def _require_all_findings(update_baseline: bool, file: Path | None, rules: Sequence[RuleId]) -> None:
    """Refuses to write a baseline of a part of the findings, which would call all others new."""
    if not update_baseline:
        return
    if file is None:
        raise click.UsageError("--update-baseline writes the file of --baseline; name one")
    if rules:
        raise click.UsageError("a baseline has the findings of all rules; leave out --rule")


def _updated(file: Path, report: Report, is_whole: bool) -> Baseline:
    """Writes the baseline of all that a report has found, and says so."""
    if not is_whole:
        raise click.UsageError(
            "a baseline has the findings of the whole input; name no objects, and take all namespaces of a "
            "cluster (-A)"
        )
    baseline = Baseline.of(report)
    write_baseline(file, baseline)
    tell(
        f"wrote {plural(baseline.entries.total(), 'finding')} to {file}; from now on only what is new counts"
    )
    return baseline


def _tell_what_is_not_in(report: Report, format_name: str) -> None:
    """Says on standard error what the text says itself."""
    if format_name != "json":
        for sentence in not_counted_sentences(report):
            tell(sentence)
    for assumption in report.assumptions:
        tell(f"assumed: {assumption}")
    if report.not_read:
        tell(f"not read: {kinds_not_read(report.not_read)}")
    if report.undeclared and format_name != "json":
        tell(undeclared_summary(report.undeclared))


def _tell_what_is_hidden(failing: Sequence[Finding], shown: Report) -> None:
    """Says why a check fails of which `--severity` hides the reason."""
    hidden = set(failing) - set(shown.findings)
    if hidden:
        tell(f"fails because of {in_words(counts(hidden))} that --severity hides")
