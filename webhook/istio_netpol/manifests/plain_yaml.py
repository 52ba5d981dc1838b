"""YAML of values whose text needs no quotes, as policies have it.

It is what PyYAML writes of the same values, to the byte, in a fifth of the time: PyYAML builds a node of
every scalar and tries it against the pattern of every type, which took half of the time of a refusal.
"""

from __future__ import annotations

import re
from typing import Any

from istio_netpol.manifests.yaml_scalars import resolve

_WORD = r"[A-Za-z][A-Za-z0-9_./-]*"
_PLAIN = re.compile(rf"{_WORD}(?:, {_WORD})*|[0-9][0-9.]*/[0-9]+", re.ASCII)
"""Names, lists of names, IPv4 blocks: without what means something in YAML, and what begins no number."""

_LONGEST_KEY = 120
"""Longer keys, from 128 characters on, are written in another form."""


class NotPlainError(ValueError):
    """A text that must be quoted, or may have to be."""


def plain_yaml(content: dict[str, Any]) -> str:
    """A mapping of mappings, lists, texts and integers in block style; raises NotPlainError where a text is
    not plain."""
    lines: list[str] = []
    _mapping(content, "", "", lines)
    return "".join(lines)


def _mapping(content: dict[str, Any], first: str, indent: str, lines: list[str]) -> None:
    """Adds the lines of a mapping; `first` stands before the first of them, `indent` before the others."""
    for key, value in content.items():
        if len(key) > _LONGEST_KEY:
            raise NotPlainError(key)
        if not value or not isinstance(value, dict | list):
            lines.append(f"{first}{_scalar(key)}: {_scalar(value)}\n")
        else:
            lines.append(f"{first}{_scalar(key)}:\n")
            if isinstance(value, dict):
                _mapping(value, f"{indent}  ", f"{indent}  ", lines)
            else:
                _sequence(value, indent, lines)
        first = indent


def _sequence(content: list[Any], indent: str, lines: list[str]) -> None:
    for value in content:
        if value and isinstance(value, dict):
            _mapping(value, f"{indent}- ", f"{indent}  ", lines)
        else:
            lines.append(f"{indent}- {_scalar(value)}\n")


def _scalar(value: Any) -> str:
    """A text, an integer, or what is empty."""
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and isinstance(resolve(value), str):
            return value
    elif value in ({}, []):
        return "[]" if isinstance(value, list) else "{}"
    elif type(value) is int:
        return str(value)
    raise NotPlainError(str(value))
