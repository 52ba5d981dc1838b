"""Reads JSON: one object, a List, or several one after the other as kubectl writes them into a pipe.

The text is walked by hand only down to the items of a List, which gives each its line; each value is
decoded by the standard library's scanner.
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_left
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import islice
from typing import Any

from msgspec.structs import replace

from istio_netpol.errors import Problem
from istio_netpol.manifests.raw_objects import (
    DEPTH_LIMIT,
    LIST_DEPTH_LIMIT,
    LIST_OF_OBJECTS,
    LIST_REMEDY,
    MORE_REPEATED,
    MOST_REPEATED,
    Document,
    Envelope,
    OtherDocument,
    complete,
    describe,
    holds_objects,
    is_typed,
)
from istio_netpol.manifests.trimming import trim
from istio_netpol.model.json_values import JsonObject

_SPACE = re.compile(r"[ \t\r\n]*")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class JsonError(ValueError):
    """Text that is not JSON, and the index at which it is not."""

    def __init__(self, cause: str, at: int) -> None:
        super().__init__(cause)
        self.cause = cause
        self.at = at


class BadValueError(ValueError):
    """A constant or number that JSON or the API server doesn't know; the text says which."""


class JsonDocuments:
    """The documents of one text. `documents` raises JsonError where the text is not JSON; `resume_at` and
    `yielded` then say where the document at fault begins and whether objects of it went out already."""

    def __init__(self, text: str, file: str) -> None:
        self.resume_at = 0
        self.yielded = False
        self._text = text
        self._file = file
        self._duplicated = False
        # Lines are counted onwards from the last place asked for; going back, as messages do, takes an index.
        self._counted = (0, 1)
        self._line_ends: list[int] | None = None
        self._scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder(
            object_pairs_hook=self._mapping, parse_constant=_refuse_constant, parse_float=_finite
        ).scan_once  # type: ignore[attr-defined]
        self._escapes = _SURROGATE.search(text) is not None

    def documents(self) -> Iterator[Document]:
        """The objects and problems of all documents."""
        at = self._space(0)
        while at < len(self._text):
            self.resume_at, self.yielded = at, False
            if self._text[at] == "{":
                at, untyped, line = yield from self._object(at, depth=0)
                if untyped is not None:
                    yield from complete(Envelope(line, untyped), self._file)
            else:
                value, end = self._stray(at)
                if holds_objects(value):
                    yield Problem(self._file, self.line(at), None, None, None, LIST_OF_OBJECTS, LIST_REMEDY)
                elif value is not None:
                    yield OtherDocument(self._file, self.line(at))
                at = end
            at = self._space(at)
        self.resume_at = at

    def _stray(self, at: int) -> tuple[Any, int]:
        """The value that stands where an object should begin."""
        try:
            return self._value(at)
        except JsonError as error:
            if at == 0 or error.at != at:
                raise
            raise JsonError("what follows the object is not an object", at) from None

    def line(self, at: int) -> int:
        """The line of an index."""
        index, line = self._counted
        if at < index:
            if self._line_ends is None:
                self._line_ends = [found.start() for found in re.finditer("\n", self._text)]
            return bisect_left(self._line_ends, at) + 1
        self._counted = (at, line + self._text.count("\n", index, at))
        return self._counted[1]

    def _object(
        self, start: int, depth: int
    ) -> Generator[Document, None, tuple[int, JsonObject | None, int]]:
        """Yields the object at `start`, or the items of that List; returns its end, and it if untyped."""
        if depth > LIST_DEPTH_LIMIT:
            raise JsonError("Lists are nested too deeply", start)
        envelope = Envelope(self.line(start), is_item=depth > 0)
        problems: list[Problem] = []
        places: dict[str, int] = {}
        at = self._space(start + 1)
        while self._text[at : at + 1] != "}":
            name, end = self._key(at)
            if places.setdefault(name, at) != at:
                problems += [self._duplicate(name, at, places[name])][: _left(problems)]
            at = self._space(self._expect(":", end))
            if name == "items" and self._text[at : at + 1] == "[" and envelope.may_be_list():
                envelope.content["items"] = []
                at = yield from self._items(at, envelope, depth)
            else:
                envelope.content[name], at = self._checked(at, problems, name)
            at = self._next(at, "}")
        return at + 1, (yield from self._finish(envelope, problems)), envelope.line

    def _finish(
        self, envelope: Envelope, problems: list[Problem]
    ) -> Generator[Document, None, JsonObject | None]:
        content: JsonObject = trim(envelope.content)
        envelope.content = content
        if problems and not envelope.is_other():
            for problem in problems[:MOST_REPEATED]:
                yield replace(problem, object=describe(content))
            for problem in problems[MOST_REPEATED:]:
                cause, remedy = MORE_REPEATED
                yield replace(problem, object=describe(content), field=None, cause=cause, remedy=remedy)
            return None
        if not is_typed(content) and not envelope.waiting and not envelope.streamed:
            return content
        self.yielded = True
        yield from complete(envelope, self._file)
        return None

    def _items(self, start: int, envelope: Envelope, depth: int) -> Generator[Document, None, int]:
        """Passes the items of the list at `start` on, and returns where it ends."""
        at = self._space(start + 1)
        while self._text[at : at + 1] != "]":
            if self._text[at : at + 1] == "{":
                at, untyped, line = yield from self._object(at, depth + 1)
                yield from envelope.take(untyped, line, self._file)
            else:
                line = self.line(at)
                value, at = self._value(at)
                envelope.waiting.append((value, line))
            at = self._next(at, "]")
        return at + 1

    def _checked(self, at: int, problems: list[Problem], field: str) -> tuple[Any, int]:
        """A value and its end; what is wrong in it goes to `problems`."""
        self._duplicated = False
        value, end = self._value(at)
        if self._duplicated:
            problems += islice(self._duplicates(field, at, end), _left(problems))
        return value, end

    def _value(self, at: int) -> tuple[Any, int]:
        try:
            value, end = self._scan(self._text, at)
        except StopIteration as stop:
            raise JsonError("a value is missing here", int(stop.value)) from None
        except json.JSONDecodeError as error:
            raise JsonError(error.msg, error.pos) from None
        except RecursionError:
            raise JsonError(f"is nested deeper than {DEPTH_LIMIT} levels", at) from None
        except BadValueError as error:
            raise JsonError(str(error), at) from None
        except ValueError:
            # What Python itself refuses to convert: it guards against numbers of thousands of digits.
            raise JsonError("a number has too many digits", at) from None
        if _too_deep(self._text, at, end):
            raise JsonError(f"is nested deeper than {DEPTH_LIMIT} levels", at)
        return (_without_surrogates(value) if self._escapes else value), end

    def _key(self, at: int) -> tuple[str, int]:
        if self._text[at : at + 1] != '"':
            raise JsonError("a key in double quotes is missing here", at)
        key, end = self._value(at)
        return key, end

    def _mapping(self, pairs: list[tuple[str, Any]]) -> JsonObject:
        result = dict(pairs)
        if len(result) != len(pairs):
            self._duplicated = True
        return result

    def _space(self, at: int) -> int:
        found = _SPACE.match(self._text, at)
        return found.end() if found else at

    def _expect(self, character: str, at: int) -> int:
        at = self._space(at)
        if self._text[at : at + 1] != character:
            raise JsonError(f"'{character}' is missing here", at)
        return at + 1

    def _next(self, at: int, close: str) -> int:
        """Past the comma to the next part, or at the closing bracket."""
        at = self._space(at)
        if self._text[at : at + 1] == close:
            return at
        at = self._space(self._expect(",", at))
        if self._text[at : at + 1] == close:
            raise JsonError(f"a comma stands before '{close}'", at)
        return at

    def _duplicates(self, field: str, start: int, end: int) -> Iterator[Problem]:
        for path, at, first in _duplicate_keys(self._text, start, end):
            joined = field + path if path.startswith("[") else f"{field}.{path}"
            yield self._duplicate(joined, at, first)

    def _duplicate(self, field: str, at: int, first: int) -> Problem:
        here, before = self.line(at), self.line(first)
        cause = f"the key is given twice (first at line {before})"
        return Problem(self._file, here, None, field, None, cause, "keep one of them")


def _left(problems: Sequence[Problem]) -> int:
    """How many more problems are looked for: one more than is told."""
    return MOST_REPEATED + 1 - len(problems)


def _duplicate_keys(text: str, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Path, index and first index of each key that a mapping repeats. Slow: for messages only."""
    # One entry a bracket: the indexes of keys, or None in a list; and the step that leads further down.
    stack: list[tuple[dict[str, int] | None, list[Any]]] = []
    text_before: re.Match[str] | None = None
    for token in _TOKEN.finditer(text, start, end):
        mark = token.group()
        if mark in "{[":
            stack.append(({}, [""]) if mark == "{" else (None, [0]))
        elif mark in "}]":
            stack.pop()
        elif mark == "," and stack and stack[-1][0] is None:
            stack[-1][1][0] += 1
        elif mark == ":" and text_before and stack:
            keys, step = stack[-1]
            step[0] = json.loads(text_before.group())
            if keys is not None and step[0] in keys:
                yield _path([step[0] for _, step in stack]), text_before.start(), keys[step[0]]
            elif keys is not None:
                keys[step[0]] = text_before.start()
        text_before = token


def _path(steps: list[Any]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")


def _too_deep(text: str, start: int, end: int) -> bool:
    """Whether brackets nest beyond the limit. Most values have too few brackets to need a look."""
    if end - start < DEPTH_LIMIT or text.count("{", start, end) + text.count("[", start, end) <= DEPTH_LIMIT:
        return False
    depth = 0
    for token in _TOKEN.finditer(text, start, end):
        mark = token.group()
        depth += (mark in "{[") - (mark in "}]")
        if depth > DEPTH_LIMIT:
            return True
    return False


def _without_surrogates(value: Any) -> Any:
    """Half a surrogate pair is not a character: it becomes U+FFFD, as the API server reads it."""
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def _refuse_constant(name: str) -> None:
    raise BadValueError(f"{name} is not a JSON value")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise BadValueError(f"{text} is beyond what a number can hold")
    return number
