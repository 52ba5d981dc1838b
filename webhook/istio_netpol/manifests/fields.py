"""Reads the fields of one object, and collects what is wrong with them by field path."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Self, TypeVar

from istio_netpol.errors import Problem
from istio_netpol.manifests.placeholders import placeholder_in
from istio_netpol.printable import without_secrets

F = TypeVar("F", bound="Fields")


class Fields:
    """A mapping within an object, its path, and the list that all problems of the object go to.

    Accessors return what the field holds, or a default where it is absent or null, which the API server
    treats alike; a wrong type is a problem and counts as absent.
    """

    __slots__ = ("_origin", "_problems", "content", "path")

    def __init__(
        self, content: Mapping[str, Any], path: str, origin: tuple[str, int, str], problems: list[Problem]
    ) -> None:
        self.content = content
        self.path = path
        self._origin = origin
        self._problems = problems

    def __bool__(self) -> bool:
        return bool(self.content)

    def has(self, name: str) -> bool:
        return self.content.get(name) is not None

    def at(self, name: str) -> str:
        """The path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def problem(self, path: str, value: object, cause: str, remedy: str | None = None) -> None:
        """Notes what is wrong with a field; `value` is None where showing it would not help. A placeholder
        that nobody filled in has a remedy of its own."""
        if isinstance(value, str) and (hint := placeholder_in(value)):
            cause, remedy = "is not filled in", hint
        file, line, described = self._origin
        shown = None if value is None else _shown(value)
        place = without_secrets(path)
        self._problems.append(Problem(file, line or None, described, place, shown, cause, remedy))

    def doubt(self, path: str, value: object, cause: str) -> None:
        """A problem in a manifest of which nobody has seen whether the API server takes it as it is."""
        self.problem(path, value, cause)

    def allow_only(self, *names: str) -> None:
        """Problems for all other fields: the API server drops or refuses them, so what they say is lost."""
        for name in self.content:
            if name in names:
                continue
            close = get_close_matches(name, names, 1)
            remedy = f"write {close[0]}" if close else f"use {', '.join(names[:-1])} or {names[-1]}"
            self.problem(self.at(name), None, "is not a field that Kubernetes knows here", remedy)

    def text(self, name: str, default: str = "") -> str:
        value = self.content.get(name)
        if value is None:
            return default
        if isinstance(value, str):
            return self._filled_in(self.at(name), value)
        self.problem(self.at(name), value, f"is {_kind(value)}, not a string", _quoting(value))
        return default

    def document(self, name: str) -> str:
        """A text that holds a document of its own, with whatever braces that has."""
        value = self.content.get(name)
        return _kept(value) if isinstance(value, str) else self.text(name)

    def integer(self, name: str, default: int = 0) -> int:
        value = self.content.get(name)
        if value is None:
            return default
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        self.problem(self.at(name), value, f"is {_kind(value)}, not a whole number")
        return default

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.content.get(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        self.problem(self.at(name), value, f"is {_kind(value)}, not true or false")
        return default

    def integer_or_text(self, name: str) -> int | str | None:
        value = self.content.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        if isinstance(value, str):
            return self._filled_in(self.at(name), value)
        self.problem(self.at(name), value, f"is {_kind(value)}, not a number or a name")
        return None

    def mapping(self, name: str) -> Self:
        """The mapping of that name; an empty one where it is absent."""
        value = self.content.get(name)
        if value is not None and not isinstance(value, dict):
            self.problem(self.at(name), value, f"is {_kind(value)}, not a mapping")
            value = None
        return type(self)(value or {}, self.at(name), self._origin, self._problems)

    def nested(self, content: Mapping[str, Any], path: str) -> Fields:
        """A mapping that was found inside a field, such as YAML in a string."""
        return Fields(content, path, self._origin, self._problems)

    def apart(self, type_: type[F], content: Mapping[str, Any], path: str, problems: list[Problem]) -> F:
        """The same, read in a way of its own, with its problems apart from the object's."""
        return type_(content, path, self._origin, problems)

    def optional(self, name: str) -> Self | None:
        """The mapping of that name, or None where it is absent: for fields whose presence means something."""
        return self.mapping(name) if self.has(name) else None

    def mappings(self, name: str) -> Iterator[Self]:
        """The mappings of a list; anything else in it is a problem."""
        for index, value in enumerate(self._list(name)):
            path = f"{self.at(name)}[{index}]"
            if isinstance(value, dict):
                yield type(self)(value, path, self._origin, self._problems)
            else:
                self.problem(path, value, f"is {_kind(value)}, not a mapping")

    def texts(self, name: str) -> tuple[str, ...]:
        """The strings of a list."""
        values = self._list(name)
        if all(type(value) is str and "{" not in value for value in values):
            return tuple(map(_kept, values))
        found = []
        for index, value in enumerate(values):
            if isinstance(value, str):
                found.append(self._filled_in(f"{self.at(name)}[{index}]", value))
            else:
                self.problem(
                    f"{self.at(name)}[{index}]",
                    value,
                    f"is {_kind(value)}, not a string",
                    _quoting(value),
                )
        return tuple(found)

    def strings(self, name: str) -> dict[str, str]:
        """A mapping of strings, such as labels."""
        fields = self.mapping(name)
        found = {}
        for key, value in fields.content.items():
            if isinstance(value, str):
                found[sys.intern(key)] = _kept(value)
            elif value is not None:
                fields.problem(
                    f"{fields.path}[{key}]",
                    value,
                    f"is {_kind(value)}, not a string",
                    _quoting(value),
                )
            else:
                found[sys.intern(key)] = ""
        return found

    def _filled_in(self, path: str, text: str) -> str:
        """The text; a problem where it is still a placeholder, whose value decides what is judged."""
        if "{" in text and placeholder_in(text):
            self.doubt(path, text, "is not filled in")
        return _kept(text)

    def _list(self, name: str) -> list[Any]:
        value = self.content.get(name)
        if value is None or isinstance(value, list):
            return value or []
        self.problem(self.at(name), value, f"is {_kind(value)}, not a list")
        return []


class FieldsFromApi(Fields):
    """The fields of an object that the API server takes as it is: what it lets pass is what the object says.
    Were that a problem, its author could have the object left out, and so nothing of it judged."""

    __slots__ = ()

    def doubt(self, path: str, value: object, cause: str) -> None:
        """Nothing is in doubt."""


def _kept(text: str) -> str:
    """A text as it enters the model: shared with equal ones, and without credentials."""
    return sys.intern(without_secrets(text) if "@" in text or "//" in text else text)


def _kind(value: object) -> str:
    names = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "a list",
        dict: "a mapping",
    }
    return "null" if value is None else names.get(type(value), type(value).__name__)


def _quoting(value: object) -> str:
    """How to make a text of the value. Only whole numbers are sure to be shown as they were written."""
    if isinstance(value, bool):
        return "quote it; YAML takes y, yes and on for true, and n, no and off for false"
    return f'quote it: "{value}"' if isinstance(value, int) else "quote it"


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(value: object) -> str:
    text = without_secrets(_plain(value) if not isinstance(value, str) else f'"{value}"')
    return text if len(text) <= 60 else text[:57] + "..."
