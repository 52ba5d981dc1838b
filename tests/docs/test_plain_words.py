"""Names and sentences of the program that a reader would have to puzzle over don't come back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.docs.transcripts import ROOT

PUZZLES = {
    "a loop names what it goes over": (
        re.compile(r"\bfor each in\b|\blambda each\b"),
        ("webhook", "tests", "benchmarks", "mkdocs_hooks", "release"),
    ),
    "something is not a Service, rather than no Service": (
        re.compile(r"(?<!there )\b(?:is|are) no (?!longer\b|more\b|wider\b)"),
        ("webhook",),
    ),
}
"""What puzzles, and the folders that are free of it."""


@pytest.mark.parametrize("rule", PUZZLES)
def test_no_file_puzzles_its_reader(rule: str) -> None:
    """Whoever writes such a line again sees here which one, and what to write instead."""
    puzzle, folders = PUZZLES[rule]
    files = sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in files
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if puzzle.search(line) and file != Path(__file__)
    ]
    assert files
    assert found == [], rule
