"""`docs/glossary.md` defines the words of the code and of the other pages, and no others."""

from __future__ import annotations

import re

from tests.docs.transcripts import ROOT

PAGE = ROOT / "docs" / "glossary.md"
ROW = re.compile(r"^\| ([^|]+) \| (.+) \|$", re.MULTILINE)
TERMS = [term for term, _ in ROW.findall(PAGE.read_text(encoding="utf-8")) if term not in ("word", "---")]
NEEDED = {
    "class of pods",
    "consent",
    "family",
    "need",
    "opening",
    "remedy",
    "requirement",
    "settled",
    "stand-in",
    "subject",
}
"""Words that a stranger can't guess from the NetworkPolicy API or from Istio."""


def test_words_that_cannot_be_guessed_are_defined() -> None:
    """What the code calls its own ideas is explained to whoever meets it first."""
    assert set(TERMS) >= NEEDED


def test_terms_are_sorted_and_defined_once() -> None:
    """A reader finds a word by its place."""
    keys = [term.lower().replace("-", " ") for term in TERMS]
    assert keys == sorted(set(keys))


def test_each_term_is_in_use() -> None:
    """A word that neither the code nor another page uses needs no definition."""
    files = [
        *(ROOT / "webhook" / "istio_netpol").rglob("*.py"),
        *(page for page in (ROOT / "docs").rglob("*.md") if page != PAGE),
    ]
    words = " ".join(" ".join(file.read_text(encoding="utf-8").lower() for file in files).split())
    words = words.replace("_", " ")
    unused = [term for term in TERMS if not re.search(rf"\b{re.escape(term.lower())}", words)]
    assert unused == []
