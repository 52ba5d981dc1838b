"""Texts that parsers of YAML disagree about: read as kubectl reads them, by the parser of the API server."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from tests.cluster.fixtures import require
from tests.tools.programs import located

from istio_netpol.errors import Problem
from istio_netpol.manifests.read import RawObject, read_documents

HEAD = "apiVersion: example.com/v1\nkind: Foo\nmetadata: {name: a}\n"
OTHER = HEAD.replace("name: a", "name: b")
JSON = '{"apiVersion": "example.com/v1", "kind": "Foo", "metadata": {"name": "a"}, "x": "\\u00e9"}'
OTHER_JSON = JSON.replace('"a"', '"b"')

FIELDS = {
    "a colon at the end, in brackets": "x: [192.0.2.1, 2001:db8::]\n",
    "a colon at the end, in braces": "x: {cidr: 2001:db8::, y: ['b:', c:]}\n",
    "a colon at the end of a key": "x: {a::: 1, b:}\n",
    "a colon at the end of two lines": "x: [a\n    b:, c]\n",
    "a colon at the end of what has a quote": "x: [it's:, d::]\n",
    "many colons at the end": "x: [" + ", ".join(f"fd00:{number}::" for number in range(50)) + "]\n",
    "colons beside quotes": "x: [a:, 'b, c:]', d:, \"e, f:]\", g::]\n",
    "colons beside values": "x: {a: b:, c: d e:, f g:, h: [i:, j k:], l:}\n",
    "colons beside a comment": "x: [a:, b:] # c, d:]\n",
    "colons beside anchors": "x: [a:, &b c:, *b, !!str d:, e:]\n",
    "double colons": "x: [a:, ::b:, c:::, d::e:, 1:, true:, 0x1:]\n",
    "a colon at the beginning": "x: ::/0\n",
    "a colon at the beginning, in braces": "x: {cidr: ::/0}\n",
    "a colon at the beginning, in brackets": "x: [fd00::/8, ::/0]\n",
    "colons in the middle": "x: [a:b, http://c:80/d, 12:30]\n",
    "two colons with spaces": "x: a: b\n",
    "a colon in a key": "a:b: c\nhttp://d: e\n",
    "a question mark": "x: http://a?b=c\n",
    "a question mark, in brackets": "x: [http://a?b=c]\n",
    "a question mark, in a key in braces": "x: {a?: 1}\n",
    "a question mark and a colon at the end, in brackets": "x: [http://a?b:, c::]\n",
    "a question mark in quotes": "x: ['a?', \"b?\"]\n",
    "a quote that touches a text": "x: ['a'b:]\n",
    "tabs after colons": "x:\t1\ny: 1\t\n",
    "a tab for indentation": "x:\n\ty: 1\n",
    "tabs in braces": "x: {\n\ta: 1}\n",
    "a tab on a line of its own": "\t\nx: 1\n",
    "words": "x: [y, n, yes, No, on, OFF, True, null, ~, Null, 'yes']\n",
    "integers": "x: [1_000, 0o17, 017, 0b11, 0x1F, +1, -0, 08, 0x_1]\n",
    "times and versions": "x: [1:30, 190:20:30, 2020-01-01, 2020-01-01T00:00:00Z, 1.2.3, 1e]\n",
    "floats": "x: [1.10, 3.0, 1e3, .5, 5., 12e03, 685.230_15e+03, 1E400]\n",
    "keys": "x: {1: a, on: b, 1.5: c, 0x10: d, 2020-01-01: e}\n",
    "a null key": "x: {~: a}\n",
    "a list as a key": "x: {[a]: b}\n",
    "a key with a question mark": "? x\n: y\n",
    "merged before": "b: &b {v: 1}\nx: {<<: *b, v: 2}\n",
    "merged after": "b: &b {v: 1}\nx: {v: 2, <<: *b}\n",
    "merged lists": "b: &b {v: 1}\nc: &c {v: 2, w: 3}\nx: {<<: [*b, *c]}\n",
    "merged text": "x: {<<: a}\n",
    "anchors": "x: &x [1]\nz: *x\n",
    "anchors with the same name": "x: &x 1\nz: &x 2\nw: *x\n",
    "an anchor that is not there": "x: *nowhere\n",
    "tags of others": "x: !reference [a]\nz: !t 5\nw: !!set {a, b}\n",
    "binary": "x: !!binary aGVsbG8=\n",
    "a number by its tag": "x: !!int '8080'\n",
    "no number by its tag": "x: !!int a\n",
    "blocks": "x: >\n  a\n  b\n\n  c\nz: |+\n  d\n\n",
    "escapes": 'x: "\\x41\\u00e9\\U0001F600\\e\\_"\n',
    "reserved characters": "x: @a\n",
    "a percent sign": "x: %a\n",
    "marks inside": "x: a#b\nz: a #b\nw: -a\nv: ?a\n",
    "line separators": "x: a\u2028b\n",
    "control characters": "x: a\x07b\n",
    "a list without indentation": "x:\n- a\n- b\n",
    "an open bracket": "x: [a\n",
}
DOCUMENTS = {
    "a byte order mark": "\ufeff" + HEAD,
    "two byte order marks": f"{HEAD}---\n\ufeff{OTHER}",
    "ends of lines": f"{HEAD}---\n{OTHER}".replace("\n", "\r\n"),
    "a comment behind the separator": f"{HEAD}--- # more\n{OTHER}",
    "spaces behind the separator": f"{HEAD}---   \n{OTHER}",
    "nothing but comments": f"# a\n---\n# b\n---\n{HEAD}",
    "nothing between separators": f"---\n---\n---\n{HEAD}",
    "null": f"null\n---\n{HEAD}",
    "an end of document": f"{HEAD}...\n---\n{OTHER}",
    "a directive of another version": f"%YAML 1.2\n---\n{HEAD}",
    "JSON": JSON,
    "JSON with tabs": "\t" + JSON.replace(", ", ",\t"),
    "JSON twice": f"{JSON}\n{OTHER_JSON}",
    "JSON after a separator": f"{HEAD}---\n{OTHER_JSON}",
    "YAML that looks like JSON": "{'apiVersion': example.com/v1, 'kind': Foo, metadata: {name: a},}",
    "a comment before JSON": f"# a\n{JSON}",
}
TEXTS = {name: HEAD + text for name, text in FIELDS.items()} | DOCUMENTS


def read_by_kubectl(text: str) -> list[Any] | None:
    """The objects that kubectl reads, None where it refuses the text."""
    command = [str(located("kubectl")), "annotate", "--local", "-f", "-", "x=y", "-o", "json"]
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=False, timeout=180)
    if done.returncode or done.stderr:
        return None
    decoder, printed, objects = json.JSONDecoder(), done.stdout.decode().strip(), []
    while printed:
        found, end = decoder.raw_decode(printed)
        objects += found["items"] if found["kind"] == "List" else [found]
        printed = printed[end:].lstrip()
    for found in objects:
        del found["metadata"]["annotations"]
    return objects


@pytest.mark.parametrize("name", TEXTS)
def test_texts_are_read_as_kubectl_reads_them(name: str) -> None:
    """The same objects, or a problem where kubectl has one."""
    require("kubectl")
    found = list(read_documents(TEXTS[name].encode(), "a.yaml"))
    problems = [str(item) for item in found if isinstance(item, Problem)]
    objects = [item.content for item in found if isinstance(item, RawObject)]
    assert (None if problems else objects) == read_by_kubectl(TEXTS[name]), problems


def test_ipv6_networks_may_end_with_colons() -> None:
    """Also where there is no kubectl to ask; the line of what follows stays right."""
    text = f"{HEAD}x: [192.0.2.1, 2001:db8::]\nz: {{a: fd00::, b: c}}\n---\n{OTHER}"
    found = [item for item in read_documents(text.encode(), "a.yaml") if isinstance(item, RawObject)]
    assert [item.line for item in found] == [1, 7]
    assert (found[0].content["x"], found[0].content["z"]) == (
        ["192.0.2.1", "2001:db8::"],
        {"a": "fd00::", "b": "c"},
    )


def test_items_of_a_list_are_not_read_twice() -> None:
    """Those before a text that only the API server takes went out already."""
    item = "- apiVersion: v1\n  kind: Pod\n  metadata: {name: %s}\n  x: [%s]\n"
    text = (
        f"apiVersion: v1\nkind: List\nitems:\n{item % ('a', 'b')}{item % ('c', 'd::')}{item % ('e', 'f::')}"
    )
    found = [item for item in read_documents(text.encode(), "a.yaml") if isinstance(item, RawObject)]
    assert [item.content["metadata"]["name"] for item in found] == ["a", "c", "e"]
    assert [item.line for item in found] == [4, 8, 12]


def test_a_list_of_thousands_is_read() -> None:
    """In one go, not in one for each of them."""
    networks = [f"fd00:{number:x}::" for number in range(20_000)]
    (found,) = read_documents(f"{HEAD}x: [{', '.join(networks)}]\n".encode(), "a.yaml")
    assert isinstance(found, RawObject)
    assert found.content["x"] == networks


def test_a_text_of_nothing_but_such_colons_is_answered_soon() -> None:
    """On lines of their own each costs a scan, so there is an end to it: a remedy instead of an answer."""
    text = f"{HEAD}x: [\n{','.join([' a:'] * 100_000)} ]\n".replace(",", ",\n")
    (problem,) = (str(item) for item in read_documents(text.encode(), "a.yaml"))
    assert problem.endswith("quote a text that ends with a colon")
