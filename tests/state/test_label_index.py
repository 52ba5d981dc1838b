"""What an index finds is what looking at everything would find."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.strategies import labels, selectors

from istio_netpol.model.labels import Labels, Selector
from istio_netpol.state.label_index import LabelIndex


@given(st.lists(labels, max_size=8), selectors)
def test_an_index_finds_what_the_selector_matches(labelled: list[Labels], selector: Selector) -> None:
    """By labels and by expressions, also those that hold for labels without the key."""
    found = [position for position, each in enumerate(labelled) if selector.matches(each)]
    assert LabelIndex(labelled).select(selector) == found
