"""Every format prints the same bytes for the same result; the files beside this one hold them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import Golden
from tests.report.results import CONNECTIONS, DIFFERENCE, EXPLANATION, NOTHING, REPORT

from istio_netpol.report.connections import LISTINGS
from istio_netpol.report.difference import DIFFERENCES
from istio_netpol.report.explanation import EXPLANATIONS
from istio_netpol.report.overview import overview
from istio_netpol.report.palette import COLOURS
from istio_netpol.report.table import FORMATS
from istio_netpol.report.text import text

FOLDER = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_check_prints_these_bytes(name: str, golden: Golden) -> None:
    """A report with every kind of finding."""
    golden(FOLDER / f"check.{name}", FORMATS[name](REPORT))


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_clean_check_prints_these_bytes(name: str, golden: Golden) -> None:
    """A report without findings says what was checked."""
    golden(FOLDER / f"clean.{name}", FORMATS[name](NOTHING))


def test_an_overview_prints_these_bytes(golden: Golden) -> None:
    """What fits on a screen stands there in full, without the YAML."""
    golden(FOLDER / "check.overview", overview(REPORT, generate="istio-netpol generate manifests"))


def test_colours_are_these_bytes(golden: Golden) -> None:
    """The text for terminals."""
    golden(FOLDER / "check.colour", text(REPORT, COLOURS))


@pytest.mark.parametrize("name", sorted(LISTINGS))
def test_a_list_prints_these_bytes(name: str, golden: Golden) -> None:
    """Connections between workloads and address ranges."""
    golden(FOLDER / f"list.{name}", "".join(LISTINGS[name](CONNECTIONS)))


@pytest.mark.parametrize("name", sorted(DIFFERENCES))
def test_a_difference_prints_these_bytes(name: str, golden: Golden) -> None:
    """Gained and lost connections and flows."""
    golden(FOLDER / f"diff.{name}", DIFFERENCES[name](DIFFERENCE))


@pytest.mark.parametrize("name", sorted(EXPLANATIONS))
def test_an_explanation_prints_these_bytes(name: str, golden: Golden) -> None:
    """A denied connection with its steps and remedy."""
    golden(FOLDER / f"explain.{name}", EXPLANATIONS[name](EXPLANATION))
