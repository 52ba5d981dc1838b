"""`map --serve` in a browser: the page follows the files, and what was selected and focused stays."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Route, expect
from tests.browser.cluster import manifests
from tests.browser.conftest import READY, Watched

pytestmark = pytest.mark.xdist_group("browser")
"""One browser at a time."""

WAIT = 60_000
"""Milliseconds: the files are looked at every second, and the page asks every two."""
FOCUSED = "document.activeElement.getAttribute('aria-label')"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The cluster with a file for each object, as a repository has it."""
    for number, manifest in enumerate(manifests()):
        metadata = manifest["metadata"]
        name = f"{metadata.get('namespace', 'cluster')}-{manifest['kind']}-{metadata['name']}"
        (tmp_path / f"{number:03}-{name}.yaml").write_text(yaml.safe_dump(manifest))
    return tmp_path


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "istio_netpol", "map", str(folder), "--serve", "--offline"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True, env=environment
    ) as served:
        assert served.stderr is not None
        found = None
        for line in served.stderr:
            if found := re.search(r"serving the map at (http://127\.0\.0\.1:\d+/)", line):
                break
        assert found is not None
        yield found[1]
        served.send_signal(signal.SIGTERM)
        assert served.wait(60) == 0


def test_a_deleted_policy_shows_at_once(watched: Watched, folder: Path, address: str) -> None:
    """The number rises, the namespace's mark changes, and the focus stays on the same name."""
    page = watched.open(address, "#sel=shop")
    assert page.inner_text("#live-state") == "live"
    before = int(page.inner_text("#number-cut .big"))
    page.locator(".rows .header", has_text="shop").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    label = str(page.evaluate(FOCUSED)).split(",")[0]
    assert label == "namespace shop"
    next(folder.glob("*-shop-NetworkPolicy-allow-istiod.yaml")).unlink()
    expect(page.locator("#number-cut .big")).to_have_text(str(before + 3), timeout=WAIT)
    assert str(page.evaluate(FOCUSED)).startswith("namespace shop")
    assert "3 required flows are cut" in page.inner_text("#panel .verdict")
    assert page.inner_text("#panel-title") == "shop"


def test_a_server_that_is_gone_is_told(watched: Watched, folder: Path, address: str) -> None:
    page = watched.open(address)
    page.route("**/map.json", lambda route: route.abort())
    state = page.locator("#live-state")
    expect(state).to_have_text("no connection: this is the last state that arrived", timeout=WAIT)
    page.unroute("**/map.json")
    expect(state).to_have_text("live", timeout=WAIT)
    # The browser itself tells of requests that were broken off.
    watched.errors.clear()


def test_what_the_server_says_is_told(watched: Watched, address: str) -> None:
    """A server that is just starting is asked again; a right that was taken away is no broken connection."""
    said: dict[str, int | str] = {"status": 503, "error": "the cluster is not read yet"}

    def answer(route: Route) -> None:
        if said:
            route.fulfill(status=int(said["status"]), json={"error": said["error"]})
        else:
            route.continue_()

    page = watched.context.new_page()
    page.route("**/map.json", answer)
    page.goto(address)
    boot = page.locator("#numbers .boot")
    expect(boot).to_have_text("There is no map yet: the cluster is not read yet.", timeout=WAIT)
    said.clear()
    page.wait_for_selector(READY, timeout=WAIT)
    said.update(status=403, error="you may see no namespace")
    expect(page.locator("#live-state")).to_have_text(
        "you may see no namespace: this is the last state that arrived", timeout=WAIT
    )
