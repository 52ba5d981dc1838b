"""Names and sentences of the program that a reader would have to puzzle over don't come back."""

from __future__ import annotations

import re

import pytest
from tests.docs.transcripts import ROOT

PUZZLES = {
    "a loop names what it goes over": re.compile(r"\bfor each in\b|\blambda each\b"),
    "something is not a Service, rather than no Service": re.compile(
        r"(?<!there )\b(?:is|are) no (?!longer\b|more\b|wider\b)"
    ),
}


@pytest.mark.parametrize("rule", PUZZLES)
def test_no_file_of_the_program_puzzles_its_reader(rule: str) -> None:
    """Whoever writes such a line again sees here which one, and what to write instead."""
    files = sorted((ROOT / "webhook").rglob("*.py"))
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in files
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if PUZZLES[rule].search(line)
    ]
    assert files
    assert found == [], rule
