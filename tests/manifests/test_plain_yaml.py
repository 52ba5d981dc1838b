"""The fast way to write policies writes what PyYAML does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.values import block, namespaces, pods, policy, port, rule

from istio_netpol.manifests.encode import encode_policy, quoted_yaml
from istio_netpol.manifests.plain_yaml import NotPlainError, plain_yaml

WORDS = (
    "y",
    "No",
    "on",
    "null",
    "~",
    "true",
    "=",
    "<<",
    "1e3",
    "0x1f",
    "10.0.0.0/8",
    "fd00::/8",
    "2001-01-01",
)
texts = (
    st.text(alphabet="abEyn019.-_/,: #'\"&*![]{}|>%@`?\n\té", max_size=8)
    | st.sampled_from(WORDS)
    | st.lists(st.sampled_from(("Deployment/shop/web", "a.b", "c_d-", "no", "1")), min_size=1).map(", ".join)
    | st.integers(110, 140).map(lambda length: "k" * length)
)
contents = st.dictionaries(
    texts,
    st.recursive(
        texts | st.integers() | st.just([]) | st.just({}),
        lambda inner: (
            st.dictionaries(texts, inner, max_size=3)
            | st.lists(texts | st.dictionaries(texts, inner, max_size=3), max_size=3)
        ),
        max_leaves=6,
    ),
    min_size=1,
    max_size=3,
)


@given(contents)
def test_what_is_written_without_quotes_is_what_pyyaml_writes(content):
    """Byte for byte, or it is left to PyYAML: nobody can tell which of the two wrote a file."""
    try:
        text = plain_yaml(content)
    except NotPlainError:
        return
    assert text == quoted_yaml(content)


def test_policies_with_ordinary_names_are_written_the_fast_way():
    """Names, labels, annotations, ports and IPv4 blocks: what refusals print. Here nothing raises."""
    peers = (
        namespaces(team="a-1"),
        pods(**{"app.kubernetes.io/name": "db"}),
        block("10.0.0.0/8", "10.1.0.0/16"),
    )
    written = policy("shop/web", egress=[rule(*peers, port(80, end=90), port("http")), rule()])
    content = encode_policy(replace(written, annotations={"a.io/by": "Job/a/b, VirtualService/c/d"}))
    assert plain_yaml(content) == quoted_yaml(content)


@pytest.mark.parametrize(
    "text", ["", "y", "Off", "null", "12e4", "1_0", "fd00::/8", "a: b", "a #b", "-", "a\n", "é"]
)
def test_a_text_that_may_need_quotes_is_left_to_pyyaml(text):
    """A label `y` that kubectl reads as a boolean is refused by the API server."""
    for content in ({"key": text}, {text: "value"}, {"list": [text]}):
        with pytest.raises(NotPlainError):
            plain_yaml(content)


def test_a_key_that_pyyaml_writes_over_two_lines_is_left_to_it():
    """Label keys may be longer than what YAML takes as a key on one line."""
    with pytest.raises(NotPlainError):
        plain_yaml({"k" * 128: "value"})
