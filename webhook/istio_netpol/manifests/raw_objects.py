"""Objects as they were read, before any field is interpreted; takes Lists apart into them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field

from istio_netpol.errors import Problem
from istio_netpol.model.json_values import JsonObject

DEPTH_LIMIT = 200
"""Levels of an object: deeper than any of Kubernetes, shallow enough for Python's stack."""

FLATTEN = "nest it less deeply"
"""What to do beyond the limit."""

MOST_REPEATED = 100
"""How many repeated keys of one object are told: a stream of the same line has millions."""

MORE_REPEATED = ("more keys are given twice", "check that this is a manifest")
"""Cause and remedy of what is not told."""

LIST_DEPTH_LIMIT = 20
"""Lists within Lists."""


class RawObject(Struct, frozen=True):
    """One object of an input. `line`, from 1, is that of its first key; an item of a List has its own.

    What YAML anchors share is shared in `content` too: read it, don't change it. `is_from_api` says that the
    API server took it, or passes it on to have it judged.
    """

    content: JsonObject
    file: str
    line: int
    is_from_api: bool = False


class OtherDocument(Struct, frozen=True):
    """A document that names neither apiVersion nor kind, and does not look like an object that lost them:
    Helm values, a dashboard, a JSON patch, a text."""

    file: str
    line: int


Document = RawObject | OtherDocument | Problem


class Envelope(Struct):
    """A document's outermost mapping while it is read: an object, or a List whose items go out one by one.

    kubectl writes `apiVersion, items, kind`: whether it is a List shows only after its items. So items that
    name their own kind are passed on at once (`streamed`), and only those that don't wait here (`waiting`).
    `is_item` says that it stands in a List itself, where everything has to be an object.
    """

    line: int
    content: JsonObject = field(default_factory=dict)
    waiting: list[tuple[Any, int]] = field(default_factory=list)
    streamed: bool = False
    is_item: bool = False

    def is_other(self) -> bool:
        """Whether this is something else than an object, rather than an object with a mistake."""
        untyped = not any(self.content.get(name) for name in ("apiVersion", "kind"))
        return untyped and not self.is_item and not self.streamed and not _is_headless(self.content)

    def may_be_list(self) -> bool:
        """Whether `items` that come now can be the items of a List."""
        kind = self.content.get("kind")
        return kind is None or (isinstance(kind, str) and kind.endswith("List"))

    def _is_typed_list(self) -> bool:
        """Whether the fields before the items say that this is a PodList or the like."""
        return (
            is_typed(self.content)
            and self.content["kind"] != "List"
            and _is_list(self.content, has_items=True)
        )

    def take(self, untyped: JsonObject | None, line: int, file: str) -> Iterator[Document]:
        """Accepts the next item: None if it went out already, else one that doesn't say what it is."""
        if untyped is None:
            self.streamed = True
        elif self._is_typed_list():
            self.streamed = True
            yield from _item(self.content, 0, untyped, file, line)
        else:
            self.waiting.append((untyped, line))


LIST_OF_OBJECTS = "the document is a list of objects, which the API server does not take"
LIST_REMEDY = "write them as documents, with --- between them, or as the items of a List"


def is_typed(content: JsonObject) -> bool:
    """Whether an object names its apiVersion and kind."""
    return all(isinstance(content.get(name), str) and content[name] for name in ("apiVersion", "kind"))


def describe(content: JsonObject) -> str | None:
    """`Deployment shop/cart`, as much of it as the object tells; None if that is nothing."""
    metadata = content.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    names = [metadata.get(part) for part in ("namespace", "name")]
    name = "/".join(part for part in names if isinstance(part, str))
    kind = content.get("kind")
    return " ".join(part for part in (kind if isinstance(kind, str) else "", name) if part) or None


def complete(envelope: Envelope, file: str) -> Iterator[Document]:
    """The rest of a document once all of it is read: the object itself, or the items that waited."""
    content = envelope.content
    if envelope.is_other():
        yield OtherDocument(file, envelope.line)
    elif not is_typed(content):
        yield from _untyped(content, file, envelope.line)
    elif not _is_list(content, has_items=bool(envelope.waiting) or envelope.streamed):
        if envelope.streamed:
            yield Problem(file, envelope.line, describe(content), "items", None,
                          "holds objects, and its kind is not List", "set kind: List")  # fmt: skip
            return
        if envelope.waiting:
            content["items"] = [item for item, _ in envelope.waiting]
        if content["kind"] == "Secret":
            content.pop("data", None)
        yield RawObject(content, file, envelope.line)
    else:
        # Items that could not be told apart while reading (in an anchor, say) have the line of their List.
        items = content.get("items")
        late = [(item, envelope.line) for item in items] if isinstance(items, list) else []
        for index, (item, line) in enumerate([*envelope.waiting, *late]):
            yield from _item(content, index, item, file, line)


def _is_list(content: JsonObject, *, has_items: bool) -> bool:
    """A custom resource may be called AllowList: it has a name, which a List never has, or no items."""
    kind: str = content["kind"]
    if kind == "List":
        return True
    metadata = content.get("metadata")
    named = isinstance(metadata, dict) and "name" in metadata
    return kind.endswith("List") and not named and (has_items or "items" in content)


def _item(of: JsonObject, index: int, item: Any, file: str, line: int) -> Iterator[Document]:
    """One item of a List; in a typed list such as PodList the items leave out what the list says."""
    kind: str = of["kind"]
    if not isinstance(item, dict):
        yield Problem(file, line, kind, f"items[{index}]", None, f"is {name_of(item)}, not an object", None)
        return
    if kind != "List" and not is_typed(item):
        item = {"apiVersion": of["apiVersion"], "kind": kind.removesuffix("List")} | item
    yield from complete(Envelope(line, item, is_item=True), file)


def _is_headless(content: JsonObject) -> bool:
    """Whether this is an object whose first lines are lost. Nothing else has a name in its metadata."""
    metadata = content.get("metadata")
    return isinstance(metadata, dict) and ("name" in metadata or isinstance(content.get("spec"), dict))


def holds_objects(value: Any) -> bool:
    """Whether a list has an object among its items."""
    return isinstance(value, list) and any(isinstance(item, dict) and is_typed(item) for item in value)


def _untyped(content: JsonObject, file: str, line: int) -> Iterator[Problem]:
    for name in ("apiVersion", "kind"):
        value = content.get(name)
        if value is None or value == "":
            yield Problem(file, line, describe(content), name, None, "is missing",
                          "every Kubernetes object names its apiVersion and kind")  # fmt: skip
        elif not isinstance(value, str):
            yield Problem(
                file, line, describe(content), name, None, f"is {name_of(value)}, not a text", "quote it"
            )


def name_of(value: Any) -> str:
    """The name of a value's type, in words."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "a mapping"}
    return names.get(type(value), "a text")
