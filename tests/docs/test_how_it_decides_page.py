"""`docs/how-it-decides.md` has what is judged and what is not, as the rules and decoders say it."""

from __future__ import annotations

import re

from tests.conftest import Golden
from tests.docs.transcripts import ROOT

from istio_netpol.istio.catalogue import CATALOGUE
from istio_netpol.manifests.decode import DECODERS
from istio_netpol.model.findings import Issue
from istio_netpol.model.flows import FlowKind
from istio_netpol.report.docs_tables import NAMED, UNKNOWABLE, coverage_tables

PAGE = ROOT / "docs" / "how-it-decides.md"
START = "<!-- made from the rules and decoders; `pytest tests/docs --update` writes it anew -->\n"
BLOCK = re.compile(rf"({START}).*?(<!-- end -->\n)", re.DOTALL)


def test_the_tables_are_what_the_rules_and_decoders_say(golden: Golden) -> None:
    """A rule, a kind or a limit that is added or changed has to be in the page."""
    text = PAGE.read_text(encoding="utf-8")
    assert len(BLOCK.findall(text)) == 1
    golden(PAGE, BLOCK.sub(lambda marks: f"{marks[1]}\n{coverage_tables()}\n\n{marks[2]}", text))


def test_every_rule_and_every_kind_is_in_the_tables() -> None:
    """The renderer drops none."""
    tables = coverage_tables()
    for rule in CATALOGUE:
        (row,) = re.findall(rf"^\| \[.*\| {rule.name} \| .*$", tables, re.MULTILINE)
        assert all(source.replace("|", "&#124;") in row for source in rule.sources)
    for _, kind in DECODERS:
        assert re.search(rf"\b{kind}\b", tables), kind
    for limit in (*NAMED, *UNKNOWABLE, *(limit for rule in CATALOGUE for limit in rule.unjudged)):
        assert f"| {limit.what} | {limit.because} | {limit.told} |" in tables


def test_findings_that_the_tables_name_exist() -> None:
    """Whoever looks for what tells of a limit finds it."""
    limits = (*NAMED, *UNKNOWABLE, *(limit for rule in CATALOGUE for limit in rule.unjudged))
    named = {
        name for limit in limits for name in re.findall(r"(?:warning|error|info) `([\w-]+)`", limit.told)
    }
    assert named
    assert named <= {str(rule) for rule in (*FlowKind, *Issue)}
