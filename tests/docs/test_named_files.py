"""Files, folders and names that pages, docstrings and comments lead to are there."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path, PurePosixPath

import pytest
from tests.docs.transcripts import ROOT, pages

FILE = re.compile(r"`((?:[\w.-]+/)*[\w-]+\.py)`")
NAMED_IN = re.compile(r"`((?:[\w.-]+/)*[\w-]+\.py)`,\s`([A-Za-z_]\w*)`")
NAME_IN = re.compile(r"`([A-Za-z_]\w*)` (?:in|of) `((?:[\w.-]+/)*[\w-]+\.py)`")
ASKED = re.compile(r"\b(tests(?:/[\w.-]+)+)")
FOLDER = re.compile(r"`((?:[\w-]+/)+)`")
MADE = ("build/", "dist/")
"""Folders that make makes."""


@cache
def endings() -> frozenset[str]:
    """Every file and folder of the repository, with as much of its way as a page may name."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    files = [PurePosixPath(line) for line in listed.splitlines()]
    ways = {way for file in files for way in (file, *file.parents)}
    return frozenset("/".join(way.parts[start:]) for way in ways for start in range(len(way.parts)))


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_files_that_exist(page: Path) -> None:
    """A file is named by its path below the repository or the package, or by its last part alone."""
    text = page.read_text(encoding="utf-8")
    assert [file for file in FILE.findall(text) if file not in endings()] == []


def test_docstrings_and_comments_name_files_that_exist() -> None:
    """Whoever follows a word of the code arrives."""
    folders = ("webhook", "tests", "benchmarks", "mkdocs_hooks", "release")
    strange = [
        f"{file.relative_to(ROOT)}: {named}"
        for folder in folders
        for file in sorted((ROOT / folder).rglob("*.py"))
        for named in FILE.findall(file.read_text(encoding="utf-8"))
        if named not in endings()
    ]
    assert strange == []


def test_contributors_are_led_to_names_folders_and_tests_that_exist() -> None:
    """Where a name stands beside its file, the file has it."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    folders = [folder for folder in FOLDER.findall(text) if not folder.startswith(MADE)]
    assert [folder for folder in folders if folder.rstrip("/") not in endings()] == []
    assert [path for path in ASKED.findall(text) if not (ROOT / path.rstrip(".")).exists()] == []
    pairs = [*NAMED_IN.findall(text), *((file, name) for name, file in NAME_IN.findall(text))]
    assert len(pairs) > 8
    assert [(file, name) for file, name in pairs if not _has(file, name)] == []


def _has(named: str, name: str) -> bool:
    """Whether a file of that path, below the repository or the package, has the name."""
    places = (ROOT / named, ROOT / "webhook" / "istio_netpol" / named)
    return any(
        re.search(rf"\b{name}\b", place.read_text(encoding="utf-8")) for place in places if place.is_file()
    )
