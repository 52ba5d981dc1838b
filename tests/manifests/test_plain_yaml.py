"""Manifests that are written without PyYAML's emitter: the same text as with it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from istio_netpol.manifests.plain_yaml import dump, dump_anything

WORDS = (
    "app",
    "y",
    "no",
    "null",
    "12e4",
    "007",
    "1_0",
    "1:30",
    "2026-11-30",
    "0.5",
    "a: b",
    "a #b",
    "é",
    "- a",
)
TEXTS = st.one_of(
    st.sampled_from(WORDS),
    st.text(alphabet="aB01 .:,/-_#'\"&*!|>%@`{}[]?~=\n\té", max_size=6),
    st.text(max_size=4),
)
LEAVES = st.one_of(TEXTS, st.integers(), st.booleans(), st.none())
MANIFESTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


@given(MANIFESTS)
@example({"a" * 101: "b"})
@example({"a": [[{"b": [], "c": {}}, "d"], {"e": ["f"]}]})
@example({"...": "---", "---": "..."})
def test_the_text_is_that_of_the_emitter_for_all_of_yaml(manifest: Any) -> None:
    """Whatever a label, a name or an annotation says, and however deep it stands."""
    assert dump(manifest) == dump_anything(manifest)


@pytest.mark.parametrize(
    "text", [*WORDS, "Deployment shop/cart, Service shop/db", "fd00::/8", "10.0.0.0/8", ""]
)
def test_a_text_reads_as_itself_in_every_place(text: str) -> None:
    """As a key, behind one, and in a list."""
    manifest = {text: text, "list": [text, {text: [text]}]}
    assert dump(manifest) == dump_anything(manifest)
