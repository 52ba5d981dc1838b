"""Finds the overlays that stand on their own: those that no other one includes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from istio_netpol.bundle.kustomize import kustomization_of
from istio_netpol.bundle.sources import Overlay

_INCLUDING = ("resources", "bases", "components", "generators", "transformers", "validators")
"""The fields of a kustomization that name further kustomizations (kustomize, `types.Kustomization`)."""


class Kustomizations(Struct, frozen=True):
    """The overlays that are built and judged one by one, the Components that only an overlay outside of the
    input could include, and the files that go into some kustomization."""

    roots: tuple[Overlay, ...]
    components: tuple[Overlay, ...]
    files: frozenset[str]


def kustomizations_of(overlays: Iterable[Overlay]) -> Kustomizations:
    """Sorts overlays out by what their kustomizations say. Files are told by their real paths."""
    known = {os.path.realpath(overlay.folder): overlay for overlay in overlays}
    graph = _Graph()
    included = {folder for start in known for folder in graph.below(start)}
    components = {folder for folder in known if graph.content(folder).get("kind") == "Component"}
    roots = [folder for folder in known if folder not in included | components]
    reached = {folder for root in roots for folder in (root, *graph.below(root))}
    for folder in known:
        # Overlays that include one another: one of them is built, for kustomize to say so.
        if folder not in reached | components:
            roots.append(folder)
            reached.update((folder, *graph.below(folder)))
    return Kustomizations(
        tuple(known[folder] for folder in known if folder in roots),
        tuple(known[folder] for folder in sorted(components - reached)),
        frozenset(file for folder in {*known, *reached} for file in graph.files(folder)),
    )


class _Graph:
    """Kustomizations by the real paths of their folders, each read once."""

    def __init__(self) -> None:
        self._contents: dict[str, Mapping[str, Any]] = {}

    def content(self, folder: str) -> Mapping[str, Any]:
        """A folder's kustomization; empty where kustomize, which reads it as well, says what is wrong."""
        if folder not in self._contents:
            self._contents[folder] = _read(kustomization_of(Path(folder)))
        return self._contents[folder]

    def below(self, start: str) -> set[str]:
        """The folders that a kustomization includes, at any depth. Its own is among them in a ring only."""
        found: set[str] = set()
        waiting = [start]
        while waiting:
            for folder in self._included(waiting.pop()):
                if folder not in found:
                    found.add(folder)
                    waiting.append(folder)
        return found

    def files(self, folder: str) -> Iterator[str]:
        """The files that a kustomization names, in whichever field."""
        for text in _texts(self.content(folder)):
            # The files of a generator may be written key=path.
            path = os.path.realpath(os.path.join(folder, text.rpartition("=")[2]))
            if os.path.isfile(path):
                yield path

    def _included(self, folder: str) -> Iterator[str]:
        content = self.content(folder)
        for field in _INCLUDING:
            entries = content.get(field)
            for entry in entries if isinstance(entries, list) else ():
                path = os.path.realpath(os.path.join(folder, str(entry)))
                if os.path.isdir(path):
                    yield path


def _read(file: Path | None) -> Mapping[str, Any]:
    try:
        content: Any = yaml.safe_load(file.read_text(encoding="utf-8-sig")) if file else None
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def _texts(value: Any) -> Iterator[str]:
    """The short one-line texts of a value: what may be a path."""
    if isinstance(value, str):
        if value and "\n" not in value and "\0" not in value and len(value) < 1024:
            yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)
