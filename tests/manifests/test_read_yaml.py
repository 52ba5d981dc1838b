"""Reading YAML: documents, scalars, keys, anchors, and what is said of text that can't be used."""

from __future__ import annotations

import io
from typing import Any

import pytest

from istio_netpol.errors import InputError, Problem
from istio_netpol.manifests.raw_objects import Document, OtherDocument
from istio_netpol.manifests.read import RawObject, read_documents

POD = "apiVersion: v1\nkind: Pod\n"
HELM = "this looks like a Helm template; render it first: helm template CHART | istio-netpol … -"
ENVSUBST = "this looks like a variable for envsubst; fill it in first: envsubst < FILE | istio-netpol … -"


def read(text: str | bytes, file: str = "shop.yaml") -> list[Document]:
    data = text.encode() if isinstance(text, str) else text
    return list(read_documents(data, file))


def told(text: str | bytes, file: str = "shop.yaml") -> list[str]:
    return [str(found) for found in read(text, file) if isinstance(found, Problem)]


def objects(text: str | bytes) -> list[RawObject]:
    assert told(text) == []
    return [found for found in read(text) if isinstance(found, RawObject)]


def spec_of(text: str) -> Any:
    (found,) = objects(f"{POD}spec: {text}\n")
    return found.content["spec"]


def test_documents_have_their_own_lines() -> None:
    """A document's line is that of its first key, after comments and markers."""
    found = objects(f"# Source: shop/pod.yaml\n{POD}---\n# a comment\n\n{POD}")
    assert [item.line for item in found] == [2, 7]


def test_empty_documents_are_skipped() -> None:
    """Documents of nothing but comments, as Helm leaves them, are no objects and no problems."""
    assert read("---\n# Source: x\n---\n\n---\nnull\n---\n") == []


def test_windows_line_ends_are_read() -> None:
    """Carriage returns before line feeds change neither values nor lines."""
    found = objects((POD + "---\n" + POD).replace("\n", "\r\n"))
    assert [(item.content["kind"], item.line) for item in found] == [("Pod", 1), ("Pod", 4)]


def test_a_directive_belongs_to_the_document_after_it() -> None:
    """A YAML directive before the marker is no document of its own."""
    assert [item.line for item in objects(f"%YAML 1.1\n---\n{POD}")] == [3]


def test_a_marker_across_pieces_of_the_stream_is_seen() -> None:
    """Streams are cut right wherever the pieces happen to end."""
    text = "---\n".join(f"{POD}metadata: {{name: p{number}}}\n" for number in range(5000))
    found = list(read_documents(io.BytesIO(text.encode()), "shop.yaml"))
    lines = [item.line for item in found if isinstance(item, RawObject)]
    assert lines == [1 + 4 * number for number in range(5000)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("Off", False),
        ("y", True),
        ("~", None),
        ("null", None),
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 15),
        ("-0b11", -3),
        ("1_000", 1000),
        ("08", 8),
        ("1e3", 1000),
        ("1.5", 1.5),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("100m", "100m"),
        ("0x", "0x"),
        ("18446744073709551616", 18446744073709551616),
        ("'8080'", "8080"),
        ('"yes"', "yes"),
        ("!!str 8080", "8080"),
        ("!!int '8080'", 8080),
        ("! 8080", "8080"),
    ],
)
def test_scalars_are_resolved_as_kubectl_does(text: str, value: object) -> None:
    """Plain scalars follow go-yaml v2, quoted ones are strings, tags are obeyed."""
    found = spec_of(text)
    assert (found, type(found)) == (value, type(value))


def test_keys_become_strings() -> None:
    """Keys that are numbers or booleans become what JSON has for them."""
    assert list(spec_of("{on: a, 8080: b, 1.5: c, 0x10: d, 'no': e}")) == ["true", "8080", "1.5", "16", "no"]


def test_a_null_key_is_a_problem() -> None:
    """JSON has no null key."""
    assert told(f"{POD}~: x\n") == ["shop.yaml:3: Pod: a key is null; keys are texts: quote it"]


def test_a_template_is_recognised_by_its_key() -> None:
    """Unrendered Helm templates parse as mappings of mappings; the message says what they are."""
    assert told(f"{POD}spec: {{{{ .Values.x }}}}\n") == [
        "shop.yaml:3: Pod: spec: a key is not a text; quote it, unless it was written as {{ … }}: " + HELM
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("{{- if .Values.x }}\nkind: Pod\n{{- end }}\n", HELM),
        ("kind: Pod\nspec:\n  {{- toYaml . | nindent 2 }}\n  a: b\n", HELM),
        ("kind: Pod\nspec:\n  {{- range .Values.x }}\n- a\n  {{- end }}\n", HELM),
        ("kind: Pod\nspec:\n${SPEC}\n", ENVSUBST),
        ("kind: Pod\nspec: {a: ${A}, b: ${B: 1}\n", ENVSUBST),
    ],
)
def test_placeholders_are_recognised_where_yaml_breaks(text: str, hint: str) -> None:
    """Wherever the parser stumbles over them."""
    (problem,) = told(text)
    assert problem.endswith(f"; {hint}")


@pytest.mark.parametrize(
    "text",
    [
        "replicas: 2\nimage: {tag: '1'}\n",
        "- op: remove\n  path: /spec/replicas\n",
        "just words\n",
        "a: !reference [b]\na: 1\n",
        "items: [1, 2]\n",
        "panels: []\ntitle: Dashboard\n",
        "metadata: {}\n",
    ],
)
def test_what_is_no_object_is_not_a_problem(text: str) -> None:
    """Values, patches and dashboards lie beside manifests; they are told apart, with their line."""
    found = read(f"{POD}---\n# a comment\n{text}---\n{POD}")
    assert [type(item) for item in found] == [RawObject, OtherDocument, RawObject]
    assert [getattr(item, "line", None) for item in found] == [1, 5, 6 + text.count("\n")]


def test_merge_keys_fill_in_what_is_missing() -> None:
    """What a mapping says itself wins over what it merges."""
    found = spec_of("{a: &a {x: 1, y: 2}, b: {<<: *a, x: 3}}".replace("y:", "'y':"))
    assert found["b"] == {"x": 3, "y": 2}


def test_aliases_repeat_their_anchor() -> None:
    """An alias has the value of its anchor."""
    assert spec_of("{a: &a [1], b: *a}") == {"a": [1], "b": [1]}


def test_an_anchor_in_a_skipped_field_can_be_used() -> None:
    """What no rule reads is still built where an alias may need it."""
    found = spec_of("{volumes: &v [{name: x}], other: *v}")
    assert found == {"other": [{"name": "x"}]}


def test_alias_bombs_are_refused() -> None:
    """Aliases of aliases that would grow without bound are refused."""
    rows = [
        f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n"
        for before, name in zip("abcdef", "bcdefg", strict=True)
    ]
    text = POD + "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(rows)
    assert told(text) == ["shop.yaml:7: e[7]: aliases repeat more than 100000 values; use fewer of them"]


def test_an_alias_within_its_anchor_is_refused() -> None:
    """A value can't contain itself."""
    assert told(f"{POD}a: &x [*x]\n") == [
        "shop.yaml:3: a[0]: the alias *x stands within the value that it repeats; move it out of there"
    ]


def test_an_alias_without_anchor_is_a_problem() -> None:
    """An alias needs an anchor before it."""
    assert told(f"{POD}a: *x\n") == [
        'shop.yaml:3: a: the alias *x has no anchor &x before it; quote a text that begins with *: "*x"'
    ]


@pytest.mark.parametrize("text", ["[" * 250, "\n" + "".join("  " * n + "a:\n" for n in range(1, 250))])
def test_deep_nesting_is_refused(text: str) -> None:
    """Nesting that no Kubernetes object has is refused before it exhausts the stack."""
    assert [line.partition(": ")[2] for line in told(f"{POD}x: {text}")] == [
        "is nested deeper than 200 levels; nest it less deeply"
    ]


def test_duplicate_keys_are_all_told() -> None:
    """Every repeated key is told with both lines, the field's path and the object, which is not yielded."""
    text = f"{POD}metadata:\n  name: cart\n  namespace: shop\nspec:\n  a:\n  - b: 1\n    b: 2\n  a: 3\n"
    assert [str(found) for found in read(text)] == [
        "shop.yaml:9: Pod shop/cart: spec.a[0].b: the key is given twice (first at line 8); keep one of them",
        "shop.yaml:10: Pod shop/cart: spec.a: the key is given twice (first at line 7); keep one of them",
    ]


def test_keys_that_are_repeated_without_end_are_not_all_told() -> None:
    """A stream of the same line is not a manifest, and its mistakes must not fill the memory."""
    found = told(POD + "a: 1\n" * 100_000)
    assert len(found) == 101
    assert found[-1] == "shop.yaml:104: Pod: more keys are given twice; check that this is a manifest"


def test_a_duplicate_of_a_skipped_field_is_told() -> None:
    """A field that no rule reads is still one that the API server refuses to see twice."""
    text = f"{POD}spec:\n  containers:\n  - image: a\n    image: b\n"
    place = "shop.yaml:6: Pod: spec.containers[0].image"
    assert told(text) == [f"{place}: the key is given twice (first at line 5); keep one of them"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{POD}\tx: 1\n", "shop.yaml:3: a tab is used for indentation; YAML allows spaces only"),
        (f"{POD}spec:\n\tx: 1\n", "shop.yaml:4: a tab is used for indentation; YAML allows spaces only"),
        (
            "a: b: c\n",
            "shop.yaml:1: is not valid YAML: mapping values are not allowed in this context; "
            "indent it as its neighbours are, or quote the text",
        ),
        (
            'a: "b\n',
            "shop.yaml:2: is not valid YAML: found unexpected end of stream while scanning a quoted scalar "
            "that begins at line 1; close the quote",
        ),
        (b"a: 1\nb: \xff\n", "shop.yaml:2: byte 8 (0xff) is not UTF-8; save the file as UTF-8"),
        ("a: \0\n", "shop.yaml:1: byte 3 is the control character U+0000, which YAML forbids; remove it"),
        (
            "- {apiVersion: v1, kind: Pod}\n",
            "shop.yaml:1: the document is a list of objects, which the API server does not take; write them "
            "as documents, with --- between them, or as the items of a List",
        ),
        (
            f"%YAML 1.2\n---\n{POD}",
            "shop.yaml:1: is a version of YAML that the API server does not parse; remove the line %YAML",
        ),
        (
            f"{POD}x: [a, http://b?c]\n",
            "shop.yaml:3: is not valid YAML: a text within brackets has a question mark; quote it",
        ),
        (
            f"{POD}x: !!binary a\n",
            "shop.yaml:3: Pod: x: is not base64, as its tag !!binary says; remove the tag",
        ),
        (f"{POD}x: !!int a\n", "shop.yaml:3: Pod: x: is not what its tag !!int says; remove the tag"),
        (
            f"{POD}x: .nan\n",
            "shop.yaml:1: Pod: .nan: is a number that JSON, and so Kubernetes, can't express",
        ),
        (
            "kind: Pod\n",
            "shop.yaml:1: Pod: apiVersion: is missing; every Kubernetes object names its apiVersion and kind",
        ),
        ("apiVersion: 1\nkind: Pod\n", "shop.yaml:1: Pod: apiVersion: is a number, not a text; quote it"),
    ],
)
def test_unusable_text_is_told(text: str | bytes, message: str) -> None:
    """Each kind of unusable text has its place and its remedy."""
    assert told(text) == [message]


@pytest.mark.parametrize("text", ["metadata: {name: a}\n", "metadata: {labels: {a: b}}\nspec: {}\n"])
def test_an_object_that_lost_its_head_is_a_problem(text: str) -> None:
    """Nothing but an object has such metadata."""
    missing = [problem.removesuffix("; every Kubernetes object names its apiVersion and kind")
               for problem in told(text)]  # fmt: skip
    assert [problem.split(": ")[-2:] for problem in missing] == [
        ["apiVersion", "is missing"],
        ["kind", "is missing"],
    ]


def test_errors_of_all_documents_are_told() -> None:
    """An error in one document hides neither the objects nor the errors of the others."""
    found = read(f"a: 'x\n---\n{POD}---\nb: \xff[\n---\n{POD}".encode("latin-1"))
    assert [type(item) for item in found] == [Problem, RawObject, Problem, RawObject]
    assert [item.line for item in found] == [2, 3, 6, 8]


def test_byte_order_marks_are_accepted() -> None:
    """UTF-8 with a mark and UTF-16 with a mark read like UTF-8 without."""
    plain = objects(POD)
    assert objects("\ufeff" + POD) == plain
    assert objects(POD.encode("utf-16")) == plain


def test_flow_mappings_that_look_like_json_are_read() -> None:
    """A document that begins with a brace and is no JSON is YAML."""
    found = objects('{"apiVersion": "v1", "kind": "Pod"}\n---\n{apiVersion: v1,\n kind: Node}\n')
    assert [(item.content["kind"], item.line) for item in found] == [("Pod", 1), ("Node", 3)]


def test_input_errors_list_all_problems() -> None:
    """An InputError's text has a line for each problem."""
    problems = [found for found in read("- 1\n---\nkind: Pod\n") if isinstance(found, Problem)]
    assert str(InputError(problems)) == "\n".join(told("- 1\n---\nkind: Pod\n"))


def test_a_problem_names_field_and_value() -> None:
    """A problem reads place, object, field, value, cause and remedy."""
    problem = Problem(
        "a.yaml", 3, "Service shop/cart", "spec.ports[0].port", "0", "is not a port", "use 1 to 65535"
    )
    assert (
        str(problem) == "a.yaml:3: Service shop/cart: spec.ports[0].port = 0: is not a port; use 1 to 65535"
    )


def test_a_third_key_is_told_with_the_first() -> None:
    """However often a key is repeated, the message points to its first line."""
    assert told(f"{POD}x: 1\nx: 2\nx: 3\n") == [
        "shop.yaml:4: Pod: x: the key is given twice (first at line 3); keep one of them",
        "shop.yaml:5: Pod: x: the key is given twice (first at line 3); keep one of them",
    ]
