"""A cluster as the webhook follows it, for tests to ask what it knows by now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cluster.control_plane import ControlPlane
from tests.cluster.users import ADMIN

from istio_netpol.kube.cluster import DISCOVERY_SECONDS, Cluster, ClusterChanges
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.model.workloads import Workload

CONFIG_NAMESPACE = "istio-system"


def connection(plane: ControlPlane, folder: Path, user: str = ADMIN, port: int = 0) -> ApiConnection:
    """A connection as a user, straight or by a proxy's port."""
    kubeconfig = folder / f"{user}-{port}.kubeconfig"
    url = f"https://127.0.0.1:{port}" if port else plane.url
    plane.users.write_kubeconfig(kubeconfig, user, url, plane.ca)
    return ApiConnection.open(kubeconfig=kubeconfig)


def wait_until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """Waits for something to hold, with servers down or up."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "it did not come to hold in time"
        time.sleep(0.1)


class Follower:
    """What a cluster has told so far."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.changes: list[ClusterChanges] = []

    def names(self, type_: type[Any], namespace: str) -> set[str]:
        """The names of what is known of a type in a namespace."""
        while (changes := self.cluster.take()) is not None:
            self.changes.append(changes)
        return {value.ref.name for value in self.cluster.state().snapshot.of_type(type_, namespace)}

    def pods(self, namespace: str) -> set[str]:
        return self.names(Workload, namespace)

    def wait_until(self, holds: Callable[[], bool], seconds: float = 30.0) -> None:
        """Waits for something to become known; fails with what keeps the cluster from being read."""
        ends = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < ends, self.cluster.state().problems
            self.cluster.wait(0.1)


@contextmanager
def following(found: ApiConnection, discovery_seconds: float = DISCOVERY_SECONDS) -> Iterator[Follower]:
    """Follows until the block ends; begins once everything was listed."""
    cluster = Cluster(found, [CONFIG_NAMESPACE], discovery_seconds=discovery_seconds)
    cluster.start()
    follower = Follower(cluster)
    try:
        follower.wait_until(lambda: cluster.take() is not None)
        yield follower
    finally:
        cluster.stop()


def pod(name: str, **labels: str) -> dict[str, Any]:
    """A pod that nobody starts."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [{"name": "app", "image": "app"}]},
    }


def pods_path(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/pods" + (f"/{name}" if name else "")
