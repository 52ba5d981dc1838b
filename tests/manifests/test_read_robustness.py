"""Whatever the bytes, reading ends, raises nothing and gives what JSON can carry."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from istio_netpol.errors import Problem
from istio_netpol.manifests.read import RawObject, read_documents

_MANIFEST = (
    "apiVersion: v1\nitems:\n- &p\n  apiVersion: v1\n  kind: Pod\n  metadata: &m {name: a}\n- *p\n"
    "- apiVersion: v1\n  items:\n  - {kind: Pod, <<: *m}\n  kind: PodList\nkind: List\n---\n"
    '{"apiVersion": "v1", "kind": "Pod", "a": [1, 2.5, "\\ud800"]}\n'
)
_TOKENS = (
    *(
        "---\n",
        "...\n",
        "\n",
        "  ",
        "- ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "&a ",
        "*a",
        "<<: *m",
        "? ",
        "|\n",
        "%YAML",
    ),
    *("!!int ", "!x ", '"', "'", "\t", "\0", "\ufeff", "\x85", "items:\n", "kind: List\n", ".nan", "9" * 500),
)
_EDITS = st.lists(
    st.tuples(st.integers(0, len(_MANIFEST)), st.integers(0, 30), st.sampled_from(_TOKENS)), max_size=6
)


def read_all(data: bytes, file: str) -> None:
    for found in read_documents(data, file):
        if isinstance(found, Problem):
            assert str(found).startswith(file)
        elif isinstance(found, RawObject):
            json.dumps(found.content, allow_nan=False)


@given(st.binary(max_size=200), st.sampled_from(["a.yaml", "a.json"]))
def test_any_bytes_are_read(data: bytes, file: str) -> None:
    """Bytes of any kind give objects and problems, never an exception."""
    read_all(data, file)


@given(_EDITS, st.sampled_from(["a.yaml", "a.json"]))
def test_any_damage_to_a_manifest_is_read(edits: list[tuple[int, int, str]], file: str) -> None:
    """A manifest with pieces cut out and put in gives objects and problems, never an exception."""
    text = _MANIFEST
    for at, length, token in edits:
        text = text[:at] + token + text[at + length :]
    read_all(text.encode(), file)
    read_all(text[text.find("{") :].encode(), file)
