"""From PATH arguments to snapshots; everything that is wrong with any of them is told at once."""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from istio_netpol.analysis.check import not_read
from istio_netpol.analysis.focus import WHOLE, Focus
from istio_netpol.analysis.readiness.deny_all import assume_deny_all as with_deny_all
from istio_netpol.analysis.unread_policies import UnreadPolicies
from istio_netpol.bundle.arrangement import Part, arranged
from istio_netpol.bundle.exclusions import RootedExclusions
from istio_netpol.bundle.helm import CHART_FILE, KUBERNETES_VERSION, Helm
from istio_netpol.bundle.kustomize import Kustomize
from istio_netpol.bundle.sources import (
    GIVEN_OBJECTS,
    Chart,
    GivenObjects,
    ManifestFile,
    Overlay,
    Source,
    Sources,
    StandardInput,
    problem,
    unrendered,
)
from istio_netpol.cli.streams import tell
from istio_netpol.cli.terminal import CountedFile, Progress
from istio_netpol.errors import InputError, Problem, ToolError
from istio_netpol.manifests.load import KindName, Loaded, RemovedApi, joined, load
from istio_netpol.manifests.raw_objects import Document
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.assumptions import Assumption, assumptions_of
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.references import DEFAULT_NAMESPACE
from istio_netpol.report.places import STANDARD_INPUT
from istio_netpol.report.remarks import other_documents, outdated, unnamed_namespaces
from istio_netpol.report.text import kinds_not_read
from istio_netpol.state.snapshot import Snapshot

T = TypeVar("T")


class ReadOptions(Struct, frozen=True):
    """How PATHs are read: `namespace` is that of objects that name none, empty where nobody said; `exclude`
    are patterns of what is left out of folders, and `excluded` those of the settings. `remark` is told what
    is left out and how it was understood; `is_watched` says that a person waits for the end."""

    kustomize: Kustomize
    helm: Helm = field(default_factory=Helm)
    namespace: str = ""
    exclude: Sequence[str] = ()
    excluded: RootedExclusions | None = None
    remark: Callable[[str], None] = tell
    is_watched: bool = True


class Input(Struct, frozen=True):
    """What was read and is judged as one cluster.

    `name` and `place` tell one of several inputs from the others (see `arrangement.Part`). `skipped` counts
    the objects of kinds that no rule looks at, by apiVersion and kind, `outdated` are objects that no API
    server takes, and `assumed` says in which namespace objects were put that name none, and what could not be
    seen. `there` is what the cluster has without the paths, where one is read. `focus` is what reports are
    about.
    """

    snapshot: Snapshot
    skipped: Mapping[KindName, int]
    name: str = ""
    place: str = ""
    assumed: tuple[Assumption, ...] = ()
    outdated: tuple[RemovedApi, ...] = ()
    there: Snapshot | None = None
    focus: Focus = WHOLE

    def judged(self, *, assume_deny_all: bool) -> Snapshot:
        """The cluster that is judged: what was read, or that as if every namespace denied all traffic."""
        return with_deny_all(self.snapshot) if assume_deny_all else self.snapshot

    def folder_below(self, folder: Path) -> Path:
        """Where in a folder the files of this input go: each of several has a folder of its own."""
        return folder / self.place if self.name else folder

    def findings(self) -> list[Finding]:
        """What is said of outdated objects, for a report of findings."""
        return outdated_findings(found for found in self.outdated if self.focus.concerns_object(found.ref))

    def tell(self) -> None:
        """Says on standard error what a report of findings says itself."""
        for sentence in (*map(str, self.assumed), *map(outdated, self.outdated)):
            tell(f"note: {sentence}")
        policies = not_read(UnreadPolicies(self.snapshot).kinds())
        if policies:
            tell(f"note: not read: {kinds_not_read(policies)}")


def outdated_findings(found: Iterable[RemovedApi], severity: Severity = Severity.WARNING) -> list[Finding]:
    """A finding for each object that no API server takes."""
    return [Finding(Issue.REMOVED_API, severity, removed.ref, outdated(removed)) for removed in found]


def read_inputs(
    paths: Sequence[str],
    reading: ReadOptions,
    there: Snapshot | None = None,
    objects: Sequence[Document] = (),
) -> tuple[Input, ...]:
    """What is judged, one input after the other, each with the objects, and over what is there already, in a
    cluster. Raises InputError with every problem of every file."""
    before = there or Snapshot.of([])
    with _no_collection():
        return tuple(
            Input(
                before.with_changes(loaded.objects),
                loaded.skipped,
                part.name,
                part.place,
                (
                    *(() if reading.namespace else unnamed_namespaces(loaded.placed)),
                    *assumptions_of(loaded.unseen),
                ),
                loaded.outdated,
                there,
            )
            for part, loaded in _read(paths, reading, objects)
        )


def paired(old: Sequence[Input], new: Sequence[Input]) -> list[tuple[str, Snapshot, Snapshot]]:
    """The inputs of two states of a repository by their place; what one of them lacks is an empty cluster
    there."""
    if len(old) == len(new) == 1:
        return [("", old[0].snapshot, new[0].snapshot)]
    before = {given.place: given.snapshot for given in old}
    after = {given.place: given.snapshot for given in new}
    nothing = Snapshot.of([])
    return [
        (place or "files outside of overlays", before.get(place, nothing), after.get(place, nothing))
        for place in sorted({*before, *after})
    ]


def answers_of(
    inputs: Iterable[Input], ask: Callable[[Snapshot], T], *, assume_deny_all: bool
) -> list[tuple[str, T]]:
    """The answer of each input that has what is asked for, under its name. Raises InputError where none
    has."""
    answers: list[tuple[str, T]] = []
    problems: list[Problem] = []
    for given in inputs:
        given.tell()
        try:
            answers.append((given.name, ask(given.judged(assume_deny_all=assume_deny_all))))
        except InputError as error:
            problems += error.problems
    if not answers:
        raise InputError(dict.fromkeys(problems))
    return answers


def read_objects(paths: Sequence[str], reading: ReadOptions) -> tuple[ClusterObject, ...]:
    """The decoded objects of all paths together. Raises InputError with every problem of every file."""
    return read_loaded(paths, reading).objects


def read_loaded(paths: Sequence[str], reading: ReadOptions) -> Loaded:
    """The same, with what was left aside."""
    finder = Sources(reading.exclude, excluded=reading.excluded)
    found = tuple((path, source) for path in dict.fromkeys(paths) for source in finder.of(path))
    return _SourceReader(reading, found).load(Part("", "", found))


def _read(
    paths: Sequence[str], reading: ReadOptions, objects: Sequence[Document]
) -> list[tuple[Part, Loaded]]:
    """The parts of the input with what they hold, the common part included in each."""
    finder = Sources(reading.exclude, excluded=reading.excluded, below_overlays=True)
    found = {path: list(finder.of(path)) for path in dict.fromkeys(paths)}
    if objects:
        found[GIVEN_OBJECTS] = [GivenObjects(tuple(objects))]
    if reading.helm.is_for_one_chart:
        _require_one_chart((source for sources in found.values() for source in sources), reading)
    arrangement = arranged(found, reading.helm)
    reader = _SourceReader(
        reading, (pair for part in (arrangement.common, *arrangement.parts) for pair in part.sources)
    )
    parts = reader.load_all([arrangement.common, *arrangement.parts])
    common, *others = parts
    for remark in (*arrangement.remarks, *other_documents(loaded.others for loaded in parts)):
        reading.remark(f"note: {remark}")
    pairs = list(zip(arrangement.parts, others, strict=True))
    for part, loaded in pairs:
        if part.place and not _has_objects(loaded):
            reading.remark(f"note: {part.name} holds no objects: there is nothing to judge")
    whole = [(part, joined([common, loaded])) for part, loaded in pairs if _has_objects(loaded)]
    if not whole:
        _require_objects(paths, parts)
        return [(arrangement.common, common)]
    _raise_problems(loaded for _, loaded in whole)
    return whole


def _require_one_chart(sources: Iterable[Source | Problem], reading: ReadOptions) -> None:
    """Raises InputError where values and a release's name may be meant for one of several charts."""
    charts = [source.folder.as_posix() for source in sources if isinstance(source, Chart)]
    if len(charts) > 1:
        cause = f"--values, --set and --release are for one chart, and there are {', '.join(charts)}"
        raise InputError([problem("arguments", cause, "name the folder of one of them as PATH")])
    if not charts:
        reading.remark("note: --values, --set and --release change nothing: there is no Helm chart in PATH")


def _has_objects(loaded: Loaded) -> bool:
    return bool(loaded.objects or loaded.skipped or loaded.silent)


def _require_objects(paths: Sequence[str], parts: Iterable[Loaded]) -> None:
    if paths and not any(map(_has_objects, parts)):
        cause = "hold no Kubernetes objects" if len(paths) > 1 else "holds no Kubernetes objects"
        where = ", ".join(STANDARD_INPUT if path == "-" else path for path in paths)
        raise InputError([problem(where, cause, "name manifests with apiVersion and kind")])


def _raise_problems(parts: Iterable[Loaded]) -> None:
    problems = dict.fromkeys(problem for loaded in parts for problem in loaded.problems)
    if problems:
        raise InputError(sorted(problems, key=lambda found: (found.file, found.line or 0)))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Reading makes many objects and no garbage in cycles: looking for it would double the time."""
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


class _SourceReader:
    """Reads sources, and notices PATHs that hold nothing at all: a mistake of whoever named them."""

    def __init__(self, reading: ReadOptions, sources: Iterable[tuple[str, Source | Problem]]) -> None:
        self._reading = reading
        self._empty: dict[str, bool] = {}
        total = 0
        for path, source in sources:
            self._empty[path] = True
            total += source.size if isinstance(source, ManifestFile) else 0
        self._progress = Progress(total if reading.is_watched else 0)

    def load(self, part: Part) -> Loaded:
        """The one part of an input. Raises InputError with all problems."""
        return self.load_all([part])[0]

    def load_all(self, parts: Sequence[Part]) -> list[Loaded]:
        """What each part holds. Raises InputError with the problems of all."""
        namespace = self._reading.namespace or DEFAULT_NAMESPACE
        try:
            found = [load(self._documents(part), namespace) for part in parts]
        finally:
            self._progress.finish()
        empty = [
            problem(path, "holds no objects", "name manifests")
            for path, is_so in self._empty.items()
            if is_so
        ]
        _raise_problems([*found, Loaded((), tuple(empty), {})])
        return found

    def _documents(self, part: Part) -> Iterator[Document]:
        for path, source in part.sources:
            for document in self._source_documents(source):
                self._empty[path] = False
                yield document

    def _source_documents(self, source: Source | Problem) -> Iterator[Document]:
        match source:
            case Problem():
                yield source
            case ManifestFile(path=path):
                try:
                    with io.BufferedReader(CountedFile(str(path), self._progress)) as file:
                        yield from read_documents(file, str(path))
                except OSError as error:
                    yield problem(str(path), f"can't be read: {error.strerror or error}")
            case Overlay() | Chart():
                yield from self._built(source)
            case GivenObjects(documents=documents):
                yield from documents
            case StandardInput():
                yield from read_documents(sys.stdin.buffer, STANDARD_INPUT)

    def _built(self, unit: Overlay | Chart) -> Iterator[Document]:
        """The objects of an overlay or a chart, without lines: those would be lines of the build, which
        nobody sees."""
        try:
            if isinstance(unit, Overlay):
                manifests, file = self._reading.kustomize.build(unit.folder), str(unit.file)
            elif self._reading.helm.path is None and not self._reading.helm.program:
                yield unrendered(unit, "install helm, or ")
                return
            else:
                manifests, file = self._rendered(unit), str(unit.folder / CHART_FILE)
        except ToolError as error:
            yield problem(str(unit.folder), str(error))
            return
        for document in read_documents(manifests, file):
            if isinstance(document, Problem):
                yield replace(document, line=None)
            else:
                yield replace(document, line=0)

    def _rendered(self, chart: Chart) -> bytes:
        namespace = self._reading.namespace or DEFAULT_NAMESPACE
        helm = self._reading.helm
        manifests = helm.render(chart.folder, namespace)
        self._reading.remark(
            f"note: {chart.folder} is rendered for Kubernetes {KUBERNETES_VERSION} with "
            f"{helm.sources_of_values}, as release {helm.release_of(chart.folder)} in namespace {namespace}"
        )
        return manifests
