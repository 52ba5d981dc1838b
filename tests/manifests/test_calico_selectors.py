"""Whom Calico's selector expressions select; what can't be read selects everybody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from istio_netpol.manifests.calico_selectors import CalicoSelector

CART = {"app": "cart", "tier": "web-front", "example.com/owner": "a"}


@pytest.mark.parametrize(
    ("text", "selects"),
    [
        ("", True),
        ("all()", True),
        ("global()", False),
        ("app == 'cart'", True),
        ('app == "cart"', True),
        ("app=='db'", False),
        ("app != 'db'", True),
        ("gone != 'db'", True),
        ("has(app)", True),
        ("has(example.com/owner)", True),
        ("!has(app)", False),
        ("! has(gone)", True),
        ("app in {'cart', 'db'}", True),
        ("app in {}", False),
        ("app not in {'cart'}", False),
        ("gone not in {'cart'}", True),
        ("tier contains 'b-f'", True),
        ("tier starts with 'web'", True),
        ("tier ends with 'web'", False),
        ("app == 'cart' && tier == 'db'", False),
        ("app == 'db' || has(tier)", True),
        ("app == 'db' && has(gone) || has(tier)", True),
        ("app == 'db' && (has(gone) || has(tier))", False),
        ("!(app == 'db' || has(gone))", True),
        ("  app  ==  'cart'  ", True),
    ],
)
def test_what_an_expression_selects(text: str, selects: bool) -> None:
    """The operators of Calico's page, and their precedence: ! before && before ||."""
    assert CalicoSelector(text).matches(CART) is selects


@pytest.mark.parametrize(
    "text",
    ["app = 'db'", "app ==", "(app == 'db'", "app == 'db')", "app like 'db'", "none()", "app == db", "'",
     "!" * 60 + "has(app)", "(" * 400 + "has(gone)" + ")" * 400, "has(gone) && " * 2000 + "has(gone)"],
)  # fmt: skip
def test_what_cannot_be_read_selects_everybody(text: str) -> None:
    """Nobody shall believe that such a policy does nothing."""
    assert CalicoSelector(text).matches(CART)


@given(st.text(alphabet="ab' \"!()&|={},has", max_size=40))
def test_no_text_is_an_error(text: str) -> None:
    """Whatever somebody writes."""
    assert CalicoSelector(text).matches(CART) in (True, False)
