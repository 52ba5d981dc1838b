"""SARIF is valid, and points to the right lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from msgspec.structs import replace
from tests.report.results import (
    CLIENTS_DENIED,
    GATEWAY_DENIED,
    JWT,
    KEYS_DENIED,
    NOTHING,
    REPORT,
    TO_KEYS,
    VIRTUAL_SERVICE,
    to_keys,
)

from istio_netpol.analysis.results import Report, Summary
from istio_netpol.model.findings import Finding, Issue
from istio_netpol.model.flows import FlowKind
from istio_netpol.report.identity import fingerprint
from istio_netpol.report.rules import TITLES, RulePages
from istio_netpol.report.sarif import sarif

RULES = Path(__file__).parents[2] / "docs" / "rules"
SCHEMA = json.loads((Path(__file__).parent / "sarif-2.1.0-subset.schema.json").read_text())


def run_of(report: Report) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(sarif(report))
    (run,) = document["runs"]
    return dict(run)


def location(finding: Finding) -> dict[str, Any]:
    (result,) = run_of(Report((finding,), Summary()))["results"]
    (found,) = result["locations"]
    return dict(found)


@pytest.mark.parametrize("report", [REPORT, NOTHING], ids=["findings", "clean"])
def test_the_document_is_valid(report: Report) -> None:
    """It satisfies the SARIF 2.1.0 schema of the objects in it; other properties are errors."""
    checker = jsonschema.Draft7Validator.FORMAT_CHECKER
    validator = jsonschema.Draft7Validator(SCHEMA, format_checker=checker)
    assert [error.message for error in validator.iter_errors(json.loads(sarif(report)))] == []


def test_rules_and_results_agree() -> None:
    """`ruleIndex` of each result is the position of its rule."""
    run = run_of(REPORT)
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert [rules[result["ruleIndex"]] for result in run["results"]] == [
        str(finding.rule) for finding in REPORT.findings
    ]


def test_severities_are_levels() -> None:
    """Errors, warnings and notes are SARIF's three levels."""
    assert [result["level"] for result in run_of(REPORT)["results"]] == [
        {"error": "error", "warning": "warning", "info": "note"}[finding.severity]
        for finding in REPORT.findings
    ]


def test_a_relative_file_is_a_relative_reference() -> None:
    """Code scanning resolves it against the repository; spaces are escaped."""
    assert location(GATEWAY_DENIED)["physicalLocation"] == {
        "artifactLocation": {"uri": "manifests/my%20shop.yaml"},
        "region": {"startLine": 12},
    }


def test_a_name_with_a_colon_is_no_scheme() -> None:
    """`a:b.yaml` would read as a URI of the scheme `a`."""
    finding = replace(GATEWAY_DENIED, object=replace(VIRTUAL_SERVICE, file="a:b.yaml"))
    assert location(finding)["physicalLocation"]["artifactLocation"] == {"uri": "a%3Ab.yaml"}


def test_an_absolute_file_is_a_file_uri() -> None:
    """A path from the root needs a scheme."""
    assert location(KEYS_DENIED)["physicalLocation"]["artifactLocation"] == {"uri": "file:///srv/jwt.yaml"}


def test_standard_input_is_no_artifact() -> None:
    """What came through a pipe has a logical location only."""
    assert location(CLIENTS_DENIED) == {
        "logicalLocations": [{"fullyQualifiedName": "Deployment shop/cart", "kind": "resource"}]
    }


def test_a_finding_without_a_line_has_no_region() -> None:
    """Lines count from 1, and overlays have none."""
    finding = replace(GATEWAY_DENIED, object=replace(VIRTUAL_SERVICE, line=0))
    assert "region" not in location(finding)["physicalLocation"]


def test_a_fingerprint_survives_moved_lines_and_new_addresses() -> None:
    """Else every rotation of an address would close one alert and open another."""
    moved = to_keys(replace(JWT, file="other.yaml", line=99), TO_KEYS, "198.51.100.9")
    assert fingerprint(moved) == fingerprint(KEYS_DENIED)


def test_fingerprints_tell_findings_apart() -> None:
    """No two findings of a report are the same alert."""
    assert len({fingerprint(finding) for finding in REPORT.findings}) == len(REPORT.findings)


@pytest.mark.parametrize("rule", [*FlowKind, *Issue])
def test_the_title_is_that_of_the_rules_page(rule: FlowKind | Issue) -> None:
    """Title and page can't drift apart."""
    assert RULES.joinpath(f"{rule}.md").read_text().split("\n")[2] == TITLES[rule]


def test_a_rule_has_its_page_as_help() -> None:
    """Code scanning shows it beside the alert, without any address that would have to exist."""
    page = (RULES / "gateway-to-workload.md").read_text()
    pages = RulePages({FlowKind.GATEWAY_TO_WORKLOAD: page})
    document = json.loads(sarif(Report((GATEWAY_DENIED,), Summary()), pages))
    (rule,) = document["runs"][0]["tool"]["driver"]["rules"]
    assert rule["help"]["markdown"] == page
    assert rule["help"]["text"].startswith("gateway-to-workload\n\nA gateway needs the workloads")
    assert "```" not in rule["help"]["text"]
    assert "helpUri" not in rule
    assert [error.message for error in jsonschema.Draft7Validator(SCHEMA).iter_errors(document)] == []


@pytest.mark.parametrize("published", ["https://docs.example.com/rules", "https://docs.example.com/rules/"])
def test_a_rule_points_to_where_the_pages_are_published(published: str) -> None:
    """Only if somebody says where."""
    document = json.loads(sarif(REPORT, RulePages(published=published)))
    addresses = {rule["helpUri"] for rule in document["runs"][0]["tool"]["driver"]["rules"]}
    assert "https://docs.example.com/rules/istiod-to-jwks" in addresses
