"""Clusters whose objects come and go: those of all scenario folders, and one that has every kind."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from tests.scenarios import scenario as scenarios

from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents

WORLD = Path(__file__).parent / "world"
"""Manifests of one cluster, a file for each thing that happens in it."""


@cache
def cluster(name: str) -> tuple[Any, ...]:
    """The objects of a scenario's broken state, or those of `world`, each reference once."""
    paths = (str(WORLD),) if name == "world" else scenarios.read(name).before
    found = _decoded(map(Path, paths))
    return tuple({(type(value), value.ref.key): value for value in found}.values())


def _decoded(paths: Iterable[Path]) -> Iterable[Any]:
    for path in paths:
        for file in [path] if path.is_file() else sorted(path.rglob("*.yaml")):
            yield from load(read_documents(file.read_bytes(), str(file)), "default").objects


NAMES = ("world", *scenarios.names())
