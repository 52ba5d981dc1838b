"""An error inside a rule, a decoder, a verdict or a writer of policies costs the object that met it, and
nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.scenarios import scenario as scenarios

from istio_netpol.analysis import findings_writer
from istio_netpol.analysis import flow_verdicts as judge_module
from istio_netpol.analysis.check import check, judge_of
from istio_netpol.analysis.generate import generate
from istio_netpol.analysis.needed_policies import upkeep
from istio_netpol.analysis.results import Report
from istio_netpol.cli.settings import Offline
from istio_netpol.flows.subjects import subjects_named
from istio_netpol.flows.table import FlowTable
from istio_netpol.istio import catalogue
from istio_netpol.istio.rule import Outcome, Rule
from istio_netpol.manifests import decode as decode_module
from istio_netpol.manifests.decode import DECODERS
from istio_netpol.manifests.load import Loaded, load
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.flows import RequiredFlow
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.settings import Settings
from istio_netpol.policy_lint import lint as lint_module
from istio_netpol.remedies import plan as plan_module
from istio_netpol.remedies import policy_writer
from istio_netpol.remedies.required_by import name_of
from istio_netpol.state.snapshot import Snapshot

SETTINGS = Settings(check_scrape=True, scrape_namespaces=("monitoring",))
BROKEN = "/etc/passwd \ud800 \x00 " * 100
"""What an error may quote: long, and nothing to send to a terminal or an API as it is."""


class BrokenError(Exception):
    """What is injected."""


@cache
def _documents(name: str) -> tuple[RawObject, ...]:
    paths = (Path(path) for path in scenarios.read(name).before)
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*.yaml")))]
    documents = (document for file in files for document in read_documents(file.read_bytes(), str(file)))
    return tuple(document for document in documents if isinstance(document, RawObject))


@cache
def _snapshot(name: str) -> Snapshot:
    return Snapshot.of(load(_documents(name)).objects)


@cache
def _intact(name: str) -> FlowTable:
    return FlowTable.of(_snapshot(name), SETTINGS)


def _subject(rule: Rule) -> tuple[str, ObjectRef]:
    """A scenario, and an object of it of which the rule asks something."""
    for name in scenarios.names():
        table = _intact(name)
        for key in table.needs:
            for subject in subjects_named(key, table.snapshot):
                if isinstance(subject, rule.subjects) and any(
                    isinstance(outcome, RequiredFlow) for outcome in rule.outcomes(subject, table.view)
                ):
                    return name, subject.ref
    raise AssertionError(f"no scenario for {rule.name}")


@pytest.mark.parametrize("rule", catalogue.CATALOGUE, ids=lambda rule: rule.name)
def test_a_rule_that_fails_costs_its_object_what_it_says(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    """All flows are there but those of this rule for this object; a finding names it."""
    name, victim = _subject(rule)

    def broken(subject: Any, view: Any) -> Iterator[Outcome]:
        if subject.ref.key == victim.key:
            raise BrokenError(BROKEN)
        yield from rule.outcomes(subject, view)

    by_type = {
        type_: tuple(
            replace(rule, outcomes=broken) if candidate is rule else candidate for candidate in rules
        )
        for type_, rules in catalogue._RULES_OF.items()
    }
    monkeypatch.setattr(catalogue, "_RULES_OF", by_type)
    table = FlowTable.of(_snapshot(name), SETTINGS)
    before = {flow.key for flow in _intact(name).flows()}
    after = {flow.key for flow in table.flows()}
    assert after <= before
    assert all(key[1] == victim.key for key in before - after)
    assert [finding.object for finding in table.failures.values()] == [victim]
    report = check(_snapshot(name), SETTINGS, Offline())
    _is_told(report, victim, f"rule {rule.name}")
    assert report.summary.flows == len(after)


@pytest.mark.parametrize("kind", sorted(DECODERS), ids=lambda kind: kind[1])
def test_a_decoder_that_fails_costs_its_object(
    kind: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything else is decoded and judged; a finding names the object."""
    name, victim = next(
        (name, raw)
        for name in scenarios.names()
        for raw in _documents(name)
        if (str(raw.content["apiVersion"]).rpartition("/")[0], raw.content["kind"]) == kind
    )
    decoder = DECODERS[kind]

    def broken(fields: Any, ref: ObjectRef) -> Iterator[Any]:
        yield from decoder(fields, ref)
        if fields.content is victim.content:
            raise BrokenError(BROKEN)

    monkeypatch.setitem(decode_module.DECODERS, kind, broken)
    loaded: Loaded = load(_documents(name))
    assert not loaded.problems
    others = {value.ref.key for value in _snapshot_values(_documents(name), victim)}
    assert {value.ref.key for value in loaded.objects} >= others
    report = check(Snapshot.of(loaded.objects), SETTINGS, Offline())
    told = [finding for finding in report.findings if finding.rule is Issue.NOT_JUDGED]
    assert [finding.object.name for finding in told] == [victim.content["metadata"]["name"]]
    _is_told(report, told[0].object, f"decoder of {kind[1]}")


def _snapshot_values(documents: tuple[RawObject, ...], left_out: RawObject) -> tuple[Any, ...]:
    return load(document for document in documents if document is not left_out).objects


def _failing_for(victim: RequiredFlow, whole: Callable[..., Any], touched: set[str]) -> Callable[..., Any]:
    """The function, which fails where the flow is among its arguments, or a policy for its object: for all
    that need the same policy, which `touched` collects."""

    def broken(*arguments: Any, **named: Any) -> Any:
        for argument in arguments:
            judged = getattr(argument, "judged", argument)
            flow = getattr(judged, "flow", judged)
            asking = {str(needer) for needer in getattr(argument, "names", ())}
            if (isinstance(flow, RequiredFlow) and flow.key == victim.key) or name_of(
                victim.object
            ) in asking:
                touched.update(asking)
                raise BrokenError(BROKEN)
        return whole(*arguments, **named)

    return broken


def _denied_of(name: str) -> tuple[Report, Finding]:
    report = check(_snapshot(name), SETTINGS, Offline())
    denied = [finding for finding in report.findings if finding.flow and finding.remedy]
    return report, denied[len(denied) // 2]


@pytest.mark.parametrize("name", ["sidecar-to-sidecar", "virtual-service", "jwks-in-cluster"])
@pytest.mark.parametrize(
    ("place", "function"),
    [
        (judge_module.FlowJudge, "_resolved"),
        (plan_module, "openings_of"),
        (findings_writer, "_denied_finding"),
        (policy_writer.PolicyWriter, "_add"),
        (policy_writer, "_policy"),
    ],
    ids=lambda part: part if isinstance(part, str) else None,
)
def test_what_fails_for_one_flow_costs_that_flow(
    name: str, place: Any, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All other findings and policies are what they were; a finding names the object of the flow; and nobody
    takes its policies for unneeded."""
    intact, victim = _denied_of(name)
    policies = {policy.key for policy in generate(_snapshot(name), SETTINGS, Offline())}
    assert victim.flow is not None
    touched = {name_of(victim.object)}
    monkeypatch.setattr(place, function, _failing_for(victim.flow, getattr(place, function), touched))
    report = check(_snapshot(name), SETTINGS, Offline())
    assert _beside(report, touched) == _beside(intact, touched)
    assert any(
        finding.object.key == victim.object.key and "inside istio-netpol" in finding.message
        for finding in report.findings
    )
    left = {policy.key for policy in generate(_snapshot(name), SETTINGS, Offline())}
    theirs = {
        policy.key
        for finding in intact.findings
        for policy in finding.remedy
        if name_of(finding.object) in touched
    }
    assert policies - left <= theirs
    table = FlowTable.of(_snapshot(name), SETTINGS)
    needed = upkeep(table, judge_of(table, Offline()), lambda _: True)
    if place is not findings_writer:
        assert name_of(victim.object) in needed.uncertain


def test_a_lint_that_fails_costs_its_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is odd about other policies is told."""
    name = "in-pod-ports"
    victim = next(iter(_snapshot(name).every(NetworkPolicy)))
    intact = check(_snapshot(name), SETTINGS, Offline())
    whole = lint_module._of_policy

    def broken(policy: NetworkPolicy, *others: Any) -> Iterator[Finding]:
        if policy is victim:
            raise BrokenError(BROKEN)
        yield from whole(policy, *others)

    monkeypatch.setattr(lint_module, "_of_policy", broken)
    report = check(_snapshot(name), SETTINGS, Offline())
    _is_told(report, victim.ref, "lint")
    others = [_said(finding) for finding in intact.findings if finding.object != victim.ref]
    assert [_said(finding) for finding in report.findings if finding.object != victim.ref] == others


def _beside(report: Report, objects: set[str]) -> list[tuple[Any, ...]]:
    return [_said(finding) for finding in report.findings if name_of(finding.object) not in objects]


def _said(finding: Finding) -> tuple[Any, ...]:
    return (finding.rule, finding.object.key, finding.message, tuple(policy.key for policy in finding.remedy))


def _is_told(report: Report, victim: ObjectRef, step: str) -> None:
    """One finding, an error, says in one printable line what failed and for which object."""
    (told,) = (finding for finding in report.findings if finding.rule is Issue.NOT_JUDGED)
    assert told.severity is Severity.ERROR
    assert told.object.key == victim.key
    assert step in told.message
    assert told.message.startswith(f"{told.object}: could not be judged: an error inside istio-netpol (")
    assert told.message.isprintable()
    assert told.message.isascii()
    assert len(told.message) < 512
    assert told.failure is not None
    assert "broken" in told.failure.place
