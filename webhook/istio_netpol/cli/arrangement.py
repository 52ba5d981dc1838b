"""Which of the sources that PATHs stand for are judged together, and which on their own."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.bundle.helm import Helm, is_library
from istio_netpol.bundle.kustomizations import Kustomizations, kustomizations_of
from istio_netpol.bundle.sources import Chart, ManifestFile, Overlay, Source
from istio_netpol.errors import Problem

Found = Mapping[str, Sequence[Source | Problem]]
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


def arranged(found: Found, helm: Helm) -> Arrangement:
    """Every overlay that no other includes, and every chart, is a part; what else lies in their PATHs is one
    more. A single part, and what PATHs without any hold, is judged with everything else."""
    overlays = [source for sources in found.values() for source in sources if isinstance(source, Overlay)]
    kustomizations = kustomizations_of(overlays)
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
        parts.append(Part(f"{', '.join(paths)} (files of no overlay)", "", tuple(loose)))
    else:
        common += loose
    parts = _at_places_of_their_own(parts)
    if len(parts) == 1:
        common += parts[0].sources
        return Arrangement(Part("", parts[0].place, tuple(common)), (), tuple(remarks))
    return Arrangement(Part("", "", tuple(common)), tuple(parts), tuple(remarks))


def _others(
    sources: Sequence[Source | Problem], kustomizations: Kustomizations, helm: Helm, remarks: list[str]
) -> Iterator[Source | Problem]:
    """The paths that are not overlays, without the files that go into one and the charts that can't be
    rendered."""
    for source in sources:
        if isinstance(source, Chart) and is_library(source.folder):
            remarks.append(f"{source.folder} is a library chart, of which nothing comes: it is not judged")
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
