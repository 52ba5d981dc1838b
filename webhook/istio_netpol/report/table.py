"""The output formats of every command by name, as `-f` takes them: a row here, a function of this package.

A row names its function, and the module is imported when somebody asks for the format: a command lists its
formats in its help long before it prints any. What a command prints for an option has rows of its own, under
the command with the option (`list --summary`).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple


class Row(NamedTuple):
    """A function of this package, `module.name`, and what it takes besides the result, by the names of its
    parameters: the `palette` of a terminal, say, or the `pages` of the rules. `about` says in a few words
    what is written, where the name of the format does not.

    All functions of a command take the same result: `check` hands them a `Report`, `bundle verify` a
    `BundleReport`, `doctor` its `Diagnosis` values, `map` the `ReachabilityFacts`, `list` a `Listing` for
    each input; every other row takes a pair for each input, its name and what was found in it."""

    function: str
    takes: tuple[str, ...] = ()
    about: str = ""


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
        "text": Row("connections.text_connections"),
        "json": Row("connections.json_connections"),
        "csv": Row("connections.csv_connections"),
    },
    "list --summary": {
        "text": Row("connections.text_pairs"),
        "json": Row("connections.json_pairs"),
        "csv": Row("connections.csv_pairs"),
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
        "text": Row("explanation.text_walks", _PAINTED),
        "json": Row("explanation.json_walks"),
    },
    "explain --symptom": {
        "text": Row("symptoms.text_symptoms", ("reading", "palette")),
        "json": Row("symptoms.json_symptoms", ("reading",)),
    },
    "readiness": {
        "text": Row("readiness.text_plans", ("palette", "everything")),
        "json": Row("readiness_documents.readiness_json"),
        "markdown": Row("readiness_documents.markdown_plans"),
    },
    "doctor": {
        "text": Row("doctor.doctor_text", _PAINTED),
        "json": Row("doctor.doctor_json"),
    },
    "map": {
        "html": Row("map_document.html", ("title", "read_from", "page"), "a page for a browser"),
        "svg": Row("map_picture.svg", ("title",), "the matrix of namespaces"),
        "dot": Row("map_picture.dot", ("title",), "a graph of namespaces for Graphviz"),
        "mmd": Row("map_picture.mermaid", (), "a graph of namespaces for Mermaid"),
        "json": Row("map_document.json_facts", ("title", "read_from"), "the facts"),
    },
}


def names(command: str) -> tuple[str, ...]:
    """The formats of a command, with those that it has for some option only; the first is the default."""
    variants = (rows for key, rows in TABLE.items() if key == command or key.startswith(f"{command} --"))
    return tuple(dict.fromkeys(name for rows in variants for name in rows))


def has_format(command: str, name: str) -> bool:
    """Whether there is a row for it: a command with an option may have fewer formats than without."""
    return name in TABLE[command]


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
