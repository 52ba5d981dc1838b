"""Builds plain objects from the events of a YAML parser, without a tree of nodes in between.

One pass: scalars are resolved, what no rule reads is skipped, and the items of a List go out as they end,
so that a dump of a whole cluster needs the memory of one object. Problems are collected, so that all of an
object's are told.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

from msgspec.structs import replace
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from istio_netpol.errors import InputError, Problem
from istio_netpol.manifests.placeholders import HELM
from istio_netpol.manifests.raw_objects import (
    DEPTH_LIMIT,
    FLATTEN,
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
    name_of,
)
from istio_netpol.manifests.trimming import OBJECT, Shape, keep_named
from istio_netpol.manifests.yaml_anchors import Anchors
from istio_netpol.manifests.yaml_scalars import (
    MERGE,
    BadTagError,
    KeyMemo,
    PlainMemo,
    key_text,
    resolve_tagged,
)
from istio_netpol.model.json_values import JsonObject

PARSED_VERSION = (1, 1)
"""What a %YAML directive may say to go-yaml v2 (`yaml_parser_process_directives` in parserc.go)."""


class Builder:
    """Turns the events of one input into objects; `documents` is called once for each parser."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._plain = PlainMemo()
        self._keys = KeyMemo()
        self._get: Callable[[], Any]
        self._first_line = 1
        self._reset()

    def _reset(self) -> None:
        self._path: list[str | int] = []
        self._list_depth = 0
        self._problems: list[Problem] = []
        self._anchors = Anchors()

    def documents(self, get_event: Callable[[], Any], first_line: int) -> Iterator[Document]:
        """The objects of one parser, whose text begins at `first_line`. Raises YAMLError and InputError."""
        self._get = get_event
        self._first_line = first_line
        self._reset()
        while (event := get_event()).__class__ is not StreamEndEvent:
            if event.__class__ is DocumentStartEvent:
                self._reset()
                if event.version not in (None, PARSED_VERSION):
                    yield self._problem(event, "is a version of YAML that the API server does not parse",
                                        "remove the line %YAML", field=None)  # fmt: skip
                yield from self._document()

    def value(self, get_event: Callable[[], Any]) -> Any:
        """The value of a parser's first document; None if there is none. Raises YAMLError and InputError."""
        self._get = get_event
        self._reset()
        while (event := get_event()).__class__ is not StreamEndEvent:
            if event.__class__ is DocumentStartEvent:
                value = self._value(get_event(), None)
                self._note_unusable(None)
                return value
        return None

    def saw_question_mark(self) -> bool:
        """Whether an unquoted text had a question mark since this was last asked."""
        seen = self._plain.has_question_mark or self._keys.has_question_mark
        self._plain.has_question_mark = self._keys.has_question_mark = False
        return seen

    def unreported(self) -> list[Problem]:
        """What was found in an object before an error cut it short."""
        return self._problems

    def _document(self) -> Iterator[Document]:
        event = self._get()
        if event.__class__ is MappingStartEvent:
            line = self._line(event)
            untyped = yield from self._object(event)
            if untyped is not None:
                yield from complete(Envelope(line, untyped), self._file)
            return
        value = self._value(event, None)
        if holds_objects(value):
            yield from self._take_problems({})
            yield self._problem(event, LIST_OF_OBJECTS, LIST_REMEDY, field=None)
        elif value is not None:
            self._problems = []
            self._plain.unusable.clear()
            yield OtherDocument(self._file, self._line(event))

    def _object(self, start: Any) -> Generator[Document, None, JsonObject | None]:
        """Yields the object that begins here, or the items of that List; returns it if it names no kind."""
        envelope = Envelope(self._line(start), is_item=self._list_depth > 0)
        seen: JsonObject = {}
        anchored = start.anchor is not None
        if anchored:
            self._anchors.open(start.anchor)
        # An anchor may be used where more fields count than here.
        while not self._fields(envelope.content, seen, None if anchored else OBJECT, pause_at="items"):
            event = self._get()
            if event.__class__ is SequenceStartEvent and event.anchor is None and envelope.may_be_list():
                envelope.content["items"] = []
                yield from self._items(envelope)
            else:
                envelope.content["items"] = self._field_value("items", event, None)
        if anchored:
            self._anchors.close(start.anchor, envelope.content)
        failed = list(self._take_problems(envelope.content, envelope.line))
        # A document of nothing but `{{ … }}` reads as a mapping whose key is a mapping.
        if failed and not (envelope.is_other() and envelope.content):
            yield from failed
            return None
        if not is_typed(envelope.content) and not envelope.waiting and not envelope.streamed:
            return envelope.content
        yield from complete(envelope, self._file)
        return None

    def _items(self, envelope: Envelope) -> Generator[Document, None, None]:
        """Passes the items of a List on; those that don't name their kind wait in the envelope."""
        outer, self._path = self._path, []
        outer_problems, self._problems = self._problems, []
        self._list_depth += 1
        while (event := self._get()).__class__ is not SequenceEndEvent:
            if self._list_depth > LIST_DEPTH_LIMIT:
                raise InputError([self._problem(event, "Lists are nested too deeply", None)])
            line = self._line(event)
            if event.__class__ is not MappingStartEvent:
                envelope.waiting.append((self._value(event, None), line))
                continue
            untyped = yield from self._object(event)
            yield from envelope.take(untyped, line, self._file)
        self._list_depth -= 1
        self._path = outer
        self._problems = outer_problems + self._problems

    def _fields(
        self, result: JsonObject, seen: JsonObject, shape: Shape | None, pause_at: str | None = None
    ) -> bool:
        """Reads fields into `result` up to the mapping's end (True) or to the value of `pause_at` (False).

        Every scalar of a dump passes here, so the common case is spelled out: no tag, no anchor, no call.
        """
        get, keys, plain, path = self._get, self._keys, self._plain, self._path
        child = None
        while True:
            event = get()
            if event.__class__ is not ScalarEvent or event.tag is not None or event.anchor is not None:
                if event.__class__ is MappingEndEvent:
                    return True
                key = self._unusual_key(event)
            else:
                key = event.value if event.style else keys[event.value]
            if key is None:
                self._keyless(event, result)
                continue
            if seen.setdefault(key, event) is not event:
                self._report_duplicate(key, event, seen[key])
            if shape is not None:
                if key in shape.skipped or (shape.kept is not None and key not in shape.kept):
                    self._skip(get())
                    continue
                child = shape.fields.get(key)
            if key == pause_at:
                return False
            event = get()
            if event.__class__ is ScalarEvent and event.tag is None and event.anchor is None:
                text = event.value
                result[key] = text if event.style else plain[text]
            else:
                path.append(key)
                result[key] = self._value(event, child)
                path.pop()

    def _field_value(self, key: str, event: Any, shape: Shape | None) -> Any:
        self._path.append(key)
        value = self._value(event, shape)
        self._path.pop()
        return value

    def _value(self, event: Any, shape: Shape | None) -> Any:
        """The value that begins with `event`, whatever it is."""
        kind = event.__class__
        if event.anchor is not None:
            return self._alias(event) if kind is AliasEvent else self._anchored(event)
        if len(self._path) > DEPTH_LIMIT:
            self._refuse_depth(event)
        if event.tag is not None and kind is ScalarEvent:
            return self._tagged(event)
        if kind is MappingStartEvent:
            result: JsonObject = {}
            self._fields(result, {}, shape)
            return result
        if kind is SequenceStartEvent:
            return self._sequence(shape)
        return event.value if event.style else self._plain[event.value]

    def _sequence(self, shape: Shape | None) -> list[Any]:
        get, plain, path = self._get, self._plain, self._path
        result: list[Any] = []
        path.append(0)
        while True:
            event = get()
            if event.__class__ is ScalarEvent and event.tag is None and event.anchor is None:
                result.append(event.value if event.style else plain[event.value])
            elif event.__class__ is SequenceEndEvent:
                break
            else:
                path[-1] = len(result)
                result.append(self._value(event, shape))
        path.pop()
        return keep_named(result, shape.name_prefixes) if shape and shape.name_prefixes else result

    def _skip(self, event: Any) -> None:
        """Passes over the value that begins with `event`; what has an anchor is built, for its aliases."""
        depth = 0
        while True:
            kind = event.__class__
            if kind is not AliasEvent and kind is not MappingEndEvent and kind is not SequenceEndEvent:
                if event.anchor is not None:
                    self._value(event, None)
                elif kind is not ScalarEvent:
                    depth += 1
                    if depth > DEPTH_LIMIT:
                        self._refuse_depth(event)
            elif kind is not AliasEvent:
                depth -= 1
            if depth == 0:
                return
            event = self._get()

    def _unusual_key(self, event: Any) -> str | None:
        """A key with a tag or an anchor; None, with a problem, for one that JSON can't have."""
        if event.__class__ is ScalarEvent or event.__class__ is AliasEvent:
            value = self._value(event, None)
            if isinstance(value, str | int | float):
                return key_text(value)
        else:
            self._skip(event)
        return None

    def _keyless(self, event: Any, result: JsonObject) -> None:
        """Reads a field whose key is not a text: the merge key, or a problem."""
        if event.__class__ is ScalarEvent and event.value == MERGE and not event.style:
            self._merge(self._field_value(MERGE, self._get(), None), result)
            return
        if event.__class__ is ScalarEvent:
            cause, remedy = "a key is null", "keys are texts: quote it"
        else:
            cause, remedy = "a key is not a text", f"quote it, unless it was written as {{{{ … }}}}: {HELM}"
        self._problems.append(self._problem(event, cause, remedy))
        self._skip(self._get())

    def _merge(self, merged: Any, result: JsonObject) -> None:
        """Takes over what `<<` brings, also what the mapping said before it; of several mappings the first
        wins (go-yaml v2, `merge` in decode.go)."""
        for mapping in reversed(merged) if isinstance(merged, list) else [merged]:
            if isinstance(mapping, dict):
                result.update(mapping)
            else:
                cause = f"<< merges {name_of(mapping)}, not a mapping"
                self._problems.append(self._problem(None, cause, None))

    def _alias(self, event: Any) -> Any:
        refusal = self._anchors.refusal(event.anchor, len(self._path), DEPTH_LIMIT)
        if refusal is not None:
            raise InputError([self._problem(event, *refusal)])
        return self._anchors.use(event.anchor)

    def _anchored(self, event: Any) -> Any:
        """Builds a value with an anchor, all of it: an alias may stand where more fields count than here."""
        name, event.anchor = event.anchor, None
        self._anchors.open(name)
        value = self._value(event, None)
        self._anchors.close(name, value)
        return value

    def _tagged(self, event: Any) -> Any:
        try:
            return resolve_tagged(event.tag, event.value)
        except BadTagError as error:
            self._problems.append(self._problem(event, str(error), "remove the tag"))
            return None

    def _report_duplicate(self, key: str, event: Any, first: Any) -> None:
        if len(self._problems) > MOST_REPEATED:
            return
        if len(self._problems) == MOST_REPEATED:
            self._problems.append(self._problem(event, *MORE_REPEATED))
            return
        self._path.append(key)
        cause = f"the key is given twice (first at line {self._line(first)})"
        self._problems.append(self._problem(event, cause, "keep one of them"))
        self._path.pop()

    def _refuse_depth(self, event: Any) -> None:
        self._path.clear()
        raise InputError([self._problem(event, f"is nested deeper than {DEPTH_LIMIT} levels", FLATTEN)])

    def _take_problems(self, content: JsonObject, line: int | None = None) -> Iterator[Problem]:
        """The problems of the object just read, now that it is known which object it is."""
        self._note_unusable(line)
        for problem in self._problems:
            yield replace(problem, object=describe(content))
        self._problems = []

    def _note_unusable(self, line: int | None) -> None:
        """Problems for the numbers that were met without anybody knowing where."""
        for text in self._plain.unusable:
            cause = "is a number that JSON, and so Kubernetes, can't express"
            self._problems.append(Problem(self._file, line, None, None, text, cause, None))
        self._plain.unusable.clear()

    def _problem(self, event: Any, cause: str, remedy: str | None, field: str | None = "") -> Problem:
        line = None if event is None else self._line(event)
        return Problem(self._file, line, None, field or self._path_text() or None, None, cause, remedy)

    def _path_text(self) -> str:
        """`spec.ports[0].port`"""
        steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in self._path)
        return "".join(steps).removeprefix(".")

    def _line(self, event: Any) -> int:
        line: int = event.start_mark.line
        return self._first_line + line
