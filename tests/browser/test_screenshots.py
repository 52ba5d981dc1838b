"""The pictures of docs/map.md, made with `--update`. They are not compared dot by dot: fonts differ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser
from tests.browser.cluster import cluster
from tests.browser.conftest import READY

pytestmark = pytest.mark.xdist_group("browser")
"""One browser at a time."""

IMAGES = Path(__file__).parents[2] / "docs/images"
SIZE = {"width": 1280, "height": 760}
MOST_BYTES = 200_000
PAIR = (
    "#sel=istio-ingress/Deployment/istio-ingressgateway&to=billing/Deployment/frontend"
    "&open=billing&open=*outside"
)


def without_a_policy() -> str:
    """The cluster after somebody tidied up."""
    kept = [
        document
        for document in yaml.safe_load_all(cluster())
        if document["metadata"]["name"] != "allow-gateway"
    ]
    return yaml.safe_dump_all(kept)


@pytest.mark.parametrize(
    ("name", "view", "scheme"),
    [("map", "", "light"), ("map-path", PAIR, "dark"), ("map-change", "", "light")],
)
def test_a_picture_of_the_map(
    browser: Browser,
    maps: Callable[..., Path],
    request: pytest.FixtureRequest,
    name: str,
    view: str,
    scheme: str,
) -> None:
    """It shows what the page is able to show now, and the documentation has one of that name and size."""
    file = maps(cluster(), without_a_policy()) if name == "map-change" else maps(cluster())
    context = browser.new_context(viewport=SIZE, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{file.as_uri()}{view}")
    page.wait_for_selector(READY)
    taken = page.screenshot(animations="disabled")
    context.close()
    kept = IMAGES / f"{name}.png"
    if request.config.getoption("--update"):
        IMAGES.mkdir(exist_ok=True)
        kept.write_bytes(taken)
    assert kept.is_file(), f"{kept.name} is missing; run pytest with --update"
    assert size_of(kept.read_bytes()) == size_of(taken) == (SIZE["width"], SIZE["height"])
    assert kept.stat().st_size < MOST_BYTES


def size_of(png: bytes) -> tuple[int, int]:
    """Width and height, as the header of a PNG has them."""
    assert png.startswith(b"\x89PNG\r\n")
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
