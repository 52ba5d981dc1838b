"""Wires the webhook together and serves until it is told to stop."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog
from flask import Flask
from prometheus_client import start_http_server

from istio_netpol.bundle.kustomize import Kustomize
from istio_netpol.certs.self_signed import LOCAL_NAMES, make_self_signed
from istio_netpol.errors import SettingsError
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.server.app import create_app
from istio_netpol.server.folder_source import FolderSource
from istio_netpol.server.folder_store import FolderStore
from istio_netpol.server.logs import configure_logs
from istio_netpol.server.metrics import Metrics
from istio_netpol.server.readiness import Readiness, validity
from istio_netpol.server.reviewer import Reviewer
from istio_netpol.server.serving import Endpoint, WebhookServer
from istio_netpol.server.tls import ServingCertificate
from istio_netpol.server.watch import Watch


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What `serve` is told. Without `certificate` and `key`, files for loopback are made and deleted
    again."""

    folder: Path
    listen: str
    metrics_listen: tuple[str, int] | None
    certificate: Path | None
    key: Path | None
    settings: Settings
    resolver: Resolver
    kustomize: Kustomize


def serve(options: ServeOptions) -> None:
    """Serves until SIGTERM or SIGINT. Raises SettingsError for certificates that can't be used."""
    configure_logs()
    with _certificate_files(options) as (certificate_file, key_file):
        try:
            certificate = ServingCertificate(certificate_file, key_file)
        except (OSError, ValueError) as error:
            raise SettingsError(f"{certificate_file}, {key_file}: can't be served: {error}") from None
        endpoint = Endpoint(options.listen, certificate, str(certificate_file), str(key_file))
        WebhookServer(endpoint, lambda: make_app(options, certificate)).run()


def make_app(options: ServeOptions, certificate: ServingCertificate) -> Flask:
    """The application with its threads running: the watch, and metrics where asked for."""
    source = FolderSource(options.folder, options.kustomize)
    reviewer = Reviewer(FolderStore(options.folder), options.resolver)
    metrics = Metrics(source.state, lambda: certificate.validity[1])
    readiness = Readiness(
        source.state,
        lambda: reviewer.is_ready,
        lambda: certificate.problem or validity(*certificate.validity),
    )
    Watch(source, reviewer, options.resolver, options.settings, metrics).start()
    if options.metrics_listen is not None:
        host, port = options.metrics_listen
        server, _ = start_http_server(port, host, registry=metrics.registry)
        structlog.get_logger("server").info("metrics", url=f"http://{host}:{server.server_port}/metrics")
    return create_app(reviewer, readiness, metrics, options.settings.admission.max_request_bytes)


@contextlib.contextmanager
def _certificate_files(options: ServeOptions) -> Iterator[tuple[Path, Path]]:
    if options.certificate is not None and options.key is not None:
        yield options.certificate, options.key
        return
    with tempfile.TemporaryDirectory(prefix="istio-netpol-") as folder:
        host = options.listen.rpartition(":")[0].strip("[]")
        names = tuple(dict.fromkeys((*LOCAL_NAMES, host))) if host else LOCAL_NAMES
        files = make_self_signed(Path(folder), names)
        structlog.get_logger("certificate").info("made a certificate", ca=str(files.ca), names=list(names))
        yield files.certificate, files.key
