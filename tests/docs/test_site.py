"""The documentation as a site: built without a warning, complete, and read without a request to anybody."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from tests.docs.transcripts import ROOT, pages

LOADED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "link": "href",
    "object": "data",
}
"""What a browser fetches by itself, by tag and attribute. A link that somebody clicks is not among it."""


@dataclass
class Html(HTMLParser):
    """What a page loads, where it links to, and the places in it that can be linked to."""

    loads: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    headings: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.headings += tag == "h1"
        if values.get("id"):
            self.anchors.add(str(values["id"]))
        if tag == "a" and values.get("href"):
            self.links.append(str(values["href"]))
        if (
            tag in LOADED
            and values.get(LOADED[tag])
            and values.get("rel") not in ("canonical", "prev", "next")
        ):
            self.loads.append(str(values[LOADED[tag]]))


def parsed(file: Path) -> Html:
    html = Html()
    html.feed(file.read_text(encoding="utf-8"))
    return html


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it: what MkDocs warns of is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "REPOSITORY_URL": "", "SITE_URL": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def contents(site: Path) -> dict[Path, Html]:
    return {file.relative_to(site): parsed(file) for file in sorted(site.rglob("*.html"))}


def test_every_page_is_in_it(contents: dict[Path, Html]) -> None:
    """Those of docs/, and those for users that lie elsewhere; each has one heading of its own."""
    docs = ROOT / "docs"
    names = {page.relative_to(docs).with_suffix(".html") for page in docs.rglob("*.md")}
    expected = {name.with_name("index.html") if name.stem == "README" else name for name in names}
    beside = {
        "index",
        "changelog",
        "chart",
        "contributing",
        "kustomize",
        "reference/command-line",
        "reference/json",
        "security",
        "404",
    }
    assert set(contents) == expected | {Path(f"{name}.html") for name in beside}
    assert {str(name) for name, html in contents.items() if html.headings != 1} <= {"404.html"}


def test_a_reader_is_told_to_nobody(site: Path, contents: dict[Path, Html]) -> None:
    """No page, style sheet or font comes from another host."""
    loaded = {address for html in contents.values() for address in html.loads}
    assert loaded
    assert {address for address in loaded if urlsplit(address).netloc} == set()
    styles = "".join(file.read_text(encoding="utf-8") for file in site.rglob("*.css"))
    assert styles
    assert re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", styles) == []


def test_every_link_of_the_site_leads_somewhere(site: Path, contents: dict[Path, Html]) -> None:
    """To a file that is there, and to a place that this file has."""
    assert [
        f"{place}: {link}" for place, link in _inner(contents) if not _leads(site, contents, place, link)
    ] == []


def _inner(contents: dict[Path, Html]) -> Iterator[tuple[Path, str]]:
    for place, html in contents.items():
        yield from (
            (place, link) for link in html.links if not urlsplit(link).scheme and place.name != "404.html"
        )


def _leads(site: Path, contents: dict[Path, Html], place: Path, link: str) -> bool:
    parts = urlsplit(link)
    target = (site / place).parent / unquote(parts.path) if parts.path else site / place
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        return False
    name = target.resolve().relative_to(site.resolve())
    return not parts.fragment or name not in contents or unquote(parts.fragment) in contents[name].anchors


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_looks_the_same_in_both_places(page: Path) -> None:
    """A list or table right below a line of text is one in the repository only: keep an empty line."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    follows = re.findall(r"^(?![-*#|>\s]|\d+\. |<!--)(.+)\n((?:[-*]|\d+\.) .*)$", text, re.MULTILINE)
    assert follows == []
    assert re.findall(r"\n\n {5,7}\S.*", text) == [], "code in a list is fenced and indented by four"
    assert re.findall(r"^(?!\|)(\S.*)\n\|.*\n\|[-|: ]+$", text, re.MULTILINE) == []


def test_what_only_the_repository_has_is_linked_where_it_has_an_address(tmp_path: Path, site: Path) -> None:
    """With REPOSITORY_URL it is a link there; without, it is text."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "REPOSITORY_URL": "https://git.example.com/netpol", "SITE_URL": ""}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    scenarios = "https://git.example.com/netpol/tests/scenarios/README.md"
    assert scenarios in parsed(tmp_path / "tutorial.html").links
    without = parsed(site / "tutorial.html")
    assert [link for link in without.links if "scenarios" in link] == []
