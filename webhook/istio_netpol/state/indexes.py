"""Indexes of objects by what they say, a host for example."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any

from msgspec import Struct


class Index(Struct, frozen=True, eq=False):
    """Objects of a type by the keys under which they are looked for. `keys_of` depends on the object
    alone."""

    name: str
    type: type[Any]
    keys_of: Callable[[Any], Iterable[Hashable]]
