"""Wires the controller together and runs it until it is told to stop."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

import structlog

from istio_netpol.certs.upkeep import CertificateUpkeep, Place
from istio_netpol.controller.lease import Lease
from istio_netpol.controller.loop import Chore, Loop
from istio_netpol.controller.measures import Measures, application
from istio_netpol.errors import ApiError, SettingsError
from istio_netpol.kube.cluster import Cluster
from istio_netpol.kube.connection import Connection
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.server.listening import listen, url_of
from istio_netpol.server.logs import configure_logs
from istio_netpol.server.metrics_endpoint import serve_plain

OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
KEEP_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Certificates:
    """The names of what the leader keeps for the webhook."""

    secret: str
    service: str
    configuration: str

    def upkeep(self, connection: Connection, namespace: str) -> Chore:
        """What keeps them. Raises SettingsError for names that no object can have."""
        return CertificateUpkeep(connection, Place(namespace, self.secret, self.service, self.configuration))


@dataclass(frozen=True, slots=True)
class ControllerOptions:
    """What `controller` is told. Without a namespace, the lease is in that of the pod."""

    namespace: str
    lease: str
    metrics_listen: tuple[str, int] | None
    context: str
    settings: Settings
    resolver: Resolver
    certificates: Certificates | None = None


def run(options: ControllerOptions) -> None:
    """Runs until SIGTERM or SIGINT. Raises SettingsError for what can't be used."""
    configure_logs()
    namespace = options.namespace or own_namespace()
    connection = Connection.open(options.context)
    certificates = options.certificates
    chores = [certificates.upkeep(connection, namespace)] if certificates else []
    listener = listen(*options.metrics_listen, "--metrics-listen") if options.metrics_listen else None
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    cluster = Cluster(connection, [options.settings.mesh.root_namespace])
    lease = Lease(connection, namespace, options.lease, f"{socket.gethostname()}_{secrets.token_hex(4)}")
    measures = Measures()
    measures.leading.set_function(lambda: float(lease.is_held))
    if listener is not None:
        serve_plain(listener, application(measures, lambda: problems(cluster, options.settings)))
        structlog.get_logger("controller").info("serving", url=url_of("http", listener), pid=os.getpid())
    cluster.start()
    keeper = threading.Thread(target=_keep, args=(lease, stopped), name="lease", daemon=True)
    keeper.start()
    loop = Loop(cluster, connection, lease, options.settings, options.resolver, measures, chores)
    try:
        loop.run(stopped)
    finally:
        stopped.set()
        keeper.join()
        _release(lease)
        cluster.stop()


def problems(cluster: Cluster, settings: Settings) -> list[str]:
    """Why the controller is not ready."""
    state, limit = cluster.state(), settings.controller.stale_after_seconds
    if not state.synced:
        return ["the cluster was not read yet"]
    if state.age > limit:
        return [f"the cluster was last read {state.age:.0f} s ago, more than {limit} s"]
    return []


def own_namespace() -> str:
    """The namespace of the pod's service account. Raises SettingsError outside of a pod."""
    try:
        return OWN_NAMESPACE.read_text(encoding="utf-8").strip()
    except OSError:
        raise SettingsError(
            "no namespace for the lease: name one with --namespace, or run in a pod"
        ) from None


def _keep(lease: Lease, stopped: threading.Event) -> None:
    log = structlog.get_logger("lease")
    while not stopped.wait(KEEP_SECONDS):
        try:
            lease.keep()
        except ApiError as error:
            log.warning("the lease can't be renewed now", reason=str(error))


def _release(lease: Lease) -> None:
    try:
        lease.release()
    except ApiError as error:
        structlog.get_logger("lease").warning("the lease is not given back, and runs out", reason=str(error))
