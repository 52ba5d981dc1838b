"""Whoever adds a rule also explains it, shows it in a scenario, and has its objects decoded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.docs.transcripts import ROOT
from tests.scenarios import scenario as scenarios

from istio_netpol.flows.table import FlowTable, subjects_in
from istio_netpol.istio.catalogue import CATALOGUE
from istio_netpol.manifests.decode import DECODERS
from istio_netpol.manifests.load import load
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.findings import Issue
from istio_netpol.model.flows import FlowKind, RequiredFlow
from istio_netpol.model.settings import Settings
from istio_netpol.state.snapshot import CLUSTER_SCOPE, Snapshot

PAGES = ROOT / "docs" / "rules"
IDS = sorted(str(rule) for rule in (*FlowKind, *Issue))
SECTIONS = ["Symptom", "Why", "Example", "Remedy", "Sources"]


@pytest.mark.parametrize("rule", IDS)
def test_every_rule_has_a_page(rule: str) -> None:
    """The page that a finding links to explains symptom, why, example and remedy, and cites its sources."""
    text = (PAGES / f"{rule}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {rule}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS


def test_the_index_lists_every_page() -> None:
    """No rule is missing from docs/rules/README.md, and none is there that does not exist."""
    listed = re.findall(r"^\| \[([a-z-]+)\]\(\1\.md\)", (PAGES / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == IDS
    assert sorted(page.stem for page in PAGES.glob("*.md") if page.name != "README.md") == IDS


@pytest.mark.parametrize("rule", IDS)
def test_every_rule_is_found_in_a_scenario(rule: str) -> None:
    """Some folder of tests/scenarios shows what the rule finds."""
    shown = {
        finding["rule"]
        for name in scenarios.names()
        for finding in yaml.safe_load((scenarios.FOLDER / name / "findings.yaml").read_text()) or ()
    }
    # A change causes an impact, a state does not: it shows where a scenario's change is reviewed. An error of
    # our own is shown by injecting one: tests/analysis/test_contained_failures.py. What no API server takes
    # is in no cluster, but in files: tests/cli/test_repositories.py.
    # What is accepted counts in reports alone: tests/cli/test_acceptances.py.
    # What an overlay cuts, and what of it a cluster refuses, is told by its proof:
    # tests/cli/test_bundle_cluster.py and tests/bundle/test_on_a_cluster.py.
    # In which order it is applied shows there as well: tests/bundle/test_mutations.py.
    elsewhere = {
        Issue.IMPACT,
        Issue.NOT_JUDGED,
        Issue.REMOVED_API,
        Issue.ACCEPTANCE,
        Issue.POLICY_REFUSED,
        Issue.UNCOVERED_WORKLOAD,
        Issue.APPLY_ORDER,
    }
    assert rule in shown | elsewhere


def test_every_row_of_the_catalogue_is_at_work_in_a_scenario() -> None:
    """Each rule derives a flow from objects that were decoded from a scenario's manifests."""
    working: set[str] = set()
    for name in scenarios.names():
        table = FlowTable.of(_snapshot(scenarios.read(name).before), Settings(check_scrape=True))
        working |= _working(table)
    assert {rule.name for rule in CATALOGUE} <= working


def test_every_kind_that_is_decoded_occurs_in_a_scenario() -> None:
    """No decoder is without a manifest that a person would write."""
    read = {
        (str(raw.content["apiVersion"]).rpartition("/")[0], raw.content["kind"])
        for file in scenarios.FOLDER.rglob("*.yaml")
        if file.parent.name in ("before", "policies") or file.parent.name.startswith("_")
        for raw in read_documents(file.read_bytes(), str(file))
        if isinstance(raw, RawObject)
    }
    assert set(DECODERS) - read == set()


def _working(table: FlowTable) -> set[str]:
    snapshot = table.snapshot
    return {
        rule.name
        for name in (*snapshot.namespace_names, CLUSTER_SCOPE)
        for subject in subjects_in(snapshot, name)
        for rule in CATALOGUE
        if isinstance(subject, rule.subjects)
        and any(isinstance(outcome, RequiredFlow) for outcome in rule.outcomes(subject, table.view))
    }


def _snapshot(paths: tuple[str, ...]) -> Snapshot:
    files = [file for path in paths for file in _files(Path(path))]
    documents = (document for file in files for document in read_documents(file.read_bytes(), str(file)))
    return Snapshot.of(load(documents, "default").objects)


def _files(path: Path) -> Iterator[Path]:
    yield from [path] if path.is_file() else sorted(path.rglob("*.yaml"))
