"""Reading JSON: streams, Lists, and what is said of text that is none."""

from __future__ import annotations

import pytest

from istio_netpol.errors import Problem
from istio_netpol.manifests.read import RawObject, read_documents


def read(text: str, file: str = "shop.json") -> list[RawObject | Problem]:
    return list(read_documents(text.encode(), file))


def told(text: str, file: str = "shop.json") -> list[str]:
    return [str(found) for found in read(text, file) if isinstance(found, Problem)]


def test_objects_in_a_row_are_read() -> None:
    """kubectl writes one object after the other into a pipe."""
    found = read('{"apiVersion": "v1", "kind": "Pod"}\n{"apiVersion":\n"v1", "kind": "Node"}', "-")
    assert found == [
        RawObject({"apiVersion": "v1", "kind": "Pod"}, "-", 1),
        RawObject({"apiVersion": "v1", "kind": "Node"}, "-", 2),
    ]


def test_items_have_their_own_lines() -> None:
    """Items of a List, and of typed lists, have the line that they begin at."""
    text = (
        '{"apiVersion": "v1", "items": [\n{"apiVersion": "v1", "kind": "Pod"},\n'
        '{"apiVersion": "v1", "kind": "Node"}], "kind": "List"}'
    )
    assert [found.line for found in read(text)] == [2, 3]
    (pod,) = read('{"kind": "PodList", "apiVersion": "v1", "items": [\n{}]}')
    assert pod == RawObject({"apiVersion": "v1", "kind": "Pod"}, "shop.json", 2)


def test_values_are_exact() -> None:
    """Large integers, escapes and tabs are read as they are; half a surrogate pair becomes U+FFFD."""
    (found,) = read(
        '{"apiVersion":\t"v1", "kind": "Pod", "a": 123456789012345678901234567890, '
        '"b": "\\ud83d\\ude00\\ud800"}'
    )
    assert isinstance(found, RawObject)
    assert (found.content["a"], found.content["b"]) == (123456789012345678901234567890, "\U0001f600\ufffd")


def test_duplicate_keys_are_told() -> None:
    """Each repeated key is told with both lines and its path."""
    text = '{"apiVersion": "v1", "kind": "Pod", "a": [{}, {"b": 1,\n"b": 2}],\n"c": 1, "c": 2}'
    assert told(text) == [
        "shop.json:2: Pod: a[1].b: the key is given twice (first at line 1); keep one of them",
        "shop.json:3: Pod: c: the key is given twice (first at line 3); keep one of them",
    ]


@pytest.mark.parametrize("place", ['"spec": {%s}', "%s"])
def test_keys_that_are_repeated_without_end_are_not_all_told(place: str) -> None:
    """As in YAML."""
    text = '{"apiVersion": "v1", "kind": "Pod", ' + place % ", ".join(['"a": 1'] * 10_000) + "}"
    found = told(text)
    assert len(found) == 101
    assert found[-1] == "shop.json:1: Pod: more keys are given twice; check that this is a manifest"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n}', "shop.json:2: is not valid JSON: a comma stands before '}'"),
        ("{a: 1}", "shop.json:1: is not valid JSON: a key in double quotes is missing here"),
        ('{"a" 1}', "shop.json:1: is not valid JSON: ':' is missing here"),
        ('{"a": }', "shop.json:1: is not valid JSON: a value is missing here"),
        ('{"a": "\n"}', "shop.json:1: is not valid JSON: Invalid control character at"),
        ('{"a": NaN}', "shop.json:1: is not valid JSON: NaN is not a JSON value"),
        ('{"a": 1e999}', "shop.json:1: is not valid JSON: 1e999 is beyond what a number can hold"),
        ('{"a": ' + "9" * 5000 + "}", "shop.json:1: is not valid JSON: a number has too many digits"),
        (
            '{"a": ' + "[" * 250 + "]" * 250 + "}",
            "shop.json:1: is not valid JSON: is nested deeper than 200 levels",
        ),
        ('{"a":' * 5000, "shop.json:1: is not valid JSON: is nested deeper than 200 levels"),
        (
            '[{"apiVersion": "v1", "kind": "Pod"}]',
            "shop.json:1: the document is a list of objects, which the API server does not take; write them "
            "as documents, with --- between them, or as the items of a List",
        ),
    ],
)
def test_unusable_json_is_told(text: str, message: str) -> None:
    """Each kind of error has its line and its sentence."""
    assert told(text) == [message]


def test_broken_json_in_a_yaml_file_gets_the_error_of_yaml() -> None:
    """Only a file that is called JSON must be JSON."""
    assert told('\n{"a": [1 2}', "shop.yaml") == [
        "shop.yaml:2: is not valid YAML: did not find expected ',' or ']' while parsing a flow sequence "
        "that begins at line 2"
    ]
