"""Keeps up with all objects of one kind: a list in pages, then a watch that resumes where it broke off.

How the API server behaves: Kubernetes 1.36, "Kubernetes API Concepts": a watch starts at the list's
resourceVersion, bookmarks move it on, and 410 Gone means that it is too old and the list has to be read anew.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import structlog
from msgspec import Struct

from istio_netpol.errors import ApiError
from istio_netpol.kube.backoff import Backoff
from istio_netpol.kube.connection import ApiConnection, Stream
from istio_netpol.kube.objects import Received, Stored, contained, event_of, status_of, stored_of
from istio_netpol.kube.paging import pages_of
from istio_netpol.kube.resources import Resource

WATCH_SECONDS = 300
"""The API server ends a watch after this long, and the next one goes on; so a server that is drained loses
its watches soon."""

QUIET_SECONDS = 90.0
"""A watch that says nothing for so long is broken: bookmarks come about once a minute."""

HEALTHY_SECONDS = 5.0
"""A watch that ends sooner, or before half of the time that was asked for, has not worked: one that ends at
once would be opened thousands of times a second."""

GONE = 410


class Sink(Protocol):
    """Who is told what the API server holds; called from the reflector's thread."""

    def replaced(self, scope: Scope, objects: Sequence[Received]) -> None:
        """These are all objects there are."""
        ...

    def changed(self, scope: Scope, stored: Stored, *, deleted: bool) -> None:
        """One object was stored, or deleted. It is told as it was sent, for the sink to decode when, and if,
        it needs to know."""
        ...

    def heard(self, scope: Scope) -> None:
        """The watch is alive and up to date."""
        ...

    def failed(self, scope: Scope, reason: str) -> None:
        """The list or the watch failed, and is tried again."""
        ...


class Scope(Struct, frozen=True):
    """What one reflector keeps up with: a resource, in one namespace or in all, that a label selector
    matches, or that has a name."""

    resource: Resource
    namespace: str = ""
    selector: str = ""
    name: str = ""

    def __str__(self) -> str:
        return f"{self.resource} in {self.namespace}" if self.namespace else str(self.resource)


class Reflector:
    """Tells a sink of everything that happens to the objects of a scope, until it is stopped."""

    def __init__(
        self,
        connection: ApiConnection,
        scope: Scope,
        sink: Sink,
        quiet_seconds: float = QUIET_SECONDS,
        watch_seconds: int = WATCH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        read: Callable[[msgspec.Raw, Resource], Received] = contained,
    ) -> None:
        self._connection = connection
        self._scope = scope
        self._read = read
        self._sink = sink
        self._quiet_seconds = quiet_seconds
        self._watch_seconds = watch_seconds
        self._clock = clock
        self._backoff = Backoff(clock)
        self._has_worked = False
        self._stopped = threading.Event()
        self._version = ""
        self._hurried = threading.Event()
        self._stream: Stream | None = None
        self._thread = threading.Thread(target=self.run, name=f"reflector-{scope}", daemon=True)
        self._log = structlog.get_logger("kube").bind(resource=str(scope))

    def start(self) -> None:
        """Starts a thread; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread soon: a watch is broken off, a request that is under way is answered first."""
        self._stopped.set()
        self._hurried.set()
        if stream := self._stream:
            stream.break_off()

    def hurry(self) -> None:
        """Has the next try made soon, since the API server answers again, instead of after a long wait."""
        self._hurried.set()

    def join(self, seconds: float) -> None:
        """Returns when the thread has ended, or after so many seconds."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    def run(self) -> None:
        """Lists and watches until stopped; whatever goes wrong is tried again, later each time."""
        while not self._stopped.is_set():
            try:
                if not self._version:
                    self._list()
                self._watched()
            except ApiError as error:
                if error.status == GONE:
                    self._version = ""
                    if self._has_worked:  # no trouble of the API server's: it was restarted, or forgot
                        self._backoff.succeeded()
                    self._has_worked = False
                self._failed(str(error), error.status)
            except Exception as error:  # a thread that ended here would leave its kind stale and say nothing
                self._version = ""
                self._log.exception("an error inside istio-netpol", exc_info=error)
                self._failed("an error inside istio-netpol; its log has the details", 0)

    def _watched(self) -> None:
        """Watches once. Raises ApiError for a watch that ended too soon."""
        started, version = self._clock(), self._version
        try:
            self._watch()
        finally:
            seconds = self._clock() - started
            lasted = seconds >= min(HEALTHY_SECONDS, self._watch_seconds / 2)
            self._has_worked |= lasted
        if lasted or self._version != version:  # it told something: the next try need not wait long
            self._backoff.succeeded()
        if not lasted and not self._stopped.is_set():
            self._has_worked = False
            raise ApiError(0, f"the watch ended after {seconds:.1f} s")

    def _failed(self, reason: str, status: int) -> None:
        if self._stopped.is_set():
            return
        self._sink.failed(self._scope, reason)
        self._log.warning("the watch failed", reason=reason, status=status)
        self._hurried.clear()
        if not self._stopped.is_set() and self._hurried.wait(self._backoff.next_wait()):
            self._backoff.succeeded()
            self._stopped.wait(self._backoff.next_wait())

    def _list(self) -> None:
        objects: list[Received] = []
        version = ""
        for page in pages_of(self._connection, self._path, self._selection()):
            objects += (self._read(item, self._scope.resource) for item in page.items or ())
            version = page.metadata.resource_version
            if self._stopped.is_set():
                return
        self._version = version
        self._sink.replaced(self._scope, objects)
        self._sink.heard(self._scope)

    def _watch(self) -> None:
        query = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", self._version),
            ("timeoutSeconds", str(self._watch_seconds)),
            *self._selection(),
        ]
        self._stream = self._connection.stream(self._path, query, self._quiet_seconds)
        if self._stopped.is_set():
            self._stream.break_off()  # whoever stopped it while it was opened could not
        self._sink.heard(self._scope)
        for line in self._stream:
            if self._stopped.is_set():
                break
            self._take(line)
            self._sink.heard(self._scope)

    def _take(self, line: bytes) -> None:
        event = event_of(line)
        if event.type == "ERROR":
            status = status_of(event)
            self._version = ""
            raise ApiError(status.code, status.message or "the watch ended with an error")
        stored = stored_of(event)
        if event.type != "BOOKMARK":
            self._sink.changed(self._scope, stored, deleted=event.type == "DELETED")
        self._version = stored.version or self._version

    def _selection(self) -> list[tuple[str, str]]:
        name, selector = self._scope.name, self._scope.selector
        named = [("fieldSelector", f"metadata.name={name}")] if name else []
        return [*named, *([("labelSelector", selector)] if selector else [])]

    @property
    def _path(self) -> str:
        return self._scope.resource.path(self._scope.namespace)
