"""The input of a command: files, a cluster, or both, with the settings by which they are judged."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from stat import S_ISFIFO, S_ISREG

import click
from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.analysis.arguments.objects import ObjectName, find_named, where_else
from istio_netpol.analysis.focus import WHOLE, Focus
from istio_netpol.bundle.exclusions import RootedExclusions
from istio_netpol.cli.inputs import Input, ReadOptions, read_inputs
from istio_netpol.cli.object_arguments import paths_and_objects
from istio_netpol.cli.options import InputArguments
from istio_netpol.cli.settings import helm_from_environment, kustomize_from_environment, settings_and_file
from istio_netpol.cli.streams import tell
from istio_netpol.errors import InputError, Problem
from istio_netpol.kube.kubeconfig import KubeContext, find_context, has_cluster
from istio_netpol.model.assumptions import Assumption, assumptions_of
from istio_netpol.model.settings import Settings
from istio_netpol.state.snapshot import Snapshot

A_CLUSTER = "a cluster by --context or a kubeconfig (--kubeconfig, KUBECONFIG, ~/.kube/config)"
NO_INPUT = f"there is nothing to read: name a PATH (- for standard input), or {A_CLUSTER}"
ONE_SIDE = f"there is nothing to compare {{path}} with: name OLD before it, or {A_CLUSTER}"


class OpenedInput(Struct, frozen=True):
    """What a command is to read, looked at but not read yet.

    `settings` are those that were found, `objects` those to report on, and `cluster` is the context that is
    read, if one is. `about_all` says that the command reports on no single namespace, `is_asked` that it
    answers a question.
    """

    arguments: InputArguments
    settings: Settings
    reading: ReadOptions
    paths: tuple[str, ...]
    objects: tuple[ObjectName, ...] = ()
    cluster: KubeContext | None = None
    about_all: bool = False
    is_asked: bool = False

    def read(self, paths: Sequence[str] | None = None) -> tuple[Input, ...]:
        """What is judged, one input after the other, each over what the cluster has if one is read. `paths`
        are read instead of all that were named. Raises InputError with every problem of every file, and
        ApiError where too little of the cluster may be read."""
        there: Snapshot | None = None
        unseen: tuple[Assumption, ...] = ()
        if self.cluster is not None:
            # The client of clusters takes half a second to import, which reading files can do without.
            from istio_netpol.cli.cluster_input import listing_of, read_cluster  # noqa: PLC0415

            only = "" if self.arguments.all_namespaces else self.arguments.namespace
            listing = listing_of(self.cluster, self.arguments.kubeconfig, self.settings, only)
            found = read_cluster(listing, self._reported, is_asked=self.is_asked)
            there, unseen = found.snapshot, assumptions_of(found.unseen)
        inputs = read_inputs(self.paths if paths is None else paths, self.reading, there)
        focuses = self._focuses([given.snapshot for given in inputs])
        return tuple(
            replace(given, focus=focus, assumed=(*given.assumed, *unseen))
            for given, focus in zip(inputs, focuses, strict=True)
        )

    def _focuses(self, snapshots: Sequence[Snapshot]) -> Iterator[Focus]:
        """What to report of each input. Raises InputError with every object that none of them has."""
        if not self.objects:
            namespace = self._reported
            yield from [Focus.on_namespaces([namespace]) if namespace else WHOLE] * len(snapshots)
            return
        found = [[find_named(snapshot, wanted) for wanted in self.objects] for snapshot in snapshots]
        absent = [
            Problem(
                "arguments", None, None, None, wanted.written, _absence(wanted), where_else(snapshots, wanted)
            )
            for position, wanted in enumerate(self.objects)
            if not any(refs[position] for refs in found)
        ]
        if absent:
            raise InputError(absent)
        for snapshot, refs in zip(snapshots, found, strict=True):
            yield Focus.on_objects(snapshot, (ref for some in refs for ref in some))

    @property
    def _reported(self) -> str:
        """The one namespace that is reported; empty for all. Files speak for themselves: all that they hold
        is reported."""
        has_none = self.about_all or self.is_asked or self.arguments.all_namespaces
        if self.cluster is None or has_none:
            return ""
        return self.arguments.namespace or ("" if self.paths else self.cluster.namespace)

    def tell(self) -> None:
        """Says on standard error which cluster is read, and how much of it is reported."""
        if self.cluster is None:
            return
        reported = f"reporting on namespace {self._reported} (-A for all)" if self._reported else ""
        if self.objects:
            reported = f"reporting on {', '.join(wanted.written for wanted in self.objects)}"
            reported += f" in namespace {self._reported}" if self._reported else ""
        tell(", ".join(filter(None, (f"reading the cluster {whereabouts(self.cluster)}", reported))))


def open_input(
    arguments: InputArguments,
    addresses: Sequence[tuple[str, tuple[str, ...]]] = (),
    *,
    paths_needed: int = 1,
    about_all: bool = False,
    is_asked: bool = False,
    keeps_input: bool = False,
) -> OpenedInput:
    """What the arguments stand for. A cluster is read where one is named, and where fewer paths are there
    than needed: that of the current context. Raises UsageError where there is nothing to read, and InputError
    for arguments that are neither PATHs nor objects.

    `about_all` is for commands that report on the whole of what they read, which takes PATHs only, `is_asked`
    for those that answer a question, for which it is enough to be able to read some namespace, and
    `keeps_input` for those that read standard input themselves.
    """
    paths = arguments.paths
    objects: tuple[ObjectName, ...] = ()
    if not about_all and paths_needed == 1:
        paths, objects = paths_and_objects(arguments.paths, arguments.namespace)
        arguments = replace(arguments, paths=paths)
    settings, file = settings_and_file(arguments, addresses)
    reading = ReadOptions(
        kustomize_from_environment(),
        replace(
            helm_from_environment(),
            values=arguments.values,
            sets=arguments.sets,
            release=arguments.release,
        ),
        arguments.namespace,
        arguments.exclude,
        RootedExclusions(file.parent, settings.exclude) if file else None,
    )
    opened = OpenedInput(arguments, settings, reading, paths, objects, about_all=about_all, is_asked=is_asked)
    if not arguments.names_cluster and len(paths) >= paths_needed:
        return opened
    if not arguments.names_cluster and not has_cluster():
        missing = ONE_SIDE.format(path=paths[0]) if paths else NO_INPUT
        raise click.UsageError(missing, click.get_current_context(silent=True))
    return _with_cluster(opened, keeps_input=keeps_input)


def require_two_sides(arguments: InputArguments) -> None:
    """Raises UsageError where OLD, NEW and a cluster are not two in all."""
    paths, most = arguments.paths, 1 if arguments.names_cluster else 2
    if not paths:
        raise click.UsageError("Missing argument 'NEW'.", click.get_current_context())
    if len(paths) > most:
        wanted = "NEW" if arguments.names_cluster else "OLD NEW"
        raise click.UsageError(
            f"{paths[most]!r} is one argument too many: {wanted}", click.get_current_context()
        )
    if paths == ("-", "-"):
        raise click.UsageError("OLD and NEW can't both be standard input", click.get_current_context())


def _with_cluster(opened: OpenedInput, *, keeps_input: bool) -> OpenedInput:
    """The same over the cluster of a context. Objects that name no namespace are in the context's."""
    arguments = opened.arguments
    cluster = find_context(arguments.kubeconfig, arguments.context)
    if not opened.paths and not keeps_input and _is_piped():
        tell("note: standard input is not read; write - to read it")
    namespace = arguments.namespace or cluster.namespace
    objects = opened.objects
    if not arguments.all_namespaces:
        objects = tuple(replace(wanted, namespace=wanted.namespace or namespace) for wanted in objects)
    reading = replace(opened.reading, namespace=namespace)
    opened = replace(opened, reading=reading, objects=objects, cluster=cluster)
    opened.tell()
    return opened


def whereabouts(cluster: KubeContext) -> str:
    """Which cluster it is, as sentences go on after "the cluster"."""
    return f"of context {cluster.name}" if cluster.name else "that this pod runs in"


def _absence(wanted: ObjectName) -> str:
    return f"is not in namespace {wanted.namespace}" if wanted.namespace else "is not in the input"


def _is_piped() -> bool:
    """Whether a program or a file stands behind standard input."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):
        return False
    return S_ISFIFO(mode) or S_ISREG(mode)
