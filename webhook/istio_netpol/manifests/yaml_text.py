"""YAML of plain data, as PyYAML writes it in block style without anchors, at a fraction of its time.

PyYAML makes a node and several events of each value. Nearly all that we write is mappings, sequences, numbers
and words that need no quotes; of anything else the caller has PyYAML write the whole document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from istio_netpol.manifests.yaml_scalars import resolve

_WORDS = re.compile(r"[A-Za-z/](?:[A-Za-z0-9/_.,; -]|:(?=[^ ]))*(?<![ :])")
_RANGE = re.compile(r"[0-9:][0-9a-f.:]*/[0-9]+")
"""What PyYAML writes without quotes: nothing that means something in YAML, no number and no date."""

_LONGEST_KEY = 100
"""A longer key may get a line of its own."""


class NotPlainError(Exception):
    """Something needs quotes, or is of another type."""


def block_style(value: Mapping[str, Any]) -> str:
    """The mapping as a document. Raises NotPlainError where that takes more than plain words."""
    lines: list[str] = []
    _mapping(value, "", "", lines)
    return "".join(lines)


def _mapping(value: Mapping[str, Any], first: str, indent: str, lines: list[str]) -> None:
    """Writes entries at an indent, the first one behind what its line begins with."""
    begin = first
    for key, item in value.items():
        if len(key) > _LONGEST_KEY:
            raise NotPlainError
        word = _scalar(key)
        if isinstance(item, dict) and item:
            lines.append(f"{begin}{word}:\n")
            _mapping(item, f"{indent}  ", f"{indent}  ", lines)
        elif isinstance(item, list) and item:
            lines.append(f"{begin}{word}:\n")
            _sequence(item, indent, indent, lines)
        else:
            lines.append(f"{begin}{word}: {_scalar(item)}\n")
        begin = indent


def _sequence(value: list[Any], first: str, indent: str, lines: list[str]) -> None:
    begin = first
    for item in value:
        if isinstance(item, dict) and item:
            _mapping(item, f"{begin}- ", f"{indent}  ", lines)
        elif isinstance(item, list) and item:
            _sequence(item, f"{begin}- ", f"{indent}  ", lines)
        else:
            lines.append(f"{begin}- {_scalar(item)}\n")
        begin = indent


def _scalar(value: Any) -> str:
    """A value that needs one line, and nothing but the characters that it consists of."""
    if isinstance(value, str):
        is_plain = _WORDS.fullmatch(value) and isinstance(resolve(value), str)
        if not is_plain and not _RANGE.fullmatch(value):
            raise NotPlainError
        return value
    if isinstance(value, bool) or value is None:
        raise NotPlainError
    if isinstance(value, int):
        return str(value)
    if value == {}:
        return "{}"
    if value == []:
        return "[]"
    raise NotPlainError
