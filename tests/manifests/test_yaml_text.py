"""What is written without PyYAML is what PyYAML would have written."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from istio_netpol.manifests.encode import PolicyDumper
from istio_netpol.manifests.yaml_text import NotPlainError, block_style

WORDS = [
    *(
        "app",
        "istio-system",
        "kubernetes.io/metadata.name",
        "Deployment shop/cart, Deployment shop/web",
        "a:b",
        "/",
    ),
    *(
        "10.0.0.0/8",
        "2001:db8::/32",
        "::/0",
        "fd00::1/128",
        "1.2",
        "1:30",
        "12e4",
        "2026-11-30",
        "0x1f",
        "1_000/2",
    ),
    *(
        "y",
        "NO",
        "true",
        "null",
        "~",
        "",
        " a",
        "a ",
        "a:",
        "a: b",
        "a #b",
        "#a",
        "-",
        "- a",
        "--- a",
        "...",
        "a,",
        "a;",
    ),
    *(
        "\u00e4",
        "a\nb",
        "a\tb",
        "'",
        '"',
        "*",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "{a",
        "[a",
        "a]",
        "?a",
        "? a",
        "=",
        "<<",
        "|",
    ),
]
text = st.sampled_from(WORDS) | st.text(alphabet="aZ09/_.,;:- #'", max_size=6)
scalars = text | st.integers(-5, 10**6) | st.booleans() | st.none()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


def by_pyyaml(value: Any) -> str:
    return str(yaml.dump(value, Dumper=PolicyDumper, sort_keys=False, width=10**6, allow_unicode=True))


@given(st.dictionaries(text, values, min_size=1, max_size=3))
@settings(max_examples=300)
def test_it_is_what_pyyaml_writes(value: dict[str, Any]) -> None:
    """Or it says that it can't write it."""
    try:
        written = block_style(value)
    except NotPlainError:
        return
    assert written == by_pyyaml(value)


@pytest.mark.parametrize("word", WORDS)
def test_each_word(word: str) -> None:
    """As a key, as a value, and in a list."""
    value = {word: [{word: word}, word]}
    try:
        written = block_style(value)
    except NotPlainError:
        return
    assert written == by_pyyaml(value)


def test_policies_are_written_without_pyyaml() -> None:
    """What remedies consist of is plain."""
    value = {
        "metadata": {
            "name": "dns-cart-0a1b",
            "labels": {"app.kubernetes.io/managed-by": "istio-netpol"},
            "annotations": {"istio-netpol.io/required-by": "Deployment shop/cart, VirtualService shop/web"},
        },
        "spec": {
            "podSelector": {},
            "policyTypes": ["Egress"],
            "egress": [
                {
                    "to": [
                        {"namespaceSelector": {"matchLabels": {"a": "b"}}, "podSelector": {}},
                        {"ipBlock": {"cidr": "10.0.0.0/8"}},
                    ],
                    "ports": [{"protocol": "TCP", "port": 53}],
                }
            ],
        },
    }
    assert block_style(value) == by_pyyaml(value)
