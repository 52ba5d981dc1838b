"""Names and sentences of the program that a reader would have to puzzle over don't come back."""

from __future__ import annotations

import re
from collections import defaultdict
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

TYPE = re.compile(r"^(?:\s*class _?(\w+)[(:]|_?([A-Z]\w*[a-z]\w*) = )", re.MULTILINE)
"""A class, or a name for a type; one for a module's own use may not lead astray either."""


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


def test_a_name_of_a_type_stands_for_one_thing() -> None:
    """Whoever searches for a type finds it at once, and never another of the same name."""
    modules: defaultdict[str, list[str]] = defaultdict(list)
    for file in sorted((ROOT / "webhook").rglob("*.py")):
        for names in TYPE.findall(file.read_text(encoding="utf-8")):
            modules["".join(names)].append(str(file.relative_to(ROOT)))
    assert "FlowTable" in modules
    assert {name: found for name, found in modules.items() if len(found) > 1} == {}
