"""From the text of a settings file to `Settings`, with every mistake named at once.

The keys are the field names of `model.settings` in camelCase, so that a new field needs no code here; a
number or an address has a row in `values.LIMITS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import yaml
from msgspec.structs import replace

from istio_netpol.config.names import fields_by_key, is_group
from istio_netpol.config.values import KEYS, WrongValueError, contradictions, enum_value, limit_of, scalar
from istio_netpol.errors import Problem, SettingsError
from istio_netpol.model.settings import Settings

API_VERSION, KIND = "istio-netpol.io/v1", "Settings"
_REMEDIES = {
    "found character '\\t' that cannot start any token": "indent by spaces, not by tabs",
    "mapping values are not allowed here": "indent it as its neighbours are, or quote the text",
}
_HEADER = {"apiVersion": API_VERSION, "kind": KIND}


def load_settings(text: str | None, file: str, dns_addresses: Sequence[str] = ()) -> Settings:
    """The settings that the text spells, with defaults for the rest; only defaults where there is no text.

    `file` is what messages call it, `dns_addresses` what is known besides of where DNS answers. Raises
    SettingsError with a line a mistake.
    """
    if text is None:
        return _with_dns(Settings(), dns_addresses)
    reader = _SettingsReader(file)
    settings = reader.settings(text)
    if settings is not None:
        settings = _with_dns(settings, dns_addresses)
    if not reader.problems and settings is not None:
        for path, cause, remedy in contradictions(settings):
            reader.problems.append(Problem(file, reader.line(path), None, path, None, cause, remedy))
    if reader.problems or settings is None:
        raise SettingsError("\n".join(str(problem) for problem in reader.problems))
    return settings


def _with_dns(settings: Settings, addresses: Sequence[str]) -> Settings:
    known = tuple(dict.fromkeys((*settings.dns.addresses, *addresses)))
    return replace(settings, dns=replace(settings.dns, addresses=known))


class _SettingsReader:
    """Walks the YAML nodes of one file and collects what is wrong with them."""

    def __init__(self, file: str) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._lines: dict[str, int] = {}

    def settings(self, text: str) -> Settings | None:
        """The settings, or None where no settings can be made of the text at all."""
        try:
            node = yaml.compose(text, yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else None
            self._wrong(line, None, None, *_not_yaml(error))
            return None
        except (yaml.YAMLError, RecursionError) as error:
            self._wrong(None, None, None, f"is not valid YAML: {error}")
            return None
        if not isinstance(node, yaml.MappingNode):
            what = "holds nothing" if node is None else "is not a mapping"
            self._wrong(None, None, None, what, f"start with apiVersion: {API_VERSION} and kind: {KIND}")
            return None
        entries = self._entries(node, "")
        self._header(entries, node)
        made: Settings = self._record(Settings, entries, "")
        return made

    def line(self, path: str) -> int | None:
        """Where a path, or the nearest one above it that the file has, is set."""
        while path and path not in self._lines:
            path = path.rpartition(".")[0]
        return self._lines.get(path)

    def _header(self, entries: dict[str, yaml.Node], node: yaml.Node) -> None:
        for key, expected in _HEADER.items():
            found = entries.pop(key, None)
            value = found.value if isinstance(found, yaml.ScalarNode) else None
            if value != expected:
                where = (found or node).start_mark.line + 1
                cause = "is missing" if found is None else "is not what this version reads"
                self._wrong(where, key, value, cause, f"write {key}: {expected}")

    def _entries(self, node: yaml.MappingNode, path: str) -> dict[str, yaml.Node]:
        entries: dict[str, yaml.Node] = {}
        for key_node, value_node in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._wrong(line, path or None, None, "has a key that is not a text")
                continue
            if key in entries:
                self._wrong(line, _join(path, key), None, "is set twice", "keep one of them")
            entries[key] = value_node
            self._lines[_join(path, key)] = line
        return entries

    def _record(self, type_: Any, entries: dict[str, yaml.Node], path: str) -> Any:
        """A group of settings; an empty value leaves the default."""
        hints, keys = get_type_hints(type_), fields_by_key(type_)
        values = {}
        for key, node in entries.items():
            where = _join(path, key)
            if key not in keys:
                close = get_close_matches(key, [*keys, *(_HEADER if not path else ())], n=1)
                known = f"did you mean {close[0]}?" if close else f"known here: {', '.join(keys)}"
                self._wrong(self._lines[where], where, None, "is not a setting", known)
            elif not _is_null(node):
                value = self._value(hints[keys[key].name], node, where)
                if value is not _NOTHING:
                    values[keys[key].name] = value
        return type_(**values)

    def _value(self, hint: Any, node: yaml.Node, path: str) -> Any:
        if isinstance(hint, UnionType):
            hint = next(variant for variant in get_args(hint) if variant is not type(None))
        if is_group(hint):
            if isinstance(node, yaml.MappingNode):
                return self._record(hint, self._entries(node, path), path)
            return self._mistyped(node, path, "a mapping")
        if get_origin(hint) is tuple:
            return self._list(get_args(hint)[0], node, path)
        if get_origin(hint) is not None:
            return self._mapping(get_args(hint)[1], node, path)
        return self._scalar(hint, node, path)

    def _list(self, item: Any, node: yaml.Node, path: str) -> Any:
        if not isinstance(node, yaml.SequenceNode):
            return self._mistyped(node, path, "a list")
        values = [self._value(item, entry, f"{path}[{index}]") for index, entry in enumerate(node.value)]
        return _NOTHING if _NOTHING in values else tuple(values)

    def _mapping(self, item: Any, node: yaml.Node, path: str) -> Any:
        if not isinstance(node, yaml.MappingNode):
            return self._mistyped(node, path, "a mapping")
        entries = self._entries(node, path)
        for key in entries:
            self._check_key(path, key)
        values = {key: self._value(item, entry, _join(path, key)) for key, entry in entries.items()}
        return _NOTHING if _NOTHING in values.values() else values

    def _check_key(self, path: str, key: str) -> None:
        if path not in KEYS:
            return
        where = _join(path, key)
        try:
            KEYS[path](key)
        except WrongValueError as wrong:
            self._wrong(self._lines[where], where, None, wrong.cause, wrong.remedy)

    def _scalar(self, hint: Any, node: yaml.Node, path: str) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            return self._mistyped(node, path, "a single value")
        try:
            value = enum_value(hint, node.value) if hint not in (str, int, bool) else scalar(hint, node)
            limit = limit_of(path)
            if limit is not None:
                limit(value)
        except WrongValueError as wrong:
            self._wrong(node.start_mark.line + 1, path, node.value, wrong.cause, wrong.remedy)
            return _NOTHING
        return value

    def _mistyped(self, node: yaml.Node, path: str, wanted: str) -> Any:
        found = {
            yaml.ScalarNode: "a single value",
            yaml.SequenceNode: "a list",
            yaml.MappingNode: "a mapping",
        }
        self._wrong(node.start_mark.line + 1, path, None, f"is {found[type(node)]}, not {wanted}")
        return _NOTHING

    def _wrong(
        self, line: int | None, path: str | None, value: str | None, cause: str, remedy: str | None = None
    ) -> None:
        self.problems.append(Problem(self._file, line, None, path, value, cause, remedy))


def _not_yaml(error: yaml.MarkedYAMLError) -> tuple[str, str | None]:
    """Cause and remedy, where PyYAML's own words say what is wrong only to who knows its code."""
    if error.problem == "but found another document":
        return "holds a second document, and settings are one", "keep the one with kind: Settings"
    problem = error.problem or error.context or ""
    return f"is not valid YAML: {problem}", _REMEDIES.get(problem)


_NOTHING: Any = object()
"""Stands for a value that could not be read; its problem is noted."""


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
