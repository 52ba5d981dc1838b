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
IN_TEXT = re.compile(r"istio-netpol\.io/[a-z0-9-]*[a-z0-9]")
OF_KUSTOMIZE = {
    f"istio-netpol.io/{name}"
    for name in (
        "accepted-by",
        "bundle",
        "config-digest",
        "environment",
        "isolated-by",
        "platform",
        "revision",
        "ring",
    )
}
"""Names that only kustomizations, the chart and examples for Argo CD use."""


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


def test_charts_and_pages_use_names_that_the_code_has() -> None:
    """Whoever renames a label in own_names.py reads here where else it stands."""
    known = set(re.findall(r"^\| `([^`]+)` \|", names_page(), re.MULTILINE))
    files = [
        ROOT / "README.md",
        ROOT / "kustomize" / "components" / "webhook" / "istio-netpol.yaml",
        *(ROOT / "charts" / "istio-netpol" / "templates").iterdir(),
        ROOT / "charts" / "istio-netpol" / "README.md",
        *(page for page in (ROOT / "docs").rglob("*") if page.suffix in (".md", ".yaml")),
    ]
    strange = [
        f"{file.relative_to(ROOT)}:{number}: {name}"
        for file in files
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        for name in IN_TEXT.findall(line)
        if name not in known | OF_KUSTOMIZE and not name.startswith("istio-netpol.io/v1")
    ]
    assert strange == [], "\n" + "\n".join(strange)


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
