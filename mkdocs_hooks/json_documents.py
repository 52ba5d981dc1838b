"""A hook of MkDocs: the page on JSON, made from the schemas in docs/schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

SCHEMAS = Path(__file__).parents[1] / "docs" / "schemas"
PAGE = "reference/json.md"
DEPTH = 4
"""How many names a path may have: what lies deeper is in the schema."""

_INTRODUCTION = """\
# JSON

What the commands print with `-f json`, field by field. Fields are added within `istio-netpol.io/v1`, and
neither renamed nor removed. A field that is not always there is called optional.
"""

Schema = Mapping[str, Any]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the page."""
    files.append(File.generated(config, PAGE, content=json_page()))
    return files


def json_page() -> str:
    """A section for each schema, with a row for each field."""
    return "\n".join([_INTRODUCTION, *map(_section, sorted(SCHEMAS.glob("*.schema.json")))])


def _section(file: Path) -> str:
    schema = json.loads(file.read_text(encoding="utf-8"))
    rows = dict.fromkeys(_rows(schema, schema, ()))
    table = "".join(f"| `{path}` | {type_} | {meaning} |\n" for path, type_, meaning in rows)
    link = f"[{file.name}](../schemas/{file.name})"
    return f"## {schema['title']}\n\n{link}\n\n| field | is | meaning |\n|---|---|---|\n{table}"


def _rows(schema: Schema, root: Schema, path: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    """The fields below a schema, those of arrays and alternatives too."""
    schema = _resolved(schema, root)
    for alternative in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        yield from _rows(alternative, root, path)
    if isinstance(schema.get("items"), dict) and path:
        yield from _rows(schema["items"], root, (*path[:-1], f"{path[-1]}[]"))
    for name, field in schema.get("properties", {}).items():
        inner = (*path, name)
        resolved = _resolved(field, root)
        optional = "" if name in schema.get("required", ()) else ", optional"
        meaning = str(field.get("description", resolved.get("description", "")))
        yield ".".join(inner), _type(resolved) + optional, " ".join(meaning.split()).replace("|", "\\|")
        if len(inner) < DEPTH:
            yield from _rows(resolved, root, inner)


def _resolved(schema: Schema | bool, root: Schema) -> Schema:
    """The definition that a reference names."""
    if isinstance(schema, bool):  # anything, or what may not be there
        return {}
    while reference := schema.get("$ref"):
        target: Any = root
        for name in str(reference).removeprefix("#/").split("/"):
            target = target[name]
        schema = target
    return schema


def _type(schema: Schema) -> str:
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    types = schema.get("type", "object" if "properties" in schema else "")
    names = [types] if isinstance(types, str) else types
    return " or ".join(names) or "one of several"
