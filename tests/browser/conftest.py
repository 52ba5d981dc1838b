"""A real headless Chromium, which is started once, and pages that are watched: an error in the console or a
request that the page had no right to fails the test that caused it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from tests.browser.cluster import cluster

from istio_netpol.cli.main import program

CHROMIUM = Path("/usr/bin/chromium")
MISSING = f"{CHROMIUM} is not there; install Debian's package chromium (make packages)"
READY = "html[data-ready]"
expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(MISSING)
    with sync_playwright() as playwright:
        # Debian's own sandbox needs rights that a container lacks; the pages are ours.
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes the map of some YAML once, as a user does."""
    folder, made = tmp_path_factory.mktemp("maps"), dict[tuple[str, ...], Path]()

    def write(*texts: str) -> Path:
        if texts not in made:
            here = folder / str(len(made))
            here.mkdir()
            files = [here / name for name in ("old.yaml", "new.yaml")[2 - len(texts) :]]
            for file, text in zip(files, texts, strict=True):
                file.write_text(text, encoding="utf-8")
            page = made[texts] = here / "map.html"
            options = ["--diff"] if len(texts) == 2 else []
            names = [str(file) for file in files]
            arguments = ["map", *options, *names, "-o", str(page), "--offline", "--title", "prod-eu"]
            done = CliRunner().invoke(program, arguments)
            assert done.exit_code == 0, done.output
        return made[texts]

    return write


@pytest.fixture(scope="session")
def cluster_page(maps: Callable[..., Path]) -> Path:
    return maps(cluster())


class Watched:
    """A browser's context whose pages are watched. Whoever reads `errors` knows what went wrong."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.errors: list[str] = []
        self.requests: list[str] = []

    def open(self, address: str | Path, view: str = "") -> Page:
        page = self.context.new_page()
        page.on("console", lambda said: self.errors.append(said.text) if said.type != "log" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        url = address.as_uri() if isinstance(address, Path) else address
        page.goto(f"{url}{view}")
        page.wait_for_selector(READY)
        return page


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    """A context like a person's, under the page's own policy; at its end nothing may have gone wrong."""
    context = browser.new_context(
        viewport={"width": 1440, "height": 900},
        permissions=["clipboard-read", "clipboard-write"],
        color_scheme="light",
    )
    found = Watched(context)
    yield found
    context.close()
    assert found.errors == []
    assert [url for url in found.requests if not url.startswith(("file:", "http://127.0.0.1:"))] == []
