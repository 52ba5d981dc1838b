"""`docs/settings.md`, made from the settings types and the docstrings under their fields."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from msgspec import NODEFAULT
from msgspec.structs import FieldInfo

from istio_netpol.config.names import fields_by_key, is_group
from istio_netpol.model.settings import Settings

_INTRODUCTION = """\
# Settings

All commands read one settings file: `--config FILE`, or the one that the environment variable
`ISTIO_NETPOL_CONFIG` names. Commands that read manifests or a cluster find it themselves if it is called
`.istio-netpol.yaml` and lies in the folder of the input or above, within the repository. Without it the
defaults below hold. It is YAML; what it leaves out keeps its default, and a key that does not exist is an
error. All mistakes of a file are told at once.

```yaml
apiVersion: istio-netpol.io/v1
kind: Settings
mesh:
  rootNamespace: istio-system
apiServer:
  addresses: [10.20.30.40]
  port: 443
hosts:
  allowedHosts: ["*.example.com"]
  knownAddresses:
    keys.example.com: [192.0.2.7]
admission:
  defaultMode: warn
severities:
  broad-policy: info
exclude: [charts/*/ci/]
```

This page is made from `istio_netpol/model/settings.py`; `pytest --update` writes it anew.
"""


def settings_page() -> str:
    """The page, ending in a line break."""
    return "\n".join([_INTRODUCTION, *_sections(Settings, "")]) + "\n"


def _sections(type_: Any, path: str) -> Iterator[str]:
    """A table of the type's own values, then a section each for the groups among its fields."""
    hints, documented, keys = get_type_hints(type_), _field_docs(type_), fields_by_key(type_)
    nested = {key: hints[field.name] for key, field in keys.items() if is_group(hints[field.name])}
    if path:
        yield f"## `{path}`\n\n{inspect.getdoc(type_)}\n"
    else:
        yield "## At the top\n"
    rows = [
        _row(key, field, hints[field.name], documented.get(field.name, ""))
        for key, field in keys.items()
        if key not in nested
    ]
    if rows:
        yield "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows]) + "\n"
    for key, group in nested.items():
        yield from _sections(group, f"{path}.{key}" if path else key)


def _row(key: str, field: FieldInfo, hint: Any, meaning: str) -> str:
    default = field.default if field.default_factory is NODEFAULT else field.default_factory()
    return f"| `{key}` | {type_name(hint)} | {_shown(default)} | {meaning.replace('|', chr(92) + '|')} |"


def _shown(default: Any) -> str:
    if default is None:
        return "none"
    plain = dict(default) if isinstance(default, Mapping) else default
    return f"`{json.dumps(plain)}`" if plain not in ("", (), {}) else "empty"


def type_name(hint: Any) -> str:
    """A type in the words of the page."""
    if isinstance(hint, UnionType):
        return " or ".join(type_name(variant) for variant in get_args(hint) if variant is not type(None))
    if get_origin(hint) is tuple:
        return f"list of {type_name(get_args(hint)[0])}"
    if is_group(hint):
        return "mappings"
    if get_origin(hint) is not None:
        return f"mapping of text to {type_name(get_args(hint)[1])}"
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return ", ".join(f"`{value}`" for value in hint)
    return {str: "text", int: "number", bool: "boolean"}[hint]


def _field_docs(type_: Any) -> dict[str, str]:
    """The docstring under each field, in one line."""
    (definition,) = ast.parse(inspect.getsource(type_)).body
    docs: dict[str, str] = {}
    above = ""
    for statement in definition.body if isinstance(definition, ast.ClassDef) else ():
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            above = statement.target.id
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and above:
            docs[above] = " ".join(str(statement.value.value).split())
    return docs
