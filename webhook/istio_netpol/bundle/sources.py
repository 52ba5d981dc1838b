"""Finds the files, overlays and streams that the PATH arguments stand for. Only folders are read here."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from istio_netpol.bundle.exclusions import IGNORE_FILE, Exclusions, RootedExclusions, patterns_of
from istio_netpol.bundle.helm import CHART_FILE
from istio_netpol.bundle.kustomize import KUSTOMIZATION_FILES, kustomization_of
from istio_netpol.errors import Problem
from istio_netpol.manifests.raw_objects import Document
from istio_netpol.report.places import STANDARD_INPUT

SUFFIXES = (".yaml", ".yml", ".json")


class ManifestFile(Struct, frozen=True):
    """A file to read; `size` in bytes, 0 where unknown (pipes)."""

    path: Path
    size: int = 0


class Overlay(Struct, frozen=True):
    """A folder that kustomize builds; `file` is its kustomization."""

    folder: Path
    file: Path


class Chart(Struct, frozen=True):
    """A folder that helm renders; `is_named` where a PATH is this very folder."""

    folder: Path
    is_named: bool = False


class StandardInput(Struct, frozen=True):
    """Standard input."""


class GivenObjects(Struct, frozen=True):
    """Objects that a program hands over."""

    documents: tuple[Document, ...]


Source = ManifestFile | Overlay | Chart | StandardInput | GivenObjects

GIVEN_OBJECTS = "<objects>"
"""What problems call the place of such objects."""


class Sources:
    """Finds the sources of all arguments of one run, each file and folder once.

    `exclude` are patterns for what lies in the folders that arguments name, and `excluded` what is left out
    wherever it is met there (see `exclusions`). Where `below_overlays`, the overlays below an overlay are
    sources too: whoever asks sorts out which belong to which.
    """

    def __init__(
        self,
        exclude: Sequence[str] = (),
        *,
        excluded: RootedExclusions | None = None,
        below_overlays: bool = False,
    ) -> None:
        self._exclude = exclude
        self._rooted = excluded or RootedExclusions(Path())
        self._below_overlays = below_overlays
        self._exclusions = Exclusions()
        self._top = Path()
        self._seen: set[tuple[int, int]] = set()
        self._repeated = False
        self._excluded = False

    def of(self, argument: str) -> Iterator[Source | Problem]:
        """The sources of one PATH in a stable order, and problems with what can't be looked at."""
        if argument == "-":
            yield StandardInput()
            return
        if not argument:
            yield Problem.of("arguments", "a PATH is empty", "use . for this folder")
            return
        path = Path(argument)
        try:
            status = path.stat()
        except OSError as error:
            yield problem(argument, *_unreadable(error))
            return
        if path.name in KUSTOMIZATION_FILES:
            path, status = path.parent, path.parent.stat()
        if not stat.S_ISDIR(status.st_mode):
            if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
                yield problem(argument, "is a device", "name a file or a folder, or - for standard input")
            elif self._is_new(status):
                yield ManifestFile(path, status.st_size)
            return
        found = list(self.in_folder(path, status))
        yield from found
        if not found and self._excluded:
            advice = f"look at --exclude, at {IGNORE_FILE} and at exclude of the settings"
            yield problem(argument, "no manifests found that are not excluded", advice)
        elif not found and not self._repeated:
            yield problem(
                argument, "no manifests found", f"looked for {', '.join(f'*{suffix}' for suffix in SUFFIXES)}"
            )

    def in_folder(self, folder: Path, status: os.stat_result) -> Iterator[Source | Problem]:
        """The sources of a folder, which may have none."""
        self._repeated = self._excluded = False
        self._top = folder
        try:
            self._exclusions = Exclusions([*patterns_of(folder), *self._exclude])
        except OSError as error:
            yield problem(error.filename or str(folder), *_unreadable(error))
            return
        yield from self._folder(folder, status)

    def _folder(
        self, folder: Path, status: os.stat_result, *, below: bool = False
    ) -> Iterator[Source | Problem]:
        """What is in a folder; `below` an overlay only further overlays count, as its files are its own."""
        if not self._is_new(status):
            return
        try:
            names = sorted(os.listdir(folder))
        except OSError as error:
            yield problem(str(folder), *_unreadable(error))
            return
        kustomization = kustomization_of(folder)
        if kustomization is not None:
            yield Overlay(folder, kustomization)
            if not self._below_overlays:
                return
            below = True
        elif CHART_FILE in names:
            if not below:
                yield Chart(folder, is_named=folder == self._top)
            return
        for name in names:
            if not name.startswith("."):
                yield from self._entry(folder / name, below=below)

    def _entry(self, path: Path, *, below: bool) -> Iterator[Source | Problem]:
        wanted = path.name.endswith(SUFFIXES) and not below
        if self._excludes(path, is_folder=False):
            return
        try:
            status = path.stat()
        except OSError as error:
            if wanted:
                yield problem(str(path), *_unreadable(error))
            return
        if stat.S_ISDIR(status.st_mode):
            if self._excludes(path, is_folder=True):
                return
            yield from self._folder(path, status, below=below)
        elif wanted and stat.S_ISREG(status.st_mode) and self._is_new(status):
            yield ManifestFile(path, status.st_size)

    def _excludes(self, path: Path, *, is_folder: bool) -> bool:
        found = self._exclusions.excludes(path.relative_to(self._top).as_posix(), is_folder=is_folder)
        found = found or self._rooted.excludes(path, is_folder=is_folder)
        self._excluded |= found
        return found

    def _is_new(self, status: os.stat_result) -> bool:
        """Whether this file or folder was not met before: links make loops, and arguments overlap."""
        identity = (status.st_dev, status.st_ino)
        if identity in self._seen:
            self._repeated = True
            return False
        self._seen.add(identity)
        return True


def problem(file: str, cause: str, remedy: str | None = None) -> Problem:
    """A problem with a whole file or folder; standard input reads as `<stdin>`."""
    return Problem.of(STANDARD_INPUT if file == "-" else file, cause, remedy)


def unrendered(chart: Chart, instead: str = "") -> Problem:
    """The problem with a chart that nobody renders; `instead` is what else helps."""
    remedy = f"{instead}render it: helm template {chart.folder} | istio-netpol … -"
    return problem(str(chart.folder), "is a Helm chart, whose templates are not manifests yet", remedy)


def _unreadable(error: OSError) -> tuple[str, str | None]:
    if isinstance(error, FileNotFoundError):
        return "does not exist", "check the path"
    return f"can't be read: {error.strerror or error}", None
