"""From PATH arguments to a snapshot; everything that is wrong with any of them is told at once."""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from istio_netpol.bundle.kustomize import Kustomize
from istio_netpol.bundle.sources import ManifestFile, Overlay, Source, Sources, problem
from istio_netpol.cli.progress import CountedFile, Progress
from istio_netpol.errors import InputError, Problem, ToolError
from istio_netpol.manifests.load import KindName, Loaded, load
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.settings import Settings
from istio_netpol.report.places import STANDARD_INPUT
from istio_netpol.state.snapshot import Snapshot

DEFAULT_NAMESPACE = "default"
"""Where kubectl puts objects that name no namespace."""


@dataclass(frozen=True, slots=True)
class Input:
    """What was read. `skipped` counts the objects of kinds that no rule looks at, by apiVersion and kind;
    `there` is what the cluster has without the paths, where one was named."""

    snapshot: Snapshot
    skipped: Mapping[KindName, int]
    there: Snapshot | None = None


def read_input(
    paths: Sequence[str], kustomize: Kustomize, context: str = "", settings: Settings | None = None
) -> Input:
    """Reads all paths into one snapshot, over what the cluster of a context has. Raises InputError with every
    problem of every file, ApiError with every kind of the cluster that can't be read."""
    if context:
        # The client and the watches cost half a second of imports, which reading files can do without.
        from istio_netpol.cli.cluster_input import read_cluster

        there = read_cluster(context, settings or Settings())
    else:
        there = Snapshot.of([])
    with _no_collection():
        loaded = _loaded(_documents(paths, kustomize))
        whole = there.with_changes(loaded.objects)
        return Input(whole, loaded.skipped, there if context else None)


def read_objects(paths: Sequence[str], kustomize: Kustomize) -> tuple[Any, ...]:
    """The decoded objects of all paths. Raises InputError with every problem of every file."""
    return _loaded(_documents(paths, kustomize)).objects


def _loaded(documents: Iterator[RawObject | Problem]) -> Loaded:
    loaded = load(documents, DEFAULT_NAMESPACE)
    if loaded.problems:
        raise InputError(loaded.problems)
    return loaded


@contextmanager
def _no_collection() -> Iterator[None]:
    """Reading makes many objects and no garbage in cycles: looking for it would double the time."""
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def _documents(paths: Sequence[str], kustomize: Kustomize) -> Iterator[RawObject | Problem]:
    finder = Sources()
    found = [(path, list(finder.of(path))) for path in dict.fromkeys(paths)]
    progress = Progress(
        sum(each.size for _, group in found for each in group if isinstance(each, ManifestFile))
    )
    try:
        for path, sources in found:
            yield from _path_documents(path, sources, kustomize, progress)
    finally:
        progress.finish()


def _path_documents(
    path: str, sources: Sequence[Source | Problem], kustomize: Kustomize, progress: Progress
) -> Iterator[RawObject | Problem]:
    """Everything of one PATH; a path that holds nothing is a mistake of whoever named it."""
    empty = bool(sources)
    for source in sources:
        for each in _source_documents(source, kustomize, progress):
            empty = False
            yield each
    if empty:
        yield problem(path, "holds no objects", "name manifests")


def _source_documents(
    source: Source | Problem, kustomize: Kustomize, progress: Progress
) -> Iterator[RawObject | Problem]:
    match source:
        case Problem():
            yield source
        case ManifestFile(path=path):
            try:
                with io.BufferedReader(CountedFile(str(path), progress)) as file:
                    yield from read_documents(file, str(path))
            except OSError as error:
                yield problem(str(path), f"can't be read: {error.strerror or error}")
        case Overlay():
            yield from _built(source, kustomize)
        case _:
            yield from read_documents(sys.stdin.buffer, STANDARD_INPUT)


def _built(overlay: Overlay, kustomize: Kustomize) -> Iterator[RawObject | Problem]:
    """The objects of an overlay, without lines: those would be lines of the build, which nobody sees."""
    try:
        manifests = kustomize.build(overlay.folder)
    except ToolError as error:
        yield problem(str(overlay.folder), str(error))
        return
    for each in read_documents(manifests, str(overlay.file)):
        yield replace(each, line=0) if isinstance(each, RawObject) else replace(each, line=None)
