"""`istio-netpol map --serve`: the page live, on this machine."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import click
import structlog
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from istio_netpol.analysis.reachability.state_reading import Given
from istio_netpol.cli.cluster_input import connect
from istio_netpol.cli.inputs import read_inputs
from istio_netpol.cli.map import STANDARD_INPUT, given_of, one_cluster
from istio_netpol.cli.opened_input import OpenedInput
from istio_netpol.cli.streams import tell
from istio_netpol.errors import ApiError, SettingsError
from istio_netpol.kube.cluster import Cluster
from istio_netpol.model.resolution import Resolver
from istio_netpol.sources.folder_files import FileMark, marks_of
from istio_netpol.web.app import Guard, map_app
from istio_netpol.web.guards import LEAST_TOKEN, is_loopback, loopback_only, with_token
from istio_netpol.web.live import LiveMap, LookAtSource

PATIENCE_SECONDS = 5.0
"""How long a kind may fail to be listed before the first map."""


def serve(
    opened: OpenedInput,
    resolver: Resolver,
    listen: tuple[str, int],
    token_file: Path | None,
    *,
    title: str,
    read_from: str,
) -> None:
    """Serves the map of what was opened until it is interrupted."""
    guard = _guard(listen[0], token_file)
    with _looking(opened) as look:
        live = LiveMap(look, opened.settings, resolver, title=title, read_from=read_from)
        live.take(_first(look))
        server = _server(listen, live, guard)
        live.follow(lambda sentence: tell(f"note: {sentence}"))
        try:
            _run(server)
        finally:
            live.stop()


def _guard(host: str, token_file: Path | None) -> Guard:
    if token_file is not None:
        return with_token(_token(token_file))
    if not is_loopback(host):
        raise click.UsageError(
            f"Others may reach {host}, and the map says what they could attack: give --token-file, or listen "
            "on 127.0.0.1."
        )
    return loopback_only


def _token(file: Path) -> str:
    try:
        token = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        cause = error.strerror or error
        raise SettingsError(f"{file}: the token can't be read: {cause}; check --token-file") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{file}: the token is not text in UTF-8; write a token of letters") from None
    if len(token) < LEAST_TOKEN:
        raise SettingsError(f"{file}: the token has {len(token)} characters; use at least {LEAST_TOKEN}")
    return token


def _first(look: LookAtSource) -> Given:
    """The first state. Raises InputError or ApiError where there is none."""
    failing_since: float | None = None
    while True:
        try:
            given = look()
            if given is not None:
                return given
            failing_since = None
        except ApiError:
            # An API server that is just starting gets a second try.
            failing_since = failing_since or time.monotonic()
            if time.monotonic() - failing_since > PATIENCE_SECONDS:
                raise
        time.sleep(0.05)


@contextmanager
def _looking(opened: OpenedInput) -> Iterator[LookAtSource]:
    """How to look at what was opened."""
    if opened.cluster is None:
        yield _Files(opened).look
        return
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    cluster = Cluster(
        connect(opened.cluster, opened.arguments.kubeconfig), [opened.settings.mesh.root_namespace]
    )
    cluster.start()
    try:
        yield lambda: _look_at(cluster, opened)
    finally:
        cluster.stop()


def _look_at(cluster: Cluster, opened: OpenedInput) -> Given | None:
    """The cluster with the files applied that were named, where it changed."""
    changes = cluster.take()
    if changes is not None:
        return given_of(one_cluster(read_inputs(opened.paths, opened.reading, changes.snapshot)))
    if problems := cluster.state().problems:
        raise ApiError(0, "\n".join(problems))
    return None


class _Files:
    """Files and folders, read again when one of them changed and then stayed the same for one look, so that
    no file is read that is only half written."""

    def __init__(self, opened: OpenedInput) -> None:
        self._opened = opened
        self._read: dict[str, FileMark] | None = None
        self._seen: dict[str, FileMark] | None = None

    def look(self) -> Given | None:
        """What the files hold, where they changed. Raises InputError."""
        marks = self._marks()
        if marks == self._read:
            return None
        if self._read is not None and marks != self._seen:
            self._seen = marks
            return None
        self._read = marks
        return given_of(one_cluster(self._opened.read()))

    def _marks(self) -> dict[str, FileMark]:
        marks: dict[str, FileMark] = {}
        for path in self._opened.paths:
            if path == STANDARD_INPUT:
                continue
            try:
                status = os.stat(path)
                if os.path.isdir(path):
                    marks.update(marks_of(path))
                else:
                    marks[path] = (status.st_ino, status.st_size, status.st_ctime_ns)
            except OSError:
                # What is not there is told of by who reads it.
                marks[path] = (0, 0, 0)
        return marks


class _Quiet(WSGIRequestHandler):
    """Says nothing of single requests: a page asks again every few seconds."""

    def log(self, type: str, message: str, *args: Any) -> None:
        """Nothing."""


def _server(listen: tuple[str, int], live: LiveMap, guard: Guard) -> BaseWSGIServer:
    host, port = listen
    try:
        # Werkzeug prints advice of its own before it exits, two lines beside the one that is told here.
        with redirect_stderr(StringIO()):
            return make_server(
                host, port, map_app(lambda: live.newest, guard), threaded=True, request_handler=_Quiet
            )
    except (OSError, SystemExit) as error:
        told = (
            f"{error.strerror}; name another address"
            if isinstance(error, OSError)
            else "the address is in use; name another one, or port 0 for a free one"
        )
        raise SettingsError(f"--listen {host}:{port}: {told}") from None


def _run(server: BaseWSGIServer) -> None:
    """Serves until SIGINT or SIGTERM."""
    host = f"[{server.host}]" if ":" in server.host else server.host
    ended = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    thread = threading.Thread(target=server.serve_forever, name="http", daemon=True)
    thread.start()
    tell(f"serving the map at http://{host}:{server.port}/ (Ctrl-C ends it)")
    try:
        ended.wait()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        for number, handler in before.items():
            signal.signal(number, handler)
