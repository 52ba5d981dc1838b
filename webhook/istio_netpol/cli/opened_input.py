"""The input of a command: files, a cluster, or both, with the settings by which they are judged."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from stat import S_ISFIFO, S_ISREG
from typing import TYPE_CHECKING

import click

from istio_netpol.analysis.focus import WHOLE, Focus
from istio_netpol.bundle.exclusions import RootedExclusions
from istio_netpol.cli.input_arguments import InputArguments
from istio_netpol.cli.inputs import Input, Reading, read_inputs
from istio_netpol.cli.options import helm_from_environment, kustomize_from_environment, settings_and_file
from istio_netpol.cli.terminal import tell
from istio_netpol.kube.kubeconfig import KubeContext, find_context, has_cluster
from istio_netpol.model.assumptions import Assumption
from istio_netpol.model.not_seen import assumptions_of
from istio_netpol.model.settings import Settings
from istio_netpol.state.snapshot import Snapshot

if TYPE_CHECKING:
    from istio_netpol.kube.listing import Listing

A_CLUSTER = "a cluster by --context or a kubeconfig (--kubeconfig, KUBECONFIG, ~/.kube/config)"
NO_INPUT = f"there is nothing to read: name a PATH (- for standard input), or {A_CLUSTER}"
ONE_SIDE = f"there is nothing to compare {{path}} with: name OLD before it, or {A_CLUSTER}"


@dataclass(frozen=True, slots=True)
class OpenedInput:
    """What a command is to read, looked at but not read yet. `cluster` is the context that is read, if one
    is; `settings` are those that were found. `about_all` says that the command reports on no single
    namespace."""

    arguments: InputArguments
    settings: Settings
    reading: Reading
    paths: tuple[str, ...]
    cluster: KubeContext | None = None
    about_all: bool = False

    def read(self, paths: Sequence[str] | None = None) -> tuple[Input, ...]:
        """What is judged, one input after the other, each over what the cluster has if one is read. `paths`
        are read instead of all that were named. Raises InputError with every problem of every file, and
        ApiError where too little of the cluster may be read."""
        there: Snapshot | None = None
        unseen: tuple[Assumption, ...] = ()
        if self.cluster is not None:
            from istio_netpol.cli.cluster_input import read_cluster

            found = read_cluster(self.listing(), self._reported)
            there, unseen = found.snapshot, assumptions_of(found.unseen)
        inputs = read_inputs(self.paths if paths is None else paths, self.reading, there)
        return tuple(
            replace(given, focus=self._focus(), assumed=(*given.assumed, *unseen)) for given in inputs
        )

    def listing(self) -> Listing:
        """What of the cluster may be listed. Raises SettingsError, and ApiError where it can't be reached."""
        if self.cluster is None:
            raise ValueError("no cluster is read")
        # The client costs half a second of imports, which reading files can do without.
        from istio_netpol.cli.cluster_input import listing_of

        arguments = self.arguments
        only = "" if arguments.all_namespaces else arguments.namespace
        return listing_of(self.cluster, arguments.kubeconfig, self.settings, only)

    def _focus(self) -> Focus:
        namespace = self._reported
        return Focus.on_namespaces([namespace]) if namespace else WHOLE

    @property
    def _reported(self) -> str:
        """The one namespace that is reported; empty for all. Files speak for themselves: all that they hold
        is reported."""
        if self.cluster is None or self.about_all or self.arguments.all_namespaces:
            return ""
        return self.arguments.namespace or ("" if self.paths else self.cluster.namespace)

    def tell(self) -> None:
        """Says on standard error which cluster is read, and how much of it is reported."""
        if self.cluster is None:
            return
        named = f"of context {self.cluster.name}" if self.cluster.name else "that this pod runs in"
        reported = f"reporting on namespace {self._reported} (-A for all)" if self._reported else ""
        tell(", ".join(filter(None, (f"reading the cluster {named}", reported))))


def open_input(
    arguments: InputArguments,
    addresses: Sequence[tuple[str, tuple[str, ...]]] = (),
    *,
    paths_needed: int = 1,
    about_all: bool = False,
    keeps_input: bool = False,
) -> OpenedInput:
    """What the arguments stand for. A cluster is read where one is named, and where fewer paths are there
    than needed: that of the current context. `about_all` is for commands that report on the whole of a
    cluster, whatever the namespace, `keeps_input` for those that read standard input themselves. Raises
    UsageError where there is nothing to read."""
    settings, file = settings_and_file(arguments, addresses)
    reading = Reading(
        kustomize_from_environment(),
        helm_from_environment(),
        arguments.namespace,
        arguments.exclude,
        RootedExclusions(file.parent, settings.exclude) if file else None,
    )
    if not arguments.names_cluster and len(arguments.paths) >= paths_needed:
        return OpenedInput(arguments, settings, reading, arguments.paths, about_all=about_all)
    if not arguments.names_cluster and not has_cluster():
        missing = ONE_SIDE.format(path=arguments.paths[0]) if arguments.paths else NO_INPUT
        raise click.UsageError(missing, click.get_current_context(silent=True))
    cluster = find_context(arguments.kubeconfig, arguments.context)
    if not arguments.paths and not keeps_input and _is_piped():
        tell("note: standard input is not read; write - to read it")
    reading = replace(reading, namespace=arguments.namespace or cluster.namespace)
    opened = OpenedInput(arguments, settings, reading, arguments.paths, cluster, about_all)
    opened.tell()
    return opened


def _is_piped() -> bool:
    """Whether a program or a file stands behind standard input."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):
        return False
    return S_ISFIFO(mode) or S_ISREG(mode)
