"""From what the API server sends to model values, one object at a time: what no rule reads is gone before
the next object is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec
import structlog
from msgspec import Struct

from istio_netpol.errors import ApiError, Problem
from istio_netpol.kube.deep_json import DEEPEST, TOO_DEEP, cut
from istio_netpol.kube.resources import Resource
from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.manifests.trimming import KEPT, trim
from istio_netpol.model.json_values import JsonObject

CLUSTER = "the cluster"
"""What problems call the place of an object that was not read from a file."""

Name = tuple[str, str]
"""Namespace and name."""

_OF_ONE_WRITE = ("managedFields", "resourceVersion", "generation")
"""What every write changes of an object's metadata, and no rule reads."""

_BRACE = ord("{")


class Received(Struct, frozen=True):
    """An object as it is stored now: its model values, none where no rule cares for it, and what could not
    be read of it."""

    name: Name
    values: tuple[Any, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def is_of_use(self) -> bool:
        """Whether some rule reads the object, or would if it could be read."""
        return bool(self.values or self.problems)


class ListMeta(msgspec.Struct, frozen=True, rename="camel"):
    """`metadata` of a list: where its watch begins, and how its next page is asked for."""

    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class Page(msgspec.Struct, frozen=True):
    """One page of a list, its items not decoded yet."""

    metadata: ListMeta = ListMeta()
    items: list[msgspec.Raw] | None = None


class Event(msgspec.Struct, frozen=True):
    """One line of a watch, with the fields of its object not decoded yet; that is a Status where `type` is
    ERROR."""

    type: str
    object: dict[str, msgspec.Raw]


class Stored(Struct, frozen=True):
    """An object as an event shows it, not decoded yet: two texts are equal where nothing that rules read is
    different. `version` is its resourceVersion."""

    name: Name
    version: str
    text: bytes


class _NameMeta(msgspec.Struct, frozen=True):
    namespace: str = ""
    name: str = ""


class _Named(msgspec.Struct, frozen=True):
    metadata: _NameMeta = _NameMeta()


class Status(msgspec.Struct, frozen=True):
    """The status that an ERROR event carries."""

    code: int = 0
    message: str = ""


T = TypeVar("T")

_PAGE = msgspec.json.Decoder(Page)
_EVENT = msgspec.json.Decoder(Event)
_NAMED = msgspec.json.Decoder(_Named)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_VALUE = msgspec.json.Decoder()
_STATUS = msgspec.json.Decoder(Status)
_OBJECT = msgspec.json.Decoder(JsonObject)


def page_of(body: bytes) -> Page:
    """A page of a list. Raises ApiError for what is none."""
    return _decoded(_PAGE, body)


def event_of(line: bytes) -> Event:
    """An event of a watch. Raises ApiError for what is none."""
    return _decoded(_EVENT, line)


def name_of(raw: msgspec.Raw) -> Name:
    """The namespace and name of an object."""
    metadata = _decoded(_NAMED, raw).metadata
    return metadata.namespace, metadata.name


def content_of(raw: msgspec.Raw, resource: Resource) -> JsonObject:
    """An object of a resource with all of its fields, what it is among them: items of a list do not say
    that themselves."""
    content: JsonObject = _decoded(_OBJECT, raw)
    return {"apiVersion": resource.api_version, "kind": resource.kind, **content}


def status_of(event: Event) -> Status:
    """The Status of an ERROR event."""
    return _decoded(_STATUS, msgspec.json.encode(event.object))


def stored_of(event: Event) -> Stored:
    """The object of an event, of a bookmark too, without what changes when nothing happens: heartbeats and
    who wrote what. Most events are of that kind, and end where their text is the last one's."""
    metadata = _fields_in(event.object, "metadata")
    version = _text_in(metadata, "resourceVersion")
    status = _fields_in(event.object, "status")
    fields: JsonObject = dict(event.object)
    if metadata:
        fields["metadata"] = {field: metadata[field] for field in metadata if field not in _OF_ONE_WRITE}
    if status:
        fields["status"] = {field: status[field] for field in status if field in KEPT["status"]}
    name = (_text_in(metadata, "namespace"), _text_in(metadata, "name"))
    return Stored(name, version, msgspec.json.encode(fields))


def _name_in(raw: bytes | msgspec.Raw) -> Name:
    """The namespace and name of an object that may be broken; empty where they can't be read."""
    try:
        fields: dict[str, msgspec.Raw] = _decoded(_FIELDS, raw)
        metadata = _fields_in(fields, "metadata")
        return _text_in(metadata, "namespace"), _text_in(metadata, "name")
    except (ApiError, RecursionError):
        return "", ""


def _fields_in(fields: Mapping[str, msgspec.Raw], name: str) -> dict[str, msgspec.Raw]:
    """The fields of a mapping within an object; none where it is absent, or something else."""
    found = fields.get(name)
    return _decoded(_FIELDS, found) if found is not None and memoryview(found)[0] == _BRACE else {}


def _text_in(fields: Mapping[str, msgspec.Raw], name: str) -> str:
    found = fields.get(name)
    return str(_decoded(_VALUE, found) or "") if found is not None else ""


def received(raw: bytes | msgspec.Raw, resource: Resource) -> Received:
    """An object of a resource; items of a list do not say themselves what they are."""
    content = trim(_decoded(_OBJECT, raw))
    content.setdefault("apiVersion", resource.api_version)
    content.setdefault("kind", resource.kind)
    metadata = content.get("metadata") or {}
    name = (str(metadata.get("namespace") or ""), str(metadata.get("name") or ""))
    if TOO_DEEP in bytes(raw):
        cause = f"is nested deeper than {DEEPEST} levels"
        return Received(name, problems=(unreadable(name, resource, cause),))
    values, problems = decode(RawObject(content, CLUSTER, 0, is_from_api=True))
    return Received(name, tuple(values), tuple(problems))


def contained(raw: bytes | msgspec.Raw, resource: Resource) -> Received:
    """An object of a resource; one that can't be read, whatever the cause, is told of like one with a
    mistake, and keeps no other from being read."""
    try:
        return received(raw, resource)
    except MemoryError:
        raise  # not the object's fault
    except ApiError as error:
        name, cause = _name_in(raw), str(error)
    except Exception as error:
        name, cause = (
            _name_in(raw),
            "could not be read, by an error inside istio-netpol; its log has the details",
        )
        structlog.get_logger("kube").error(
            "an error inside istio-netpol",
            kind=resource.kind,
            object="/".join(filter(None, name)),
            exc_info=error,
        )
    return Received(name, problems=(unreadable(name, resource, cause),))


def unreadable(name: Name, resource: Resource, cause: str) -> Problem:
    """What is told of an object that can't be read as a whole."""
    described = f"{resource.kind} {'/'.join(filter(None, name))}"
    return Problem(CLUSTER, None, described, None, None, cause, None)


def received_all(items: list[msgspec.Raw] | None, resource: Resource) -> Iterator[Received]:
    """The objects of a page."""
    return (received(raw, resource) for raw in items or ())


def _decoded(decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw) -> T:
    try:
        try:
            return decoder.decode(body)
        except RecursionError:
            return decoder.decode(cut(bytes(body)))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(0, f"the API server's answer can't be read: {error}") from error
