"""`python -m benchmarks.corpus FOLDER…`: what every command says of many projects, and whether it holds.

A folder without folders is a project; of one with folders, each of these is one, and each manifest beside
them. For every project this reads the input as a user's command does, checks it, applies what `generate`
prints, checks again, and compares what is allowed before and after. Whoever changes a rule sees on thousands
of real manifests what that does, without looking at each.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.beyond_required import beyond_required
from istio_netpol.analysis.check import check
from istio_netpol.analysis.diff import diff
from istio_netpol.analysis.generate import generate
from istio_netpol.cli.inputs import Input, ReadOptions, read_inputs
from istio_netpol.cli.settings import Offline, helm_from_environment, kustomize_from_environment
from istio_netpol.errors import NetpolError
from istio_netpol.model.findings import Issue, Severity
from istio_netpol.model.flows import FlowKind
from istio_netpol.model.settings import Settings

SETTINGS = Settings()
MANIFESTS = frozenset({".yaml", ".yml", ".json"})
REFUSALS = frozenset({Issue.ADDRESS_REFUSED, Issue.JWKS_HOST_REFUSED})
"""What is said of a flow that nothing may open."""


@dataclass(slots=True)
class Outcome:
    """What came of one project.

    `crash` is a traceback and `refusal` the reason why the input can't be used; both are empty otherwise.
    `left` are denied flows that generated policies should have opened, `unmendable` counts those of which the
    report says why no policy opens them. `lost` are connections that the policies cut, required ones among
    them; `beyond` those that they open though nothing needs them.
    """

    name: str
    crash: str = ""
    refusal: str = ""
    objects: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    policies: int = 0
    left: list[str] = field(default_factory=list)
    unmendable: int = 0
    lost: list[str] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong with us: a refusal may be right."""
        return not (self.crash or self.left or self.lost or self.beyond)


def projects_in(folders: Iterable[Path]) -> Iterator[Path]:
    """The projects of these folders, in order."""
    for folder in folders:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
        if not any(entry.is_dir() for entry in entries):
            yield folder
            continue
        yield from (entry for entry in entries if entry.is_dir() or entry.suffix in MANIFESTS)


def outcome_of(project: Path) -> Outcome:
    """What the commands make of a project. Never raises: a crash is an outcome."""
    outcome = Outcome(str(project))
    try:
        reading = ReadOptions(kustomize_from_environment(), helm_from_environment())
        for given in read_inputs([str(project)], reading):
            _judge(given, outcome)
    except NetpolError as error:
        outcome.refusal = str(error)
    except Exception:
        outcome.crash = traceback.format_exc()
    return outcome


def _judge(given: Input, outcome: Outcome) -> None:
    before, hosts = given.snapshot, Offline()
    report = check(before, SETTINGS, hosts, given.skipped)
    policies = generate(before, SETTINGS, hosts)
    after = before.with_changes(put=policies)
    outcome.objects += before.object_count
    outcome.rules.update(str(finding.rule) for finding in report.findings)
    outcome.policies += len(policies)
    findings = check(after, SETTINGS, hosts).findings
    refused = {finding.object.key for finding in findings if finding.rule in REFUSALS}
    for finding in findings:
        if finding.severity is Severity.ERROR and isinstance(finding.rule, FlowKind):
            if "; no policy can allow its " in finding.message or finding.object.key in refused:
                outcome.unmendable += 1
            else:
                outcome.left.append(finding.message)
    difference = diff(before, after, SETTINGS, hosts)
    outcome.lost += [f"{connection.source} -> {connection.destination}" for connection in difference.lost]
    outcome.lost += [finding.message for finding in difference.flows_lost]
    outcome.beyond += beyond_required(difference.gained, before, SETTINGS)


def table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The figures, a line for each project that is not clean, and the sum of all."""
    for outcome in outcomes:
        if outcome.crash:
            yield f"crash    {outcome.name}: {outcome.crash.strip().splitlines()[-1]}"
        if outcome.refusal:
            first, *more = outcome.refusal.splitlines()
            yield f"refused  {outcome.name}: {first}" + (f" (and {len(more)} more)" if more else "")
        for title, sentences in (("left", outcome.left), ("lost", outcome.lost), ("beyond", outcome.beyond)):
            for sentence in sentences:
                yield f"{title:<8} {outcome.name}: {sentence}"
    rules = sum((outcome.rules for outcome in outcomes), Counter[str]())
    yield from (f"finding  {rule:<24} {count:>7}" for rule, count in sorted(rules.items()))
    yield from (f"{title:<33} {count:>7}" for title, count in figures(outcomes).items())


def figures(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """The sums over all projects."""

    def total(count: Callable[[Outcome], int]) -> int:
        return sum(map(count, outcomes))

    return {
        "projects": len(outcomes),
        "objects": total(lambda outcome: outcome.objects),
        "policies generated": total(lambda outcome: outcome.policies),
        "crashes": total(lambda outcome: bool(outcome.crash)),
        "refusals": total(lambda outcome: bool(outcome.refusal)),
        "errors left": total(lambda outcome: len(outcome.left)),
        "errors that no policy can mend": total(lambda outcome: outcome.unmendable),
        "connections lost": total(lambda outcome: len(outcome.lost)),
        "connections opened beyond need": total(lambda outcome: len(outcome.beyond)),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table; 1 where something does not hold."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.corpus",
        description="Judges many projects, applies what `generate` prints, and judges again.",
    )
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="a project, or a folder of such"
    )
    found = [outcome_of(project) for project in projects_in(parser.parse_args(arguments).folders)]
    for line in table(found):
        print(line)
    return 0 if all(outcome.holds for outcome in found) else 1


if __name__ == "__main__":
    sys.exit(main())
