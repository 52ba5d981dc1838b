"""Wires the controller together and runs it until it is told to stop."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import structlog
from msgspec import Struct

from istio_netpol.certs.path_reconciler import PathReconciler
from istio_netpol.certs.reconciler import CertificatePlace, CertificateReconciler
from istio_netpol.controller.evaluation import Evaluation
from istio_netpol.controller.leadership import Chore, Duty, Leased
from istio_netpol.controller.lease import Lease
from istio_netpol.controller.loop import ReconcileLoop
from istio_netpol.controller.metrics import ControllerMetrics, application
from istio_netpol.controller.reconciler import PolicyReconciler, staleness
from istio_netpol.errors import ApiError, SettingsError
from istio_netpol.kube.cluster import Cluster
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.runtime.guarded import Guarded
from istio_netpol.runtime.listening import listen, url_of
from istio_netpol.runtime.logs import configure_logs
from istio_netpol.runtime.metrics_endpoint import serve_plain

OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
KEEP_SECONDS = 0.5


class Certificates(Struct, frozen=True):
    """The names of the objects that the leader keeps for the webhook. Without `secret` it keeps only the
    paths of `configuration`."""

    secret: str
    service: str
    configuration: str

    def chores(self, connection: ApiConnection, namespace: str) -> list[Chore]:
        """The chores that keep them. Raises SettingsError for names that no object can have."""
        chores: list[Chore] = [PathReconciler(connection, self.configuration)]
        if self.secret:
            place = CertificatePlace(namespace, self.secret, self.service, self.configuration)
            chores.append(CertificateReconciler(connection, place))
        return chores


class ControllerOptions(Struct, frozen=True):
    """The options of `controller`. Without a namespace, the lease is in that of the pod."""

    namespace: str
    lease: str
    metrics_listen: tuple[str, int] | None
    context: str
    settings: Settings
    resolver: Resolver
    certificates: Certificates | None = None


def run(options: ControllerOptions) -> None:
    """Runs until SIGTERM or SIGINT. Raises SettingsError for options that can't be used."""
    configure_logs()
    namespace = options.namespace or own_namespace()
    connection = ApiConnection.open(options.context)
    lease = Lease(connection, namespace, options.lease, f"{socket.gethostname()}_{secrets.token_hex(4)}")
    leading = connection.writing_while(lambda: lease.is_held)
    chores = options.certificates.chores(leading, namespace) if options.certificates else []
    cluster = Cluster(connection, [options.settings.mesh.root_namespace])
    metrics = ControllerMetrics()
    metrics.leading.set_function(lambda: float(lease.is_held))
    metrics.stale.set_function(lambda: float(bool(staleness(cluster, options.settings))))
    evaluation = Evaluation(options.settings, options.resolver)
    reconciler = PolicyReconciler(cluster, leading, evaluation, options.settings, metrics)
    loop = ReconcileLoop(cluster, reconciler, lease, metrics.errored)
    _serve(options, metrics, lambda: [*staleness(cluster, options.settings), *loop.problems])
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    cluster.start()
    try:
        with at_work(lease, chores, stopped, metrics):
            loop.run(stopped)
    finally:
        cluster.stop()


@contextlib.contextmanager
def at_work(
    lease: Leased, chores: Sequence[Chore], stopped: threading.Event, metrics: ControllerMetrics
) -> Iterator[None]:
    """Renews the lease and does the chores meanwhile. In the end all of them rest before the lease is given
    back."""
    duties = [Duty(chore, lease, stopped, metrics.errored) for chore in chores]
    renewal = threading.Thread(target=_keep, args=(lease, stopped, metrics), name="lease", daemon=True)
    renewal.start()
    for duty in duties:
        duty.start()
    try:
        yield
    finally:
        stopped.set()
        for duty in duties:
            duty.join()
        renewal.join()
        _release(lease)


def _serve(
    options: ControllerOptions, metrics: ControllerMetrics, problems: Callable[[], Sequence[str]]
) -> None:
    if options.metrics_listen is None:
        return
    listener = listen(*options.metrics_listen, "--metrics-listen")
    serve_plain(listener, application(metrics, problems))
    structlog.get_logger("controller").info("serving", url=url_of("http", listener), pid=os.getpid())


def own_namespace() -> str:
    """The namespace of the pod's service account. Raises SettingsError outside of a pod."""
    try:
        return OWN_NAMESPACE.read_text(encoding="utf-8").strip()
    except OSError:
        raise SettingsError(
            "no namespace for the lease: name one with --namespace, or run in a pod"
        ) from None


def _keep(lease: Leased, stopped: threading.Event, metrics: ControllerMetrics) -> None:
    log = structlog.get_logger("lease")
    guarded = Guarded("lease", "the lease could not be renewed", metrics.errored)
    while not stopped.wait(KEEP_SECONDS):
        with guarded:
            try:
                lease.keep()
            except ApiError as error:
                log.warning("the lease could not be renewed", reason=str(error))


def _release(lease: Leased) -> None:
    log = structlog.get_logger("lease")
    try:
        lease.release()
    except ApiError as error:
        log.warning("the lease could not be released, and expires by itself", reason=str(error))
    except Exception:  # the other work of the end goes on
        log.exception("the lease could not be released, and expires by itself")
