"""The output formats of every command by name, as `-f` takes them. A new one: a file beside this, a row here.

A row names its function, and the module is imported when somebody asks for the format: a command lists its
formats in its help long before it prints any.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple


class Row(NamedTuple):
    """A function of this package, `module.name`, and what it takes besides the result: the `palette` of a
    terminal, or the `pages` of the rules."""

    function: str
    takes: tuple[str, ...] = ()


_PAINTED, _HELPED = ("palette",), ("pages",)

TABLE: dict[str, dict[str, Row]] = {
    "check": {
        "text": Row("text.text", _PAINTED),
        "json": Row("json_format.json_report"),
        "sarif": Row("sarif.sarif", _HELPED),
        "junit": Row("junit.junit"),
        "github": Row("github.github"),
        "gitlab": Row("gitlab.gitlab"),
        "markdown": Row("markdown.markdown"),
    },
    "bundle verify": {
        "text": Row("bundle.text_bundle", _PAINTED),
        "json": Row("bundle.json_bundle"),
        "sarif": Row("bundle.sarif_bundle", _HELPED),
        "junit": Row("bundle.junit_bundle"),
    },
    "list": {
        "text": Row("connections.text_of_inputs"),
        "json": Row("connections.json_of_inputs"),
        "csv": Row("connections.csv_of_inputs"),
    },
    "list --summary": {
        "text": Row("connections_by_namespace.text_pairs"),
        "json": Row("connections_by_namespace.json_pairs"),
        "csv": Row("connections_by_namespace.csv_pairs"),
    },
    "list --exposure": {
        "text": Row("exposure.text_exposures"),
        "json": Row("exposure.json_exposures"),
        "csv": Row("exposure.csv_exposures"),
    },
    "diff": {
        "text": Row("difference.text_differences", _PAINTED),
        "json": Row("difference.json_differences"),
    },
    "explain": {
        "text": Row("explanation.text_explanations", _PAINTED),
        "json": Row("explanation.json_explanations"),
    },
    "explain --workload": {
        "text": Row("walk.text_walks", _PAINTED),
        "json": Row("walk.json_walks"),
    },
}


def names(command: str) -> tuple[str, ...]:
    """The formats of a command; the first is the default."""
    return tuple(TABLE[command])


def writer(command: str, name: str) -> Callable[..., Any]:
    """What writes the result of a command in a format: text, or pieces of it for lists."""
    module, _, function = TABLE[command][name].function.rpartition(".")
    found: Callable[..., Any] = getattr(import_module(f"istio_netpol.report.{module}"), function)
    return found


def document(command: str, name: str, result: Any, **offered: Any) -> str:
    """The result of a command in a format, with what of the `offered` the format takes."""
    takes = TABLE[command][name].takes
    written: str = writer(command, name)(result, **{key: offered[key] for key in takes if key in offered})
    return written
