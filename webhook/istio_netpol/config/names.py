"""How fields of the settings are spelled in the file."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import FieldInfo, fields


def camel_case(name: str) -> str:
    """`default_mode` becomes `defaultMode`."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def fields_by_key(type_: Any) -> dict[str, FieldInfo]:
    """The fields of a type of settings by their key in the file."""
    return {camel_case(field.name): field for field in fields(type_)}


def is_group(hint: Any) -> bool:
    """Whether a field of this type holds a group of settings."""
    return isinstance(hint, type) and issubclass(hint, Struct)
