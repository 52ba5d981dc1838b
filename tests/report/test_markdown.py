"""Markdown fits into a comment, says what it leaves out, and shows names as they are."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.report.results import GATEWAY_DENIED, NOTHING, REPORT, SELECTS_NOTHING

from istio_netpol.analysis.results import Report, Summary
from istio_netpol.model.findings import Finding
from istio_netpol.report.markdown import LONGEST, markdown


def many(count: int) -> tuple[Finding, ...]:
    return tuple(
        replace(SELECTS_NOTHING, object=replace(SELECTS_NOTHING.object, namespace=f"team-{number:05}"))
        for number in range(count)
    )


def test_a_clean_check_is_one_line() -> None:
    """Nobody unfolds nothing."""
    assert markdown(NOTHING) == "### istio-netpol: No findings in 1 object, 3 flows checked\n\n"


def test_it_has_causes_findings_and_policies() -> None:
    """The table is there at once, the rest unfolds."""
    text = markdown(REPORT)
    assert "| error | `gateway-to-workload` | 1 workload: no egress to shop/cart, TCP 8080 |" in text
    assert "<summary>5 findings</summary>" in text
    assert "<summary>2 missing policies</summary>" in text
    assert "kind: NetworkPolicy" in text
    assert text.count("<details>") == text.count("</details>") == 2


@pytest.mark.parametrize("count", [1, 300, 3000, 30_000])
def test_it_fits_into_a_comment(count: int) -> None:
    """However much there is, and it says how much is missing."""
    text = markdown(Report((*many(count), GATEWAY_DENIED), Summary(count)))
    assert len(text) <= LONGEST
    assert text.count("<details>") == text.count("</details>")
    assert "gateway-to-workload" in text
    if count >= 3000:
        shown = text.count("- **NetworkPolicy")
        assert f"Of {count + 1} objects, {count - shown} did not fit into this comment" in text


def test_places_with_a_comma_are_kept_apart() -> None:
    """An input and its namespace are one place: `overlays/dev, shop`."""
    report = Report((SELECTS_NOTHING,), Summary())
    text = markdown(Report.of_inputs([("overlays/dev", report), ("overlays/prod", report)]))
    assert "overlays/dev, shop; overlays/prod, shop" in text


def test_errors_come_first() -> None:
    """What does not fit is the least that matters."""
    text = markdown(Report((*many(30_000), GATEWAY_DENIED), Summary()))
    assert text.index("**VirtualService shop/cart**") < text.index("**NetworkPolicy")


def test_names_are_no_markup() -> None:
    """A manifest must not write into the comment, or notify anybody."""
    message = "NetworkPolicy shop/old: <img src=x> | `code` [link](http://x) @everyone\n# heading"
    text = markdown(Report((replace(SELECTS_NOTHING, message=message),), Summary()))
    assert "<img" not in text.replace("\\<", "")
    assert "\n# heading" not in text
    assert "@everyone" not in text
    assert "\\[link\\]" in text
