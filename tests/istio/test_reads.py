"""Rules read a cluster through the queries of the view alone, which note what was asked."""

from __future__ import annotations

import ast
from pathlib import Path

import istio_netpol.istio

PACKAGE = Path(istio_netpol.istio.__file__).parent
VIEW = PACKAGE / "view"
"""What answers by a snapshot."""


def reaches(source: str) -> list[str]:
    """Where a module could get at a snapshot: by its module, or as a part of something."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = {*node.module.split("."), *(name.name for name in node.names)}
            if parts & {"snapshot", "Snapshot", "NamespaceObjects"}:
                found.append(f"line {node.lineno} imports {node.module}")
        elif isinstance(node, ast.Attribute) and (
            "snapshot" in node.attr or (node.attr.startswith("_") and ast.unparse(node.value) == "view")
        ):
            found.append(f"line {node.lineno} reads {ast.unparse(node)}")
    return found


def test_no_rule_reaches_a_snapshot() -> None:
    """What is read unrecorded is what a changed table would miss."""
    modules = [path for path in PACKAGE.rglob("*.py") if VIEW not in path.parents]
    found = {path.name: reaches(path.read_text()) for path in modules}
    assert {name: places for name, places in found.items() if places} == {}


def test_a_read_past_the_view_is_noticed() -> None:
    """The test above would tell."""
    assert reaches("def outcomes(view): return view.snapshot.every(Gateway)")
    assert reaches("def outcomes(view): return view._snapshot")
    assert reaches("from istio_netpol.state.snapshot import Snapshot")
