"""A live cluster as the input of a command."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import structlog

from istio_netpol.errors import ApiError
from istio_netpol.kube.cluster import Cluster
from istio_netpol.kube.connection import Connection
from istio_netpol.kube.kubeconfig import KubeContext
from istio_netpol.model.settings import Settings
from istio_netpol.state.snapshot import Snapshot

PATIENCE_SECONDS = 5.0
"""How long a kind may fail to be listed: an API server that is just starting gets a second try."""


def connect(context: KubeContext, kubeconfig: str) -> Connection:
    """A connection to the cluster of a context. Raises SettingsError."""
    return Connection.open(context.name, Path(kubeconfig) if kubeconfig else None)


def read_cluster(context: KubeContext, kubeconfig: str, settings: Settings) -> Snapshot:
    """What the cluster of a context has now. Raises ApiError with every kind that can't be read."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    cluster = Cluster(connect(context, kubeconfig), [settings.mesh.root_namespace])
    cluster.start()
    try:
        failing_since: float | None = None
        while (changes := cluster.take()) is None:
            problems = cluster.state().problems
            failing_since = (failing_since or time.monotonic()) if problems else None
            if failing_since and time.monotonic() - failing_since > PATIENCE_SECONDS:
                raise ApiError(0, "\n".join(problems))
            cluster.wait(0.1)
            time.sleep(0.02)
        return changes.snapshot
    finally:
        cluster.stop()
