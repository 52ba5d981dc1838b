"""JSON as it is read and written, before or after it has a type of its own."""

from __future__ import annotations

from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, Any]
"""An object of JSON, or a mapping of YAML, whose fields nobody has checked yet or that is put together."""
