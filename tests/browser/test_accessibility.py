"""axe-core (WCAG 2.2 A and AA, best practice) finds nothing in any view, in light and in dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page
from tests.browser.cluster import cluster
from tests.browser.conftest import READY

pytestmark = pytest.mark.xdist_group("browser")
"""One browser at a time."""

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PAIR = "#sel=istio-ingress/Deployment/istio-ingressgateway&to=billing/Deployment/frontend&open=billing"
VIEWS = {
    "overview": "",
    "pair": PAIR,
    "cell": "#sel=stock&to=istio-system",
    "namespace": "#sel=mail",
    "connections": "#view=connections",
    "flows": "#view=flows",
    "namespaces": "#view=namespaces",
    "as if deny-all": "#state=deny-all&changes=1",
    "nothing": "#q=nobody",
    "only cut": "#only=cut",
    "small cells": "#size=6",
}


COLOURS_DRAWN = """() => {
  const canvas = document.querySelector('.matrix canvas'), pen = canvas.getContext('2d');
  const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
}"""


@pytest.fixture(scope="module", params=["light", "dark"])
def context(browser: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """The page's policy lets no script in but its own: for axe it is set aside."""
    found = browser.new_context(
        viewport={"width": 1440, "height": 900}, color_scheme=request.param, bypass_csp=True
    )
    yield found
    found.close()


def violations(page: Page) -> list[str]:
    found = Axe().run(page, options={"runOnly": RULES, "resultTypes": ["violations"]})
    return [
        f"{violation['id']}: {violation['nodes'][0]['html'][:200]}: "
        f"{violation['nodes'][0].get('failureSummary', '')}"
        for violation in found.response["violations"]
    ]


def test_a_violation_would_be_found(context: BrowserContext, cluster_page: Path) -> None:
    page = context.new_page()
    page.goto(cluster_page.as_uri())
    page.wait_for_selector(READY)
    page.evaluate("document.querySelector('#view').append(document.createElement('img'))")
    assert [violation for violation in violations(page) if violation.startswith("image-alt")]


def test_every_view_is_accessible(context: BrowserContext, cluster_page: Path) -> None:
    page = context.new_page()
    for name, view in VIEWS.items():
        page.goto("about:blank")
        page.goto(f"{cluster_page.as_uri()}{view}")
        page.wait_for_selector(READY)
        if name == "pair":
            for summary in page.locator("#panel summary").all():
                summary.click()
        assert violations(page) == [], name
    page.keyboard.press("Control+k")
    page.click("button:text('Flow kinds')")
    assert violations(page) == [], "flow kinds"
    page.click("#help")
    assert violations(page) == [], "help"


def test_a_change_is_accessible(context: BrowserContext, maps: Callable[..., Path]) -> None:
    page = context.new_page()
    page.goto(maps(cluster(), cluster().replace("allow-gateway", "allow-others")).as_uri())
    page.wait_for_selector(READY)
    assert violations(page) == []


@pytest.mark.parametrize("colours", [{"forced_colors": "active"}, {"reduced_motion": "reduce"}])
def test_other_media_draw_the_map(browser: Browser, cluster_page: Path, colours: dict[str, str]) -> None:
    """Cells are drawn in forced colours too: each mark has one of the system's."""
    context = browser.new_context(**colours)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(cluster_page.as_uri())
    page.wait_for_selector(READY)
    colours_drawn = page.evaluate(COLOURS_DRAWN)
    context.close()
    assert colours_drawn > 3
