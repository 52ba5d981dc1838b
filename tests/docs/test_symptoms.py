"""`docs/symptoms.md` is the table that the program has, and rule pages quote what the table knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.conftest import Golden
from tests.docs.transcripts import ROOT

from istio_netpol.model.flows import FlowKind
from istio_netpol.report.docs_tables import symptom_tables
from istio_netpol.symptoms.recognise import sighting
from istio_netpol.symptoms.table import SYMPTOMS

PAGE = ROOT / "docs" / "symptoms.md"
RULES = ROOT / "docs" / "rules"
START = "<!-- made from the table of symptoms; `pytest tests/docs --update` writes it anew -->\n"
BLOCK = re.compile(rf"({START}).*?(<!-- end -->\n)", re.DOTALL)
SYMPTOM = re.compile(r"^## Symptom\n(.*?)^## Why$", re.DOTALL | re.MULTILINE)
QUOTED = re.compile(r"`([^`]+)`")
NAME = re.compile(r"istio-netpol .*|[\w./:*-]+(?:=\w+)?|--[\w-]+ \w+|metadata\.\w+")
"""What backticks hold besides text of programs: names of commands, containers, labels and fields."""


def quotations(page: Path) -> list[str]:
    """The texts of programs that a rule's page promises, without those that say what is *not* seen."""
    (section,) = SYMPTOM.findall(page.read_text(encoding="utf-8"))
    return [text for text in QUOTED.findall(section) if not NAME.fullmatch(text)]


def test_the_page_is_what_the_table_says(golden: Golden) -> None:
    """A symptom that is added or changed has to be in the page."""
    text = PAGE.read_text(encoding="utf-8")
    assert len(BLOCK.findall(text)) == 1
    golden(PAGE, BLOCK.sub(lambda marks: f"{marks[1]}\n{symptom_tables()}\n\n{marks[2]}", text))


def test_the_page_has_one_row_for_each_symptom() -> None:
    """The renderer drops none, and splits none at a `|` of its own."""
    rows = re.findall(r"^\| <a id=\"[\w-]+\"></a>([\w-]+) (.*)$", symptom_tables(), re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(row.id for row in SYMPTOMS)
    assert {len(re.findall(r"(?<!\\)\|", rest)) for _, rest in rows} == {5}


@pytest.mark.parametrize("page", sorted(RULES.glob("*.md")), ids=lambda page: page.stem)
def test_a_rule_page_quotes_what_is_really_printed(page: Path) -> None:
    """Each string under Symptom is one that the table knows; a flow's page quotes one that blames it."""
    if page.name == "README.md":
        return
    found = {text: sighting(text) for text in quotations(page)}
    assert [text for text, seen in found.items() if seen is None] == []
    if page.stem in set(FlowKind):
        blamed = [seen for seen in found.values() if seen and page.stem in seen.flows]
        assert blamed
        assert all(page.stem in seen.flows or not seen.flows for seen in found.values() if seen)


@pytest.mark.parametrize("kind", FlowKind)
def test_a_flow_has_symptoms_and_its_page_leads_to_them(kind: FlowKind) -> None:
    """Whoever reads the page of a rule finds what else it looks like."""
    assert any(kind in row.flows for row in SYMPTOMS)
    (section,) = SYMPTOM.findall((RULES / f"{kind}.md").read_text(encoding="utf-8"))
    assert "](../symptoms.md" in section
