"""However much one object asks for, what it costs has a bound, and what was not judged is told."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from benchmarks.decisions import ReadOnlyStore
from benchmarks.one_object import HEAVY, TENANT, Heavy, neighbours
from benchmarks.reviews import create
from msgspec.structs import replace

from istio_netpol.admission.decision import Decision
from istio_netpol.cli.settings import Offline
from istio_netpol.flows.needs import Needs
from istio_netpol.flows.table import FlowTable
from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.load import load
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.findings import Finding
from istio_netpol.model.settings import AdmissionSettings, LimitSettings, Mode, Settings
from istio_netpol.server.reviewer import Reviewer
from istio_netpol.state.snapshot import Snapshot

LIMITS = LimitSettings(flows_per_object=400, findings_per_object=40, lookups_per_object=20_000)
"""Smaller ones than the defaults, so that the tests are quick."""

OVER = frozenset(
    {
        "VirtualService with 10,000 routes to nowhere",
        "ServiceEntry with 5,000 endpoints",
        "ServiceEntry with 256 hosts and 256 ports",
        "ServiceEntry with 20,000 addresses",
        "ServiceEntry with 60,000 scattered addresses",
        "Gateway with 12,000 servers",
        "Deployment with 12,000 calls",
        "AuthorizationPolicy with 1,000 ipBlocks",
        "AuthorizationPolicy with 150 ports",
        "AuthorizationPolicy with 10,000 operations",
        "AuthorizationPolicy with 40,000 namespaces",
        "Gateway API Gateway with 5,000 listeners",
        "RequestAuthentication with 2,000 rules",
        "Sidecar with 10,000 hosts",
    }
)
"""What asks for more than one object may; the others ask for the same thing many times, or for nothing."""


def _settings(mode: Mode) -> Settings:
    return Settings(admission=AdmissionSettings(default_mode=mode), limits=LIMITS)


@cache
def _table(mode: Mode) -> FlowTable:
    text = "---\n".join(f"{document}\n" for document in neighbours(str(mode))).encode()
    return FlowTable.of(Snapshot.of(load(read_documents(text, "x.yaml")).objects), _settings(mode)).indexed()


def _key(manifest: dict[str, Any]) -> tuple[str, str, str, str]:
    metadata = manifest["metadata"]
    group = str(manifest["apiVersion"]).rpartition("/")[0]
    return (group, manifest["kind"], metadata.get("namespace", ""), metadata["name"])


def _taken(heavy: Heavy) -> tuple[FlowTable, Needs]:
    manifest = heavy.manifest()
    values, problems = decode(RawObject(manifest, "", 0))
    assert not problems
    table = _table(Mode.WARN).with_changes(values)
    return table, table.needs.get(_key(manifest), Needs())


def _reviewed(heavy: Heavy, mode: Mode, *, mutating: bool = False) -> Decision:
    reviewer = Reviewer(ReadOnlyStore(), Offline())
    reviewer.take(_table(mode))
    decision = reviewer.review(create(heavy.manifest()), mutating=mutating).decision
    assert decision is not None
    return decision


def _told(needs: Needs) -> list[Finding]:
    return [finding for finding in needs.findings if finding.asks_too_much]


@pytest.mark.parametrize("heavy", HEAVY, ids=lambda heavy: heavy.name)
def test_what_is_taken_from_one_object_is_bounded(heavy: Heavy) -> None:
    """Its flows, findings and the names that it looked up; what goes beyond is one finding, which names the
    limit. Nobody else's needs change but those of what it selects or calls."""
    table, needs = _taken(heavy)
    rules = 4
    assert len(needs.flows) <= LIMITS.flows_per_object * rules
    assert len(needs.findings) <= (LIMITS.findings_per_object + 2) * rules
    assert len(needs.reads) <= LIMITS.lookups_per_object * rules
    told = _told(needs)
    assert bool(told) == (heavy.name in OVER)
    for finding in told:
        assert "the rest is not judged, and nothing is opened for it" in finding.message
        assert "limits." in finding.message
    others = {key: need for key, need in table.needs.items() if need.findings and key[2] != TENANT}
    assert not [key for key, other in others.items() if _told(other)]


@pytest.mark.parametrize("heavy", HEAVY, ids=lambda heavy: heavy.name)
@pytest.mark.parametrize("mode", [Mode.REJECT, Mode.AUGMENT, Mode.WARN])
def test_the_answer_follows_the_mode(heavy: Heavy, mode: Mode) -> None:
    """Modes reject and augment refuse what asks for too much, in a sentence that names the limit, and write
    nothing for it; mode warn admits it with that sentence."""
    decision = _reviewed(heavy, mode)
    if heavy.name not in OVER:
        assert "limits." not in decision.message
        return
    if mode is Mode.WARN:
        assert decision.allowed
        assert any("as many as limits." in warning for warning in decision.warnings)
        return
    assert not decision.allowed
    assert "is refused: it asks for more than one object may." in decision.message
    assert "limits." in decision.message
    assert {cause.rule for cause in decision.causes} == {"not-judged"}
    if mode is Mode.AUGMENT:
        assert _reviewed(heavy, mode, mutating=True).write == ()


def test_an_object_at_the_limit_is_judged_whole() -> None:
    """The limit is the last number that is taken."""
    heavy = next(example for example in HEAVY if example.name == "AuthorizationPolicy with 1,000 ipBlocks")
    manifest = heavy.manifest()
    blocks = manifest["spec"]["rules"][0]["from"]
    for count, is_told in ((6, False), (7, True)):
        manifest["spec"]["rules"][0]["from"] = blocks[:count]
        values, _ = decode(RawObject(manifest, "", 0))
        limits = replace(LIMITS, flows_per_object=60 * 6)
        table = FlowTable.of(_table(Mode.WARN).stored, replace(_settings(Mode.WARN), limits=limits))
        needs = table.with_changes(values).needs[_key(manifest)]
        assert len(needs.flows) == 60 * 6
        assert bool(_told(needs)) == is_told


def test_findings_beyond_the_limit_are_counted() -> None:
    """Many destinations that are not there yet are no reason to refuse an object."""
    hosts = [f"*/h-{number}.example.com" for number in range(100)]
    manifest = next(
        heavy_object for heavy_object in HEAVY if heavy_object.name == "Sidecar with 10,000 hosts"
    ).manifest()
    manifest["spec"]["egress"] = [{"hosts": hosts}]
    values, _ = decode(RawObject(manifest, "", 0))
    needs = _table(Mode.WARN).with_changes(values).needs[_key(manifest)]
    assert not _told(needs)
    assert len(needs.findings) == LIMITS.findings_per_object + 1
    assert "60 more findings like these are not listed" in needs.findings[-1].message
