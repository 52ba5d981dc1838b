"""values.schema.json: what helm accepts, and the part of it that follows from the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from istio_netpol.config.names import fields_by_key, is_group
from istio_netpol.model.settings import Settings

SET_BY_THE_CHART = "ownNamespace"
Schema = dict[str, Any]


def settings_schema(type_: Any = Settings) -> Schema:
    """What `config` may hold; the loader checks what a schema can't."""
    hints = get_type_hints(type_)
    properties = {
        key: _schema(hints[field.name])
        for key, field in fields_by_key(type_).items()
        if key != SET_BY_THE_CHART
    }
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _schema(hint: Any) -> Schema:
    if is_group(hint):
        return settings_schema(hint)
    if isinstance(hint, UnionType):
        (some,) = (type_ for type_ in get_args(hint) if type_ is not type(None))
        return _schema(some)
    if get_origin(hint) is tuple:
        return {"type": "array", "items": _schema(get_args(hint)[0])}
    if get_origin(hint) is not None:
        return {"type": "object", "additionalProperties": _schema(get_args(hint)[1])}
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return {"enum": [str(choice) for choice in hint]}
    return {"type": {str: "string", int: "integer", bool: "boolean"}[hint]}


def objects_within(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every schema of an object with the path of the value that it describes."""
    if schema.get("type") == "object":
        yield path, schema
    for key, below in schema.get("properties", {}).items():
        yield from objects_within(below, f"{path}.{key}" if path else key)


def paths_of(values: Mapping[str, Any], schema: Schema, path: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of the values: what the schema lists no properties of is one value."""
    for key, value in values.items():
        here, below = f"{path}.{key}" if path else key, schema["properties"][key]
        if "properties" in below and value:
            yield from paths_of(value, below, here)
        else:
            yield here, value
