"""Each row of docs/threat-model.md names what shows it, and that is there."""

from __future__ import annotations

import re

from tests.docs.transcripts import ROOT

PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
REFUSED = PAGE.partition("## What is refused")[2].partition("## What remains")[0]
CASES = ROOT / "tests" / "trust" / "cases"


def test_every_refusal_names_a_test_that_exists() -> None:
    """An auditor finds the proof of each row."""
    rows = [line.split("|")[1:-1] for line in REFUSED.splitlines() if line.startswith("| ")][1:]
    assert rows
    for attack, _, shown_by in rows:
        paths = re.findall(r"`([^`]+)`", shown_by)
        assert paths, attack
        for path in paths:
            place = CASES / path.removeprefix("cases/") if path.startswith("cases/") else ROOT / path
            assert place.exists(), f"{attack}: {path}"


def test_every_file_of_cases_is_in_the_table() -> None:
    """No kind of attack is tried without being told."""
    assert {file.name for file in CASES.glob("*.yaml")} <= set(re.findall(r"cases/([\w-]+\.yaml)", REFUSED))


def test_the_code_that_decides_is_named() -> None:
    """The table of trust leads to the files that hold it."""
    table = PAGE.partition("## Who is trusted with what")[2].partition("## What is refused")[0]
    for path in re.findall(r"`((?:trust|istio)/[\w/]+\.py)`", table):
        assert (ROOT / "webhook" / "istio_netpol" / path).exists(), path
