"""Pages that are made from the code that they describe.

A hook of MkDocs: what the program prints for `--help` is a page of the site only, since everybody who has the
repository can type it. The other pages are in docs/reference, and a test writes them.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
from collections.abc import Iterator

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from istio_netpol.cli.main import program
from istio_netpol.model import own_names

WIDTH = 100
COMMAND_LINE = "reference/command-line.md"

_COMMANDS = """\
# Command line

What `--help` prints, for each command. [Commands](../commands.md) explains them with examples and output.
"""

_NAMES = """\
# Labels and annotations

Whatever istio-netpol reads or writes in a cluster under a name of its own.

| name | is | on |
|---|---|---|
"""

_NAMES_END = """
Generated objects also carry the label `app.kubernetes.io/managed-by: istio-netpol`, and their fields belong
to the field manager `istio-netpol`. What lacks either is never changed or deleted.

This page is made from `istio_netpol/model/own_names.py`; `pytest tests/docs --update` writes it anew.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the page on the command line."""
    files.append(File.generated(config, COMMAND_LINE, content=command_line_page()))
    return files


def command_line_page() -> str:
    """The help of every command, one section each."""
    sections = [f"## {path}\n\n```text\n{text}\n```\n" for path, text in _help(program, "istio-netpol", None)]
    return "\n".join([_COMMANDS, *sections])


def _help(command: click.Command, path: str, parent: click.Context | None) -> Iterator[tuple[str, str]]:
    name = path.rpartition(" ")[2]
    shape = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    with click.Context(command, info_name=name, parent=parent, **shape) as context:
        yield path, command.get_help(context).rstrip()
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                if child is not None and not child.hidden:
                    yield from _help(child, f"{path} {name}", context)


def names_page() -> str:
    """Each label and annotation of ours, with what it is on and what it means."""
    rows = [f"| `{value}` | {kind} | {meaning} |\n" for value, kind, meaning in sorted(_names())]
    return _NAMES + "".join(rows) + _NAMES_END


def _names() -> Iterator[tuple[str, str, str]]:
    """The constants of the module, in which a docstring follows each."""
    body = ast.parse(inspect.getsource(own_names)).body
    for statement, below in itertools.pairwise(body):
        if not (isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)):
            continue
        value, (target,) = str(statement.value.value), statement.targets
        if "istio-netpol.io/" in value and isinstance(target, ast.Name):
            text = below.value if isinstance(below, ast.Expr) else None
            meaning = str(text.value) if isinstance(text, ast.Constant) else ""
            plain = re.sub(r"\s+", " ", meaning.removeprefix("On ")).replace("|", "\\|")
            yield value, "label" if "LABEL" in target.id else "annotation", plain
