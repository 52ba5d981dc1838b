"""YAML anchors of one document, and the refusal of aliases that make a small text a huge object."""

from __future__ import annotations

from typing import Any

from istio_netpol.manifests.raw_objects import FLATTEN
from istio_netpol.model.json_values import JsonObject

# Values that all aliases of a document together may repeat.
EXPANSION_LIMIT = 100_000


class Anchors:
    """Values by anchor. An alias shares the value; sizes are counted as if each alias were a copy."""

    def __init__(self) -> None:
        self._values: JsonObject = {}
        self._open: set[str] = set()
        # Size and height of each anchored collection by identity; _kept keeps identities from being reused.
        self._measures: dict[int, tuple[int, int]] = {}
        self._kept: list[Any] = []
        self._expanded = 0

    def open(self, name: str) -> None:
        """The value of the anchor `name` begins here."""
        self._open.add(name)

    def close(self, name: str, value: Any) -> None:
        """The value of the anchor `name` is complete; a later anchor of the same name replaces it."""
        self._open.discard(name)
        self._values[name] = value
        if isinstance(value, dict | list):
            self._kept.append(value)
            self._measures[id(value)] = self._measure(value)

    def refusal(self, name: str, depth: int, limit: int) -> tuple[str, str] | None:
        """Why an alias to `name` at `depth` can't be followed, and what to do; None if it can."""
        if name in self._open:
            return f"the alias *{name} stands within the value that it repeats", "move it out of there"
        if name not in self._values:
            return (
                f"the alias *{name} has no anchor &{name} before it",
                f'quote a text that begins with *: "*{name}"',
            )
        size, height = self._measure(self._values[name])
        if depth + height > limit:
            return f"the alias *{name} makes the object deeper than {limit} levels", FLATTEN
        self._expanded += size
        if self._expanded > EXPANSION_LIMIT:
            return f"aliases repeat more than {EXPANSION_LIMIT} values", "use fewer of them"
        return None

    def use(self, name: str) -> Any:
        """The value of the anchor `name`."""
        return self._values[name]

    def _measure(self, value: Any) -> tuple[int, int]:
        """How many values `value` has, aliases followed, and how deep; anchored parts are known already."""
        if not isinstance(value, dict | list):
            return 1, 0
        known = self._measures.get(id(value))
        if known is not None:
            return known
        parts = [self._measure(part) for part in (value.values() if isinstance(value, dict) else value)]
        return 1 + sum(size for size, _ in parts), 1 + max((height for _, height in parts), default=0)
