"""`istio-netpol dump`: all that an analysis needs from a cluster, in one file."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from istio_netpol.cli.cluster_input import listing_of
from istio_netpol.cli.command import Command
from istio_netpol.cli.opened_input import A_CLUSTER, whereabouts
from istio_netpol.cli.options import (
    InputArguments,
    cluster_options,
    config_option,
    namespace_option,
    output_file_option,
)
from istio_netpol.cli.program import examples
from istio_netpol.cli.settings import settings_and_file
from istio_netpol.cli.streams import OutputError, tell
from istio_netpol.cli.whole_file import whole_file
from istio_netpol.kube.kubeconfig import find_context, has_cluster
from istio_netpol.kube.listing import Listing
from istio_netpol.kube.objects import content_of, received
from istio_netpol.manifests.cluster_dump import HEADER, dumped, item_text, note_of
from istio_netpol.model.assumptions import assumptions_of


@click.command(
    cls=Command,
    epilog=examples(
        "istio-netpol dump -o cluster.yaml",
        "istio-netpol dump --context prod -o prod.yaml",
        "istio-netpol dump -n shop | istio-netpol check - -n shop",
    ),
)
@output_file_option("Write into this file, which only you may read then, instead of standard output.")
@namespace_option("The namespace to read where you may not read the whole cluster.")
@cluster_options("Read the cluster of this context of the kubeconfig, instead of the current one.")
@config_option()
def dump(file: Path | None, namespace: str | None, context: str, kubeconfig: str, config: str | None) -> None:
    """Write all that an analysis needs from a cluster into one file, a List in YAML.

    The file is an input for every other command. It holds no Secrets, of ConfigMaps only Istio's own, no
    variables and arguments of containers, and nothing else that no rule reads. What you may not read is told
    on standard error and stands in the file, so that reports on it say so too.

    Exit code: 0, or 2 where the cluster can't be read or the file can't be written.
    """
    arguments = InputArguments(
        namespace=namespace or "", context=context, kubeconfig=kubeconfig, config=config or ""
    )
    if not arguments.names_cluster and not has_cluster():
        raise click.UsageError(f"there is no cluster to read: name {A_CLUSTER}", click.get_current_context())
    settings, _ = settings_and_file(arguments)
    chosen = find_context(kubeconfig, context)
    tell(f"reading the cluster {whereabouts(chosen)}")
    listing = listing_of(chosen, kubeconfig, settings, arguments.namespace)
    with _written(file) as stream:
        count = _write(listing, stream)
    for assumption in assumptions_of(listing.unseen):
        tell(f"note: {assumption.why}")
    tell(f"wrote {count} objects{f' to {file}' if file else ''}")


def _write(listing: Listing, stream: BinaryIO) -> int:
    """Writes every object as it arrives, so that no more than a page of them is held; their number. Raises
    ApiError where nothing can be told of any namespace."""
    count = 0
    stream.write(HEADER.encode())
    for scope in listing.scopes:
        for item in listing.items(scope):
            # What no decoder makes anything of, another's ConfigMap say, is nobody's business.
            if received(item, scope.resource).is_of_use:
                stream.write(item_text(dumped(content_of(item, scope.resource))).encode())
                count += 1
    listing.require_some()
    stream.write(item_text(note_of(listing.unseen)).encode())
    return count


@contextmanager
def _written(file: Path | None) -> Iterator[BinaryIO]:
    """A stream whose content is in its place once all of it is written, and not before; a file is its
    writer's alone to read."""
    try:
        if file is None:
            with tempfile.TemporaryFile() as whole:
                yield whole
                whole.seek(0)
                shutil.copyfileobj(whole, sys.stdout.buffer)
                sys.stdout.flush()
            return
        with whole_file(file) as stream:
            yield stream
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"{file or 'the output'} can't be written: {error.strerror or error}") from None
