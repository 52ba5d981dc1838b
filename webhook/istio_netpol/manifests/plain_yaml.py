"""Writes plain manifests as YAML, in a tenth of the time that an emitter for all of YAML takes.

A denial and each warning show policies, and writing them out was the greater part of what those cost. What is
not plain, such as a label with a line break, is left to PyYAML, whose text this is otherwise.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import yaml

from istio_netpol.manifests.yaml_scalars import resolve

_PLAIN = re.compile(r"[A-Za-z0-9_/](?:[A-Za-z0-9_/.()-]|[,: ](?=[A-Za-z0-9_/(]))*")
"""What needs no quotes for its characters, and no second look at where it stands."""

_LONGEST_KEY = 100
"""A longer one is written apart from its value, behind a question mark."""

_RESOLVER = yaml.resolver.Resolver()
_TEXT = "tag:yaml.org,2002:str"


class NotPlainError(Exception):
    """Something that only PyYAML knows how to write."""


class PolicyDumper(yaml.CSafeDumper):
    """Writes no anchors: nobody edits policies by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Also quotes texts that only kubectl reads as something else: the labels `y` and `12e4`."""
        quoted = None if isinstance(resolve(text), str) else "'"
        return self.represent_scalar(_TEXT, text, style=quoted)


PolicyDumper.add_representer(str, PolicyDumper.represent_text)


def dump(manifest: Any) -> str:
    """The YAML of mappings, lists, texts and numbers: keys in their order, a line each, no line broken."""
    try:
        lines: list[str] = []
        _write(manifest, "", "", lines)
        return "\n".join(lines) + "\n"
    except NotPlainError:
        return dump_anything(manifest)


def dump_anything(manifest: Any) -> str:
    """The same by PyYAML."""
    text: str = yaml.dump(manifest, Dumper=PolicyDumper, sort_keys=False, width=10**6, allow_unicode=True)
    return text


def _write(value: Any, indent: str, begun: str, lines: list[str]) -> None:
    """Adds the lines of a mapping or list, indented so; the first of them goes on with what is `begun`."""
    if type(value) is dict and value:
        for key, member in value.items():
            if type(key) is not str or len(key) > _LONGEST_KEY:
                raise NotPlainError
            _write_member(f"{begun or indent}{_scalar(key)}:", member, indent, lines)
            begun = ""
    elif type(value) is list and value:
        for member in value:
            if type(member) in (dict, list) and member:
                _write(member, f"{indent}  ", f"{begun or indent}- ", lines)
            else:
                lines.append(f"{begun or indent}- {_leaf(member)}")
            begun = ""
    else:
        raise NotPlainError


def _write_member(key: str, member: Any, indent: str, lines: list[str]) -> None:
    """Adds the lines of a key and its value: a list stands as far left as its key."""
    kind = type(member)
    if kind is str:
        lines.append(f"{key} {_scalar(member)}")
    elif kind in (dict, list) and member:
        lines.append(key)
        _write(member, f"{indent}  " if kind is dict else indent, "", lines)
    else:
        lines.append(f"{key} {_leaf(member)}")


def _leaf(value: Any) -> str:
    """What stands behind a key or a dash on its line."""
    kind = type(value)
    if kind is str:
        return _scalar(value)
    if kind is int:
        return str(value)
    if kind in (dict, list) and not value:
        return "{}" if kind is dict else "[]"
    raise NotPlainError


@lru_cache(maxsize=4096)
def _scalar(text: str) -> str:
    """A text, in quotes where a reader would take it for something else."""
    if _PLAIN.fullmatch(text) is None:
        raise NotPlainError
    tag = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return text if tag == _TEXT and isinstance(resolve(text), str) else f"'{text}'"
