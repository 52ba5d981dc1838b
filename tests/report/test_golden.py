"""Every format prints the same bytes for the same result; the files beside this one hold them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import Golden
from tests.report.results import CONNECTIONS, DIFFERENCE, EXPLANATION, NOTHING, REPORT

from istio_netpol.report.overview import overview
from istio_netpol.report.palette import COLOURS
from istio_netpol.report.table import document, names, writer
from istio_netpol.report.text import text

FOLDER = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", sorted(names("check")))
def test_a_check_prints_these_bytes(name: str, golden: Golden) -> None:
    """A report with every kind of finding."""
    golden(FOLDER / f"check.{name}", document("check", name, REPORT))


@pytest.mark.parametrize("name", sorted(names("check")))
def test_a_clean_check_prints_these_bytes(name: str, golden: Golden) -> None:
    """A report without findings says what was checked."""
    golden(FOLDER / f"clean.{name}", document("check", name, NOTHING))


def test_an_overview_prints_these_bytes(golden: Golden) -> None:
    """What fits on a screen stands there in full, without the YAML."""
    golden(FOLDER / "check.overview", overview(REPORT, generate="istio-netpol generate manifests"))


def test_colours_are_these_bytes(golden: Golden) -> None:
    """The text for terminals."""
    golden(FOLDER / "check.colour", text(REPORT, COLOURS))


@pytest.mark.parametrize("name", sorted(names("list")))
def test_a_list_prints_these_bytes(name: str, golden: Golden) -> None:
    """Connections between workloads and address ranges."""
    golden(FOLDER / f"list.{name}", "".join(writer("list", name)([("", CONNECTIONS)])))


@pytest.mark.parametrize("name", sorted(names("diff")))
def test_a_difference_prints_these_bytes(name: str, golden: Golden) -> None:
    """Gained and lost connections and flows."""
    golden(FOLDER / f"diff.{name}", document("diff", name, [("", DIFFERENCE)]))


@pytest.mark.parametrize("name", sorted(names("explain")))
def test_an_explanation_prints_these_bytes(name: str, golden: Golden) -> None:
    """A denied connection with its steps and remedy."""
    golden(FOLDER / f"explain.{name}", document("explain", name, [("", EXPLANATION)]))
