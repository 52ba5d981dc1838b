"""A live cluster as the input of a command."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

from istio_netpol.cli.streams import tell
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.kube.kubeconfig import KubeContext
from istio_netpol.kube.listing import Listing
from istio_netpol.kube.objects import Received, received
from istio_netpol.kube.reflector import Scope
from istio_netpol.manifests.load import placed_on_nodes
from istio_netpol.model.assumptions import NotSeen
from istio_netpol.model.settings import Settings
from istio_netpol.state.snapshot import Snapshot

LISTED_AT_ONCE = 8
"""Kinds that are asked for at the same time: over a slow line the answers are what takes long."""


class ClusterRead(Struct, frozen=True):
    """What a cluster has now, as far as its reader may see it, and what he may not."""

    snapshot: Snapshot
    unseen: tuple[NotSeen, ...]


def connect(context: KubeContext, kubeconfig: str) -> ApiConnection:
    """A connection to the cluster of a context. Raises SettingsError."""
    return ApiConnection.open(context.name, Path(kubeconfig) if kubeconfig else None)


def listing_of(context: KubeContext, kubeconfig: str, settings: Settings, namespace: str = "") -> Listing:
    """What of the cluster of a context may be listed; `namespace` is the one that the user named. Raises
    SettingsError, and ApiError where the cluster can't be reached."""
    connection = connect(context, kubeconfig)
    return Listing(connection, [settings.mesh.root_namespace], namespace, context.namespace)


def read_cluster(listing: Listing, reported: str, *, is_asked: bool = False) -> ClusterRead:
    """What a cluster has now. Raises ApiError where too little may be read to report on a namespace, or on
    all where `reported` is empty; `is_asked` for a question, which concerns what may be read."""

    def read(scope: Scope) -> list[Received]:
        return [received(item, scope.resource) for item in listing.items(scope)]

    with ThreadPoolExecutor(LISTED_AT_ONCE) as pool:
        found = [stored for objects in pool.map(read, listing.scopes) for stored in objects]
    if is_asked:
        listing.require_some()
    else:
        listing.require(reported)
    for sentence in _unreadable(found):
        tell(f"note: {sentence}")
    values = placed_on_nodes([value for stored in found for value in stored.values])
    return ClusterRead(Snapshot.of(values), listing.unseen)


def _unreadable(found: list[Received]) -> Iterator[str]:
    for stored in found:
        if stored.problems:
            yield f"an object could not be decoded, and is left out: {stored.problems[0]}"
