"""A folder of manifests as a cluster: read anew when something in it changes, file by file.

If a file can't be read, or is broken, the last good snapshot stays as a whole: judging half of a cluster
would refuse what is fine and admit what is not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from istio_netpol.bundle.kustomize import Kustomize
from istio_netpol.bundle.sources import Chart, ManifestFile, Overlay, Source, Sources, unrendered
from istio_netpol.errors import Problem, ToolError
from istio_netpol.manifests.load import Loaded, joined, load
from istio_netpol.manifests.raw_objects import Document
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.references import DEFAULT_NAMESPACE
from istio_netpol.report.remarks import remarks_on
from istio_netpol.sources.folder_files import FileMark, FileMarks, marks_of
from istio_netpol.sources.folder_store import GENERATED
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.state.source import SourceState

RETRY_SECONDS = 10.0
"""After how long a broken folder is read again though no file has changed: a mount or a remote base may be
back."""


class FolderSource:
    """Implements `ClusterSource`. `refresh` reads, from one thread; `state` may be asked from any."""

    def __init__(
        self,
        folder: Path,
        kustomize: Kustomize,
        clock: Callable[[], float] = time.monotonic,
        *,
        namespace: str = "",
        exclude: Sequence[str] = (),
    ) -> None:
        """`namespace` is that of objects that name none, `exclude` are patterns of what is left out."""
        self._folder = folder
        self._kustomize = kustomize
        self._clock = clock
        self._namespace = namespace
        self._exclude = exclude
        self._remarks: tuple[str, ...] = ()
        self._known: dict[str, tuple[FileMark | FileMarks | None, Loaded]] = {}
        self._read: FileMarks | None = None
        self._seen: FileMarks | None = None
        self._snapshot = Snapshot.of([])
        self._synced = False
        self._good_at = self._read_at = clock()
        self._problems: tuple[str, ...] = ()

    def state(self) -> SourceState:
        """The newest good snapshot, and what is wrong with a newer one."""
        age = self._clock() - self._good_at
        return SourceState(self._snapshot, self._synced, age, self._problems, self._remarks)

    @property
    def is_settling(self) -> bool:
        """Whether the last look saw a change that was not read yet."""
        return self._seen != self._read

    def refresh(self) -> bool:
        """Looks at the folder, and reads it if it changed and then stayed the same for one look. Returns
        whether there is something new to know: a snapshot, or other problems.

        Waiting one look keeps files that are just being written from being read in halves.
        """
        told = self._problems
        try:
            marks = marks_of(str(self._folder))
            is_settled = marks == self._seen or not self._synced
            self._seen = marks
            if not is_settled:
                return False
            if marks == self._read and not self._is_due():
                self._good_at = self._good_at if self._problems else self._clock()
                return False
            return self._take(marks) or self._problems != told
        except OSError as error:
            self._fail(f"{error.filename or self._folder}: can't be read: {error.strerror or error}")
            self._read = None
            return self._problems != told

    def _take(self, marks: FileMarks) -> bool:
        """Reads the folder; returns whether there is a new snapshot."""
        self._read, self._read_at = marks, self._clock()
        try:
            loaded = self._load(marks)
        except BaseException:
            self._fail(f"{self._folder}: an error inside istio-netpol; its log has the details")
            raise
        if loaded.problems:
            self._fail(*map(str, loaded.problems))
            return False
        self._snapshot = Snapshot.of(loaded.objects)
        self._remarks = remarks_on(loaded, names_namespace=bool(self._namespace))
        self._good_at, self._synced, self._problems = self._clock(), True, ()
        return True

    def _fail(self, *problems: str) -> None:
        self._problems = problems

    def _is_due(self) -> bool:
        return bool(self._problems) and self._clock() - self._read_at >= RETRY_SECONDS

    def _load(self, marks: FileMarks) -> Loaded:
        parts: dict[str, tuple[FileMark | FileMarks | None, Loaded]] = {}
        for found in self._sources():
            source = unrendered(found) if isinstance(found, Chart) else found
            if isinstance(source, Problem):
                parts[str(source)] = (None, Loaded((), (source,), {}))
            elif isinstance(source, ManifestFile | Overlay):
                name = str(source.path if isinstance(source, ManifestFile) else source.folder)
                # Other folders may go into an overlay, so any change may change it.
                mark = marks.get(name) if isinstance(source, ManifestFile) else marks
                before = self._known.get(name)
                is_known = before is not None and before[0] == mark and not before[1].problems
                parts[name] = before if before and is_known else (mark, self._loaded(source))
        self._known = parts
        return joined(loaded for _, loaded in parts.values())

    def _sources(self) -> Iterator[Source | Problem]:
        """What the folder holds, and what was generated into it even where it is an overlay."""
        finder = Sources(self._exclude)
        yield from finder.in_folder(self._folder, self._folder.stat())
        generated = self._folder / GENERATED
        if os.path.isdir(generated):
            yield from finder.in_folder(generated, generated.stat())

    def _loaded(self, source: ManifestFile | Overlay) -> Loaded:
        return load(self._documents(source), self._namespace or DEFAULT_NAMESPACE)

    def _documents(self, source: ManifestFile | Overlay) -> Iterator[Document]:
        name = str(source.path if isinstance(source, ManifestFile) else source.file)
        try:
            if isinstance(source, ManifestFile):
                with source.path.open("rb") as file:
                    yield from read_documents(file, name)
            else:
                yield from read_documents(self._kustomize.build(source.folder), name)
        except OSError as error:
            yield Problem.of(name, f"can't be read: {error.strerror or error}")
        except ToolError as error:
            yield Problem.of(name, str(error))
