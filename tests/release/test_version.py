"""One place has the version; whatever else shows it agrees."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import Golden
from tests.docs.transcripts import pages

from istio_netpol import __version__

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "istio-netpol" / "Chart.yaml"
OURS = re.compile(
    r"istio-netpol(?:\.git@|:|/-/archive/|-)v?(\d+\.\d+\.\d+)\b|^ *(?:rev|tag): v(\d+\.\d+\.\d+)",
    re.MULTILINE,
)


def test_the_chart_has_the_version_of_the_program(golden: Golden) -> None:
    """`--update` writes it into the chart."""
    text = CHART.read_text(encoding="utf-8")
    golden(CHART, re.sub(r"^(version|appVersion): .*$", rf"\1: {__version__}", text, flags=re.MULTILINE))


def test_the_pages_show_that_version() -> None:
    """Whoever copies a line installs what the page describes."""
    shown = {
        (page.name, version)
        for page in pages()
        for match in OURS.findall(page.read_text(encoding="utf-8"))
        for version in match
        if version
    }
    assert {version for _, version in shown} == {__version__}
    assert {"gitops.md", "flux.md", "image.md"} <= {name for name, _ in shown}


def test_the_changelog_dates_it() -> None:
    """The version that is in the code has a section with a day, below what is not released yet."""
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(__version__)}\] - 20\d\d-\d\d-\d\d", headings[1])
