"""Which of the sources that PATHs stand for are judged together, and which on their own: overlays that no
other one includes, and charts."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.bundle.helm import Helm, is_library
from istio_netpol.bundle.kustomize import kustomization_of
from istio_netpol.bundle.sources import Chart, ManifestFile, Overlay, Source
from istio_netpol.errors import Problem

SourcesByPath = Mapping[str, Sequence[Source | Problem]]
"""What each PATH stands for."""


class Part(Struct, frozen=True):
    """Sources that are judged together, each with the PATH that led to it.

    `name` is what reports call them, `place` the same as seen from their PATH: two states of a repository
    have it in common. Both are empty for a path that is neither an overlay nor a chart.
    """

    name: str
    place: str
    sources: tuple[tuple[str, Source | Problem], ...]


class Arrangement(Struct, frozen=True):
    """`common` belongs to every part; without parts it is all there is. `remarks` say what is left out."""

    common: Part
    parts: tuple[Part, ...]
    remarks: tuple[str, ...]


def arranged(found: SourcesByPath, helm: Helm) -> Arrangement:
    """Every overlay that no other includes, and every chart, is a part; what else lies in their PATHs is one
    more. A single part, and what PATHs without any hold, is judged with everything else."""
    overlays = [source for sources in found.values() for source in sources if isinstance(source, Overlay)]
    kustomizations = _kustomizations_of(overlays)
    remarks = [_component(component) for component in kustomizations.components]
    common: list[tuple[str, Source | Problem]] = []
    loose: list[tuple[str, Source | Problem]] = []
    parts: list[Part] = []
    for path, sources in found.items():
        others = list(_others(sources, kustomizations, helm, remarks))
        roots = [
            source for source in sources if isinstance(source, Overlay) and source in kustomizations.roots
        ]
        charts = [source for source in others if isinstance(source, Chart)]
        units: list[Overlay | Chart] = [*roots, *charts]
        rest = [(path, source) for source in others if not isinstance(source, Chart)]
        parts += [_part(path, unit) for unit in units]
        (loose if units else common).extend(rest)
    if any(isinstance(source, ManifestFile) for _, source in loose):
        paths = dict.fromkeys(path for path, _ in loose)
        parts.append(Part(f"{', '.join(paths)} (files outside of overlays)", "", tuple(loose)))
    else:
        common += loose
    parts = _at_places_of_their_own(parts)
    if len(parts) == 1:
        common += parts[0].sources
        return Arrangement(Part("", parts[0].place, tuple(common)), (), tuple(remarks))
    return Arrangement(Part("", "", tuple(common)), tuple(parts), tuple(remarks))


def _others(
    sources: Sequence[Source | Problem], kustomizations: _Kustomizations, helm: Helm, remarks: list[str]
) -> Iterator[Source | Problem]:
    """The paths that are not overlays, without the files that go into one and the charts that can't be
    rendered."""
    for source in sources:
        if isinstance(source, Chart) and is_library(source.folder):
            remarks.append(f"{source.folder} is a library chart, which renders no objects: it is not judged")
        elif isinstance(source, Chart) and not source.is_named and helm.path is None:
            remarks.append(
                f"{source.folder} is a Helm chart and helm is not installed: it is not judged; install helm, "
                f"or render it: helm template {source.folder} | istio-netpol … -"
            )
        elif isinstance(source, ManifestFile):
            if not kustomizations.files or os.path.realpath(source.path) not in kustomizations.files:
                yield source
        elif not isinstance(source, Overlay):
            yield source


def _at_places_of_their_own(parts: Sequence[Part]) -> list[Part]:
    """Two PATHs may have an overlay at the same place each: then the place begins at neither."""
    count = Counter(part.place for part in parts)
    return [replace(part, place=part.name.lstrip("/")) if count[part.place] > 1 else part for part in parts]


def _part(path: str, unit: Overlay | Chart) -> Part:
    folder = unit.folder
    top = Path(path)
    place = folder.relative_to(top).as_posix() if folder.is_relative_to(top) else "."
    return Part(folder.as_posix(), place, ((path, unit),))


def _component(component: Overlay) -> str:
    return (
        f"{component.folder} is a kustomize Component that no overlay of the input includes: it is not "
        "judged, as nothing can be built of it alone"
    )


_INCLUDING = ("resources", "bases", "components", "generators", "transformers", "validators")
"""The fields of a kustomization that name further kustomizations (kustomize, `types.Kustomization`)."""


class _Kustomizations(Struct, frozen=True):
    """The overlays that are built and judged one by one, the Components that only an overlay outside of the
    input could include, and the files that go into some kustomization."""

    roots: tuple[Overlay, ...]
    components: tuple[Overlay, ...]
    files: frozenset[str]


def _kustomizations_of(overlays: Iterable[Overlay]) -> _Kustomizations:
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
    return _Kustomizations(
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
            self._contents[folder] = _read_kustomization(kustomization_of(Path(folder)))
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


def _read_kustomization(file: Path | None) -> Mapping[str, Any]:
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
