"""JSON that is nested deeper than a decoder goes: one object of it must not hide all others of a page.

The API server stores what is nested ten thousand levels deep where a schema keeps unknown fields, such as in
an EnvoyFilter (sigs.k8s.io/json, `maxNestingDepth`).
"""

from __future__ import annotations

import re

DEEPEST = 200
"""Levels that are kept, those of the page included."""

TOO_DEEP = rb'"\u0074oo deep"'
"""Stands for what is nested deeper. Nobody can write it into an object: the API server escapes no letters."""

_MARKS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]', re.DOTALL)


def cut(text: bytes) -> bytes:
    """The JSON with `TOO_DEEP` in place of every mapping and list below the deepest level."""
    kept: list[bytes] = []
    depth = start = 0
    for mark in _MARKS.finditer(text):
        if mark[0] in (b"{", b"["):
            depth += 1
            if depth == DEEPEST + 1:
                kept += (text[start : mark.start()], TOO_DEEP)
        elif mark[0] in (b"}", b"]"):
            if depth == DEEPEST + 1:
                start = mark.end()
            depth -= 1
    if depth <= DEEPEST:
        kept.append(text[start:])
    return b"".join(kept)
