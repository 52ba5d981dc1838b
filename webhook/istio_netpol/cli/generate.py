"""`istio-netpol generate`: the policies that are missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from istio_netpol.analysis.assumed_pods import is_assumed_denial
from istio_netpol.analysis.check import check
from istio_netpol.analysis.results import Report
from istio_netpol.cli.command import Command
from istio_netpol.cli.one_input import missing_policies
from istio_netpol.cli.opened_input import open_input
from istio_netpol.cli.options import (
    InputArguments,
    assume_deny_all_option,
    input_options,
    output_folder_option,
    proposals_option,
    resolution_options,
    tight_option,
)
from istio_netpol.cli.program import UNUSABLE, examples
from istio_netpol.cli.settings import resolver
from istio_netpol.cli.streams import tell, write
from istio_netpol.manifests.encode import to_yaml
from istio_netpol.model.findings import Issue, Severity
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.printable import visible
from istio_netpol.remedies.ahead import Ahead
from istio_netpol.report.remarks import undeclared_summary
from istio_netpol.state.snapshot import Snapshot


@click.command(
    cls=Command,
    epilog=examples(
        "istio-netpol generate shop.yaml",
        "istio-netpol generate manifests/ -o policies/",
        "istio-netpol generate manifests/ --assume-deny-all --per-namespace",
        "istio-netpol generate shop.yaml | kubectl apply -f -",
    ),
)
@input_options()
@output_folder_option("Write a file for each policy into this folder, instead of standard output.")
@tight_option()
@assume_deny_all_option()
@proposals_option()
@resolution_options()
@click.pass_context
def generate(
    ctx: click.Context,
    *,
    arguments: InputArguments,
    folder: Path | None,
    tight: bool,
    assume_deny_all: bool,
    proposals: bool,
    addresses: Sequence[tuple[str, tuple[str, ...]]],
    offline: bool,
) -> None:
    """Write the NetworkPolicies that are missing, as YAML.

    The same input gives the same bytes. What no policy can allow is told on standard error. Files in DIR that
    istio-netpol did not write are never written over. Of several overlays in a folder, each has its own
    policies: under its name, or in a folder of DIR that is called like it.

    Exit code: 0, or 2 for unusable input or arguments and where a file can't be written.
    """
    opened = open_input(arguments, addresses)
    settings = opened.settings
    hosts = resolver(offline, settings)
    refused: list[str] = []
    printed: list[str] = []
    for given in opened.read():
        given.tell()
        snapshot = given.judged(assume_deny_all=assume_deny_all)
        missing = missing_policies(
            given,
            settings,
            hosts,
            assume_deny_all=assume_deny_all,
            proposals=proposals,
            per_namespace=not tight,
        )
        policies = tuple(filter(given.focus.concerns_policy, missing.policies))
        if folder is not None:
            refused += _write_files(policies, given.folder_below(folder), snapshot)
        elif policies:
            printed.append(_document(policies, given.name))
        else:
            tell(f"{given.name}: no policy is missing" if given.name else "no policy is missing")
        for sentence in _order(missing, policies):
            tell(sentence)
        report = check(snapshot.with_changes(put=missing.policies), settings, hosts, focus=given.focus)
        _tell_what_is_left(report, assume_deny_all=assume_deny_all)
    if printed:
        write(["---\n".join(printed)])
    if refused:
        ctx.exit(UNUSABLE)


def _document(policies: Sequence[NetworkPolicy], name: str) -> str:
    """The policies of an input as YAML, under the name that it has among several."""
    return f"# {visible(name)}\n{to_yaml(policies)}" if name else to_yaml(policies)


def _write_files(policies: Sequence[NetworkPolicy], folder: Path, snapshot: Snapshot) -> list[str]:
    """Writes the files and tells what it did; returns why some could not be written."""
    # Only -o needs it, and the log of its store takes 80 ms to import.
    from istio_netpol.cli.policy_files import left_behind, write_files  # noqa: PLC0415

    written, refused = write_files(policies, folder)
    tell(f"wrote {written} {'policy' if written == 1 else 'policies'} to {folder}")
    for sentence in dict.fromkeys(refused):
        tell(f"not written: {sentence}")
    for file in left_behind(policies, folder, snapshot):
        tell(f"not needed any more: {file}, written by an earlier run; delete it")
    return refused


def _order(missing: Ahead, policies: Sequence[NetworkPolicy]) -> Iterator[str]:
    """How to apply policies for pods that nothing isolates yet; `policies` are those that are written."""
    if not any(policy.key in missing.isolating for policy in policies):
        return
    yield (
        "apply these policies before the deny-all, which comes last: each allows at once all that its pods "
        "need; whatever else they do is cut from then on"
    )
    last = [policy.key for policy in missing.last if policy in policies]
    if last:
        yield (
            "keep the order: these select pods that have a policy of their own, and come after all others, "
            f"in this order: {', '.join(last)}"
        )


def _tell_what_is_left(report: Report, *, assume_deny_all: bool) -> None:
    """Says what the generated policies leave as it is; `report` is that with them in place."""
    for sentence in _left_over(report):
        tell(f"not covered: {sentence}")
    if assume_deny_all and report.undeclared:
        tell(undeclared_summary(report.undeclared, "`istio-netpol check --assume-deny-all` lists"))


def _left_over(report: Report) -> Iterator[str]:
    """What is denied, or could not be judged, with the generated policies in place."""
    open_questions = (
        Issue.JWKS_UNRESOLVABLE,
        Issue.HOST_UNRESOLVABLE,
        Issue.UNKNOWN_DESTINATION,
        Issue.CONSENT_MISSING,
    )
    callers: dict[str, list[str]] = {}
    for finding in report.findings:
        is_open = finding.rule in open_questions or is_assumed_denial(finding)
        if finding.severity is Severity.ERROR or is_open:
            # What an object needs for several workloads reads the same for each of them.
            named = callers.setdefault(finding.message, [])
            source = str(finding.flow.source) if finding.flow and finding.rule not in open_questions else ""
            named += [source] if source not in finding.message else []
    for message, sources in callers.items():
        yield f"{message} (from {', '.join(dict.fromkeys(sources))})" if sources else message
