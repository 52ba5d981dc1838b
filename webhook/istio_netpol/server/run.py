"""Wires the webhook together and serves until it is told to stop."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog
from flask import Flask
from msgspec import Struct

from istio_netpol.bundle.kustomize import Kustomize
from istio_netpol.certs.self_signed import LOCAL_NAMES, make_self_signed
from istio_netpol.errors import SettingsError
from istio_netpol.http.limits import Limits
from istio_netpol.http.refusals import Refusals
from istio_netpol.http.serving import ServingEndpoint, WebhookServer
from istio_netpol.http.tls import ServingCertificate
from istio_netpol.kube.cluster import Cluster
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.kube.limited_store import LimitedStore
from istio_netpol.kube.policy_store import ClusterStore, LivePolicies
from istio_netpol.kube.user_rights import UserRights
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import AdmissionSettings, Settings
from istio_netpol.runtime.listening import listen, url_of
from istio_netpol.runtime.logs import configure_logs
from istio_netpol.runtime.metrics_endpoint import serve_metrics
from istio_netpol.server.app import create_app
from istio_netpol.server.cluster_watch import ClusterWatch
from istio_netpol.server.folder_watch import Watch
from istio_netpol.server.live_map import MapOnDemand
from istio_netpol.server.map_endpoint import serve_map
from istio_netpol.server.map_guard import MapGuard, counted
from istio_netpol.server.metrics import Metrics
from istio_netpol.server.proof import ReviewProof
from istio_netpol.server.readiness import Readiness, validity
from istio_netpol.server.registered_paths import RegisteredPaths
from istio_netpol.server.reviewer import Reviewer
from istio_netpol.sources.folder_source import FolderSource
from istio_netpol.sources.folder_store import FolderStore
from istio_netpol.state.source import SourceState
from istio_netpol.trust.authority import trusted_namespaces
from istio_netpol.web.app import map_app

SWITCH_SECONDS = 0.0005
"""For how long one thread may keep the others from running, a tenth of Python's default: a review that writes
has to get its turn a dozen times, and beside busy threads waited for this long each time."""


class ServeOptions(Struct, frozen=True):
    """What `serve` is told; addresses are host and port. Without `folder`, the source is the cluster of a
    kubeconfig's `context`, or the one that this pod runs in. Without `certificate` and `key`, files for
    loopback are made and deleted again. A review proves by a path of `webhook_configuration`, by a client
    certificate of `client_ca` under one of `client_names`, or both, that the API server sent it; without
    either, everybody who reaches the webhook is believed."""

    folder: Path | None
    context: str
    listen: tuple[str, int]
    metrics_listen: tuple[str, int] | None
    map_listen: tuple[str, int] | None
    certificate: Path | None
    key: Path | None
    settings: Settings
    resolver: Resolver
    kustomize: Kustomize
    namespace: str
    exclude: tuple[str, ...]
    webhook_configuration: str = ""
    client_ca: Path | None = None
    client_names: tuple[str, ...] = ()


def serve(options: ServeOptions) -> None:
    """Serves until SIGTERM or SIGINT, and ends the process with code 0 once what is in flight is answered.
    Raises SettingsError for addresses and certificates that can't be used."""
    configure_logs()
    connection = None if options.folder else ApiConnection.open(options.context)
    with _certificate_files(options) as (certificate_file, key_file):
        certificate = ServingCertificate(certificate_file, key_file, options.client_ca)
        listener = listen(*options.listen, "--listen")
        metrics = listen(*options.metrics_listen, "--metrics-listen") if options.metrics_listen else None
        map_listener = listen(*options.map_listen, "--map-listen") if options.map_listen else None
        refusals = Refusals()
        endpoint = ServingEndpoint(listener, certificate, _limits(options.settings.admission), refusals)
        listeners = Listeners(metrics, map_listener)
        WebhookServer(endpoint, lambda: make_app(options, certificate, listeners, connection, refusals)).run()


class Listeners(Struct, frozen=True):
    """The sockets beside that of the webhook, where there are any."""

    metrics: socket.socket | None = None
    map: socket.socket | None = None


def make_app(
    options: ServeOptions,
    certificate: ServingCertificate,
    listeners: Listeners,
    connection: ApiConnection | None,
    refusals: Refusals,
) -> Flask:
    """The application with its threads running: the watch, and metrics and map where asked for."""
    sys.setswitchinterval(SWITCH_SECONDS)
    admission = options.settings.admission
    source = _cluster(options, connection) if connection else _folder(options, options.folder or Path())
    metrics = Metrics(source.state, lambda: certificate.validity[1])
    metrics.registry.register(refusals)
    watch = source.watch(metrics)
    proof = _proof(options, connection)
    readiness = Readiness(
        source.state,
        lambda: source.reviewer.is_ready,
        lambda: watch.failure,
        lambda: watch.lag,
        lambda: certificate.problem() or validity(*certificate.validity),
        proof.problem,
        admission.stale_after_seconds,
    )
    metrics.lag.set_function(lambda: watch.lag)
    metrics.ready.set_function(lambda: float(not readiness.reasons()))
    watch.start()
    log = structlog.get_logger("server")
    if listeners.metrics is not None:
        serve_metrics(listeners.metrics, metrics.registry)
        log.info("serving metrics", url=f"{url_of('http', listeners.metrics)}/metrics")
    if listeners.map is not None and connection is not None:
        live = MapOnDemand(source.reviewer.table, options.resolver, options.context or "cluster")
        app = map_app(live.newest, MapGuard(UserRights(connection), live.namespaces))
        serve_map(listeners.map, certificate.context, counted(app, metrics.mapped))
        log.info("serving the map", url=url_of("https", listeners.map))
    return create_app(source.reviewer, readiness, metrics, proof)


def _proof(options: ServeOptions, connection: ApiConnection | None) -> ReviewProof:
    """What reviews have to prove; what is registered is watched from now on."""
    paths = None
    if connection and options.webhook_configuration:
        paths = RegisteredPaths(connection, options.webhook_configuration)
        paths.start()
    if paths is None and options.client_ca is None:
        structlog.get_logger("server").warning(
            "reviews are believed without proof that the API server sent them"
        )
    return ReviewProof(paths, frozenset(options.client_names) if options.client_ca else None)


def _limits(admission: AdmissionSettings) -> Limits:
    return Limits(
        connections=admission.max_connections,
        connections_per_client=admission.max_connections_per_client,
        request_seconds=admission.request_seconds,
        request_bytes=admission.max_request_bytes,
        buffered_bytes=max(admission.max_buffered_bytes, admission.max_request_bytes),
    )


class _DecisionSource(Struct, frozen=True):
    """Where decisions come from: what is read, who decides by it, and what keeps that fresh."""

    state: Callable[[], SourceState]
    reviewer: Reviewer
    watch: Callable[[Metrics], Watch | ClusterWatch]


def _folder(options: ServeOptions, folder: Path) -> _DecisionSource:
    source = FolderSource(folder, options.kustomize, namespace=options.namespace, exclude=options.exclude)
    reviewer = Reviewer(FolderStore(folder), options.resolver)
    return _DecisionSource(
        source.state,
        reviewer,
        lambda metrics: Watch(source, reviewer, options.resolver, options.settings, metrics),
    )


def _cluster(options: ServeOptions, connection: ApiConnection) -> _DecisionSource:
    settings = options.settings
    cluster = Cluster(connection, [settings.mesh.root_namespace], settings.admission.stale_after_seconds)
    store = LimitedStore(
        ClusterStore(connection), settings.admission, trusted_namespaces(settings).__contains__
    )
    reviewer = Reviewer(store, options.resolver, live=LivePolicies(connection))
    return _DecisionSource(
        cluster.state, reviewer, lambda metrics: ClusterWatch(cluster, reviewer, store, settings, metrics)
    )


@contextlib.contextmanager
def _certificate_files(options: ServeOptions) -> Iterator[tuple[Path, Path]]:
    if options.certificate is not None and options.key is not None:
        yield options.certificate, options.key
        return
    with _temporary_folder() as folder:
        names = tuple(dict.fromkeys((*LOCAL_NAMES, options.listen[0])))
        files = make_self_signed(folder, names)
        structlog.get_logger("certificate").info(
            "wrote a self-signed certificate", ca=str(files.ca), names=list(names)
        )
        yield files.certificate, files.key


@contextlib.contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A folder that goes when this process does. A worker is forked within, and ends within: it leaves the
    folder to the process that made it."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="istio-netpol-"))
    except OSError as error:
        raise SettingsError(
            f"no folder for temporary files can be written: {error.strerror or error}; set TMPDIR to one "
            "that can, or give --cert and --key"
        ) from None
    owner = os.getpid()
    try:
        yield folder
    finally:
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)
