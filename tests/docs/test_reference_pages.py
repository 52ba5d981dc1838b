"""Pages that are made from the code say what the code does."""

from __future__ import annotations

import re

from mkdocs_hooks.json_documents import SCHEMAS, json_page
from mkdocs_hooks.reference import command_line_page, names_page
from tests.conftest import Golden
from tests.docs.transcripts import ROOT

from istio_netpol.cli.main import program

FOLDER = ROOT / "docs" / "reference"
OURS = re.compile(r"[\"'`](istio-netpol\.io/[a-z-]+)[\"'`]")
NOT_NAMES = {"istio-netpol.io/v1"}


def test_the_labels_and_annotations_are_up_to_date(golden: Golden) -> None:
    """Every name that the code uses."""
    golden(FOLDER / "labels.md", names_page())


def test_every_command_has_a_section_with_examples() -> None:
    """None is missing, and each shows how it is typed."""
    page = command_line_page()
    for name in program.commands:
        section = page.partition(f"\n## istio-netpol {name}\n")[2].partition("\n## ")[0]
        assert "Usage: istio-netpol " in section, name


def test_the_page_on_json_has_each_schema_and_its_fields() -> None:
    """Definitions, arrays and alternatives are followed."""
    page = json_page()
    for file in SCHEMAS.glob("*.schema.json"):
        assert f"](../schemas/{file.name})" in page
    report = page.partition("(../schemas/report.schema.json)")[2].partition("\n## ")[0]
    for field in ("findings", "findings[].rule", "findings[].flow", "summary.objects", "notRead[].count"):
        assert re.search(rf"^\| `{re.escape(field)}` \| \S.*\|$", report, re.MULTILINE), field
    listed = page.partition("(../schemas/list.schema.json)")[2].partition("\n## ")[0]
    assert "| `connections[].source` | string |" in listed


def test_no_name_is_used_that_the_page_lacks() -> None:
    """A label that is read or written anywhere is one that users can look up, with a meaning."""
    used = {
        name
        for file in (ROOT / "webhook" / "istio_netpol").rglob("*.py")
        for name in OURS.findall(file.read_text(encoding="utf-8"))
    }
    listed = set(re.findall(r"^\| `([^`]+)` \| \w+ \| .+ \|$", names_page(), re.MULTILINE))
    assert used - NOT_NAMES - listed == set()
    assert {"istio-netpol.io/mode", "istio-netpol.io/calls", "istio-netpol.io/called-by"} <= listed
