"""A folder of manifests as a cluster: read anew when something in it changes, file by file.

A file that can't be read, or is broken, keeps the last good snapshot as a whole: judging half of a cluster
would refuse what is fine and admit what is not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from istio_netpol.bundle.kustomize import Kustomize
from istio_netpol.bundle.sources import ManifestFile, Overlay, Source, Sources
from istio_netpol.errors import Problem, ToolError
from istio_netpol.manifests.load import Loaded, joined, load
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.interfaces import SourceState
from istio_netpol.model.snapshot import Snapshot
from istio_netpol.server.folder_store import GENERATED

DEFAULT_NAMESPACE = "default"
Signature = tuple[tuple[str, int, int, int], ...]
"""Path, inode, size and time of change of every file below a folder."""


class FolderSource:
    """Implements `ClusterSource`. `refresh` reads, from one thread; `state` may be asked from any."""

    def __init__(
        self, folder: Path, kustomize: Kustomize, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder = folder
        self._kustomize = kustomize
        self._clock = clock
        self._known: dict[str, tuple[Signature, Loaded]] = {}
        self._read: Signature | None = None
        self._seen: Signature | None = None
        self._snapshot = Snapshot.of([])
        self._synced = False
        self._good_at = clock()
        self._problems: tuple[str, ...] = ()

    def state(self) -> SourceState:
        """The newest good snapshot, and what is wrong with a newer one."""
        return SourceState(self._snapshot, self._synced, self._clock() - self._good_at, self._problems)

    def refresh(self) -> bool:
        """Looks at the folder, and reads it if it changed and then stayed the same for one look; says
        whether it was read.

        Waiting one look keeps files that are just being written from being read in halves.
        """
        signature, failure = self._signature()
        if failure:
            changed = self._problems != (failure,)
            self._problems, self._read = (failure,), None
            return changed
        settled = signature == self._seen or not self._synced
        self._seen = signature
        if not settled:
            return False
        if signature == self._read:
            if not self._problems:
                self._good_at = self._clock()
            return False
        self._read = signature
        self._take(self._load(signature))
        return True

    def _take(self, loaded: Loaded) -> None:
        self._problems = tuple(str(problem) for problem in loaded.problems)
        if not self._problems:
            self._snapshot = Snapshot.of(loaded.objects)
            self._synced = True
            self._good_at = self._clock()

    def _signature(self) -> tuple[Signature, str]:
        try:
            return tuple(sorted(_stats(self._folder))), ""
        except OSError as error:
            return (), f"{error.filename or self._folder}: can't be read: {error.strerror or error}"

    def _load(self, whole: Signature) -> Loaded:
        parts: dict[str, tuple[Signature, Loaded]] = {}
        for source in self._sources():
            if isinstance(source, Problem):
                parts[str(source)] = (whole, Loaded((), (source,), {}))
            elif isinstance(source, ManifestFile | Overlay):
                name = str(source.path if isinstance(source, ManifestFile) else source.folder)
                # Other folders may go into an overlay, so any change may change it.
                signature = _of_file(whole, name) if isinstance(source, ManifestFile) else whole
                before = self._known.get(name)
                is_known = before is not None and before[0] == signature
                parts[name] = before if before and is_known else (signature, self._loaded(source))
        self._known = parts
        return joined(loaded for _, loaded in parts.values())

    def _sources(self) -> Iterator[Source | Problem]:
        """What the folder holds, and what was generated into it even where it is an overlay."""
        finder = Sources()
        yield from finder.in_folder(self._folder, self._folder.stat())
        generated = self._folder / GENERATED
        if generated.is_dir():
            yield from finder.in_folder(generated, generated.stat())

    def _loaded(self, source: ManifestFile | Overlay) -> Loaded:
        return load(self._documents(source), DEFAULT_NAMESPACE)

    def _documents(self, source: ManifestFile | Overlay) -> Iterator[RawObject | Problem]:
        name = str(source.path if isinstance(source, ManifestFile) else source.file)
        try:
            if isinstance(source, ManifestFile):
                with source.path.open("rb") as file:
                    yield from read_documents(file, name)
            else:
                yield from read_documents(self._kustomize.build(source.folder), name)
        except OSError as error:
            yield Problem(name, None, None, None, None, f"can't be read: {error.strerror or error}", None)
        except ToolError as error:
            yield Problem(name, None, None, None, None, str(error), None)


def _stats(folder: Path) -> Iterator[tuple[str, int, int, int]]:
    for root, folders, files in os.walk(folder, onerror=_raise, followlinks=False):
        folders[:] = [each for each in folders if not each.startswith(".")]
        for name in files:
            if not name.startswith("."):
                path = os.path.join(root, name)
                try:
                    status = os.stat(path)
                except FileNotFoundError:
                    continue
                yield path, status.st_ino, status.st_size, status.st_mtime_ns


def _raise(error: OSError) -> None:
    raise error


def _of_file(whole: Signature, name: str) -> Signature:
    return tuple(entry for entry in whole if entry[0] == name)
