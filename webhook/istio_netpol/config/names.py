"""How fields of the settings are spelled in the file."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any


def camel_case(name: str) -> str:
    """`default_mode` becomes `defaultMode`."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def fields_by_key(type_: Any) -> dict[str, Field[Any]]:
    """The fields of a settings dataclass by their key in the file."""
    return {camel_case(field.name): field for field in fields(type_)}
