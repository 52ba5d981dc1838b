"""Names that nobody validated never become markup, nor words of another language that they are written in."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

from tests.web.hostile import HOSTILE, hostile_facts

from istio_netpol.report.map_document import map_document
from istio_netpol.report.map_picture import dot, mermaid, svg
from istio_netpol.web.page import page_of


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)


def test_the_page_has_its_own_elements_only() -> None:
    found = hostile_facts()
    tags = Tags(page_of(map_document(found, title=HOSTILE))).found
    assert tags == Tags(page_of(map_document(found, title="plain"))).found
    assert tags.count("script") == 2


def test_a_title_that_names_a_part_of_the_page_stays_text() -> None:
    page = page_of(map_document(hostile_facts(), title="@SCRIPT@ @DATA@"))
    assert "<title>@SCRIPT@ @DATA@ · who can reach whom</title>" in page


def test_the_drawing_has_its_own_elements_only() -> None:
    root = ElementTree.fromstring(svg(hostile_facts(), HOSTILE))
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert names <= {"svg", "title", "style", "rect", "text", "path", "g", "circle"}
    assert any(HOSTILE in (element.text or "") for element in root.iter())


def test_names_stay_strings_of_dot() -> None:
    """What is left without the strings is the language alone."""
    rest = re.sub(r'"(?:\\.|[^"\\])*"', "S", dot(hostile_facts(), HOSTILE))
    assert set(re.findall(r"[^\s\w]+", rest)) <= {"{", ";", "->", "[", "=", "];", "}"}


def test_names_stay_strings_of_mermaid() -> None:
    """Strings hold letters, plain signs and entity codes; each line has one string or none."""
    for line in mermaid(hostile_facts()).splitlines():
        strings = re.findall(r'"([^"]*)"', line)
        assert line.count('"') == 2 * len(strings) <= 2
        assert all(re.fullmatch(r"(?:[\w \-./,]|#\d+;)*", text) for text in strings), line
