"""One object that is nested deeper than a decoder goes hides no other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from istio_netpol.errors import ApiError
from istio_netpol.kube import deep_json
from istio_netpol.kube.objects import event_of, page_of, received, received_all, stored_of
from istio_netpol.kube.resources import Resource

FILTERS = Resource("networking.istio.io", "v1alpha3", "EnvoyFilter", "envoyfilters", namespaced=True)
DEEP = [1_000, 9_990]
"""Levels that Python's stack has no room for, and nearly as many as the API server stores."""


def nested(levels: int, name: str = "deep") -> str:
    """An EnvoyFilter as the API server sends it; `json` itself can't write so many levels."""
    value = '{"x":' * levels + "1" + "}" * levels
    patches = f'[{{"applyTo":"HTTP_FILTER","patch":{{"operation":"ADD","value":{value}}}}}]'
    metadata = f'{{"namespace":"team-a","name":"{name}","resourceVersion":"7"}}'
    return f'{{"metadata":{metadata},"spec":{{"configPatches":{patches}}}}}'


@pytest.mark.parametrize("levels", DEEP)
def test_the_others_of_a_page_are_read(levels: int) -> None:
    """What can't be read of the page is told of the object that it is about."""
    items = ",".join((nested(3, "before"), nested(levels), nested(3, "after")))
    page = page_of(f'{{"metadata":{{"resourceVersion":"9"}},"items":[{items}]}}'.encode())
    found = list(received_all(page.items, FILTERS))
    assert [(answer.name[1], len(answer.values), len(answer.problems)) for answer in found] == [
        ("before", 1, 0),
        ("deep", 0, 1),
        ("after", 1, 0),
    ]
    told = "the cluster: EnvoyFilter team-a/deep: is nested deeper than 200 levels"
    assert [str(problem) for problem in found[1].problems] == [told]


@pytest.mark.parametrize("levels", DEEP)
def test_a_watch_goes_on_after_it(levels: int) -> None:
    """The event says which object it was, and where the watch goes on."""
    event = event_of(f'{{"type":"MODIFIED","object":{nested(levels)}}}'.encode())
    shown = stored_of(event)
    assert (event.type, shown.name, shown.version) == ("MODIFIED", ("team-a", "deep"), "7")
    stored = received(shown.text, FILTERS)
    assert (stored.name, stored.values, len(stored.problems)) == (("team-a", "deep"), (), 1)


def test_nobody_can_write_what_stands_for_it() -> None:
    """The mark's own text in an object is a text like any other."""
    item = nested(3).replace('"operation"', '"mark":"too deep","operation"')
    (stored,) = received_all(page_of(f'{{"items":[{item}]}}'.encode()).items, FILTERS)
    assert not stored.problems
    assert stored.values


def test_deep_text_that_is_no_json_is_an_error_of_the_answer() -> None:
    """It never ends the thread that reads it."""
    with pytest.raises(ApiError, match="can't be read"):
        page_of(b'{"items":[' + b"[" * 5_000)


VALUES = st.recursive(
    st.none() | st.integers() | st.text(alphabet='a"\\[]{},:\n'),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(alphabet='a"\\{]', max_size=3), inner, max_size=3)
    ),
)


@given(value=VALUES)
def test_only_what_is_too_deep_is_cut(value: Any) -> None:
    """Whatever texts hold, brackets and quotes too."""
    limit = 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deep_json, "DEEPEST", limit)
        left = json.loads(deep_json.cut(json.dumps(value).encode()))
    assert left == _without(value, limit)


def _without(value: Any, levels: int) -> Any:
    if not isinstance(value, dict | list):
        return value
    if levels == 0:
        return "too deep"
    if isinstance(value, list):
        return [_without(inner, levels - 1) for inner in value]
    return {name: _without(inner, levels - 1) for name, inner in value.items()}
