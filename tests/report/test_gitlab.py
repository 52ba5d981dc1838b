"""GitLab's code quality report has the fields that GitLab documents."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
from msgspec.structs import replace
from tests.report.results import CLIENTS_DENIED, GATEWAY_DENIED, KEYS_DENIED, NOTHING, REPORT, VIRTUAL_SERVICE

from istio_netpol.analysis.results import Report, Summary
from istio_netpol.report.gitlab import gitlab

SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "additionalProperties": False,
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "minLength": 1, "not": {"pattern": "^\\./"}},
                    "lines": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}
"""docs.gitlab.com, "Code Quality": "Code Quality report format", closed to other properties."""


def violations(*reports: Report) -> list[dict[str, Any]]:
    return [violation for report in reports for violation in json.loads(gitlab(report))]


def test_the_document_is_valid() -> None:
    """Every violation has all that GitLab asks for; a clean check is an empty list."""
    for report in (REPORT, NOTHING):
        assert list(jsonschema.Draft7Validator(SCHEMA).iter_errors(json.loads(gitlab(report)))) == []
    assert gitlab(NOTHING) == "[]\n"


def test_severities_are_gitlabs() -> None:
    """An error is more than what linters say."""
    told = {
        (str(finding.severity), found["severity"])
        for finding, found in zip(REPORT.findings, violations(REPORT), strict=True)
    }
    assert told == {("error", "critical"), ("warning", "minor"), ("info", "info")}


def test_it_points_to_the_line_of_the_object() -> None:
    """In the file as it is in the repository."""
    finding = replace(GATEWAY_DENIED, object=replace(VIRTUAL_SERVICE, file="./manifests/shop.yaml"))
    (violation,) = violations(Report((finding,), Summary()))
    assert violation["location"] == {"path": "manifests/shop.yaml", "lines": {"begin": 12}}


def test_an_object_of_no_file_stands_under_its_name() -> None:
    """GitLab wants a path of every violation."""
    (violation,) = violations(Report((CLIENTS_DENIED,), Summary()))
    assert violation["location"] == {"path": "Deployment shop/cart", "lines": {"begin": 1}}


def test_fingerprints_are_stable_and_unique() -> None:
    """A moved object is the same violation; two of one identity are two, or GitLab would show one."""
    moved = replace(KEYS_DENIED, object=replace(KEYS_DENIED.object, file="elsewhere.yaml", line=7))
    (before,), (after,) = (
        violations(Report((KEYS_DENIED,), Summary())),
        violations(Report((moved,), Summary())),
    )
    assert before["fingerprint"] == after["fingerprint"]
    twice = violations(Report((KEYS_DENIED, KEYS_DENIED), Summary()))
    assert len({violation["fingerprint"] for violation in twice}) == 2
    assert twice[0]["fingerprint"] == before["fingerprint"]


def test_several_inputs_are_told_apart() -> None:
    """Two overlays may have the same fault."""
    part = Report((GATEWAY_DENIED,), Summary())
    both = violations(Report.of_inputs([("overlays/dev", part), ("overlays/prod", part)]))
    assert len({violation["fingerprint"] for violation in both}) == 2
    assert both[0]["description"].startswith("overlays/dev: ")
