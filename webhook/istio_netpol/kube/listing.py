"""Reads a cluster once, as far as its reader may: the whole, or what is open to him namespace by namespace.

A list over all namespaces needs a ClusterRole. Who has none may still read a namespace of his own, and what
he can't see is kept to be told.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from istio_netpol.errors import ApiError
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.kube.discovery import served
from istio_netpol.kube.objects import Name, name_of
from istio_netpol.kube.paging import pages_of
from istio_netpol.kube.reflector import Scope
from istio_netpol.kube.scopes import scopes_of
from istio_netpol.manifests.decode import DECODERS
from istio_netpol.model.assumptions import NotSeen

FORBIDDEN, NOT_FOUND, GONE, TOO_MANY, SERVER_ERRORS = 403, 404, 410, 429, 500
PATIENCE_SECONDS = 5.0
"""How long a list may fail before that counts: an API server that is just starting gets more tries."""

PAUSE_SECONDS = 0.5
NAMESPACE, POD = ("", "Namespace"), ("", "Pod")
INDISPENSABLE = ("pods", "networkpolicies.networking.k8s.io")
"""Without these nothing can be said of a namespace."""

T = TypeVar("T")


class Listing:
    """Lists the kinds that rules read. Every method may be called from any thread and raises ApiError.

    `config_namespaces` are those whose ConfigMaps count. Where the whole cluster may not be listed, `only` is
    the namespace that is read, and without one those whose pods may be listed, or `home` where not even the
    namespaces may.
    """

    def __init__(
        self, connection: ApiConnection, config_namespaces: Sequence[str], only: str = "", home: str = ""
    ) -> None:
        self._connection = connection
        self._only = only
        self._home = home
        self._lock = threading.Lock()
        self._readable: tuple[str, ...] | None = None
        self._unseen: dict[str, NotSeen] = {}
        self._refusals: dict[str, str] = {}
        resources = _patiently(lambda: served(connection, DECODERS))
        self._resources = {(resource.group, resource.kind): resource for resource in resources}
        self.scopes = tuple(scope for kind in resources for scope in scopes_of(kind, config_namespaces))

    @property
    def unseen(self) -> tuple[NotSeen, ...]:
        """What could not be read of what was listed so far."""
        with self._lock:
            return tuple(sorted(self._unseen.values()))

    def require(self, namespace: str = "") -> None:
        """Raises ApiError where too little was read to say anything of a namespace, or of all where it is
        empty."""
        with self._lock:
            missing = [
                self._refusals[name]
                for name in INDISPENSABLE
                if name in self._unseen and (not namespace or namespace not in self._unseen[name].seen_in)
            ]
        if missing:
            whom = f"namespace {namespace}" if namespace else "all namespaces"
            advice = "name one that you may read with -n, or ask for the right to list these"
            raise ApiError(FORBIDDEN, "\n".join([*missing, f"{whom} can't be judged without them; {advice}"]))

    def require_some(self) -> None:
        """Raises ApiError where too little was read to say anything of any namespace."""
        with self._lock:
            places = [self._unseen[name].seen_in for name in INDISPENSABLE if name in self._unseen]
        seen = set(places[0]).intersection(*places[1:]) if places else set()
        self.require(next(iter(sorted(seen)), ""))

    def items(self, scope: Scope) -> Iterator[msgspec.Raw]:
        """The objects of a scope that may be read, each once."""
        try:
            yield from self._listed(scope, scope.namespace)
        except ApiError as error:
            if error.status != FORBIDDEN:
                raise
            yield from self._piecemeal(scope, str(error))

    def _piecemeal(self, scope: Scope, refusal: str) -> Iterator[msgspec.Raw]:
        """The objects of a scope in the namespaces that may be read."""
        seen: list[str] = []
        for namespace in self._places(scope):
            try:
                yield from self._listed(scope, namespace)
                seen.append(namespace)
            except ApiError as error:
                if error.status != FORBIDDEN:
                    raise
        with self._lock:
            self._unseen[str(scope)] = NotSeen(str(scope), tuple(seen))
            self._refusals[str(scope)] = refusal

    def _places(self, scope: Scope) -> Sequence[str]:
        """Where to try a scope of which not everything may be listed."""
        if _is_of(scope, NAMESPACE):
            return tuple(filter(None, [self._only or self._home]))
        return self._readable_namespaces() if scope.resource.namespaced and not scope.namespace else ()

    def _readable_namespaces(self) -> tuple[str, ...]:
        with self._lock:
            if self._readable is None:
                self._readable = tuple(self._find_readable())
            return self._readable

    def _find_readable(self) -> Iterator[str]:
        """The namespaces to read one by one: asked for each kind, hundreds would be thousands of requests."""
        if self._only:
            yield self._only
            return
        try:
            listed = list(self._listed(Scope(self._resources[NAMESPACE]), ""))
        except ApiError as error:
            if error.status != FORBIDDEN:
                raise
            yield from filter(None, [self._home])
            return
        for _, name in sorted(map(name_of, listed)):
            path = self._resources[POD].path(name)
            try:
                _patiently(partial(self._connection.get, path, [("limit", "1")]))
                yield name
            except ApiError as error:
                if error.status != FORBIDDEN:
                    raise

    def _listed(self, scope: Scope, namespace: str) -> Iterator[msgspec.Raw]:
        """A list, from the beginning again where it broke off; none of it twice."""
        if namespace and _is_of(scope, NAMESPACE):
            path = f"{scope.resource.path()}/{namespace}"
            yield msgspec.Raw(_patiently(partial(self._connection.get, path)))
            return
        query = [("labelSelector", scope.selector)] if scope.selector else []
        path = scope.resource.path(namespace)
        told: set[Name] = set()
        patience = _Patience()
        while True:
            try:
                for page in pages_of(self._connection, path, query):
                    new = [item for item in page.items or () if name_of(item) not in told]
                    told.update(map(name_of, new))
                    yield from new
                    patience = _Patience()
                return
            except ApiError as error:
                if error.status == NOT_FOUND:  # its CustomResourceDefinition was deleted meanwhile
                    return
                patience.bear(error)


class _Patience:
    """Bears errors that may pass, for a few seconds."""

    def __init__(self) -> None:
        self._ends: float | None = None

    def bear(self, error: ApiError) -> None:
        """Waits a moment. Raises the error where it will not pass, or has lasted."""
        now = time.monotonic()
        self._ends = self._ends or now + PATIENCE_SECONDS
        passes = error.status in (0, GONE, TOO_MANY) or error.status >= SERVER_ERRORS
        if not passes or now > self._ends:
            raise error
        time.sleep(PAUSE_SECONDS)


def _patiently(ask: Callable[[], T]) -> T:
    patience = _Patience()
    while True:
        try:
            return ask()
        except ApiError as error:
            patience.bear(error)


def _is_of(scope: Scope, kind: tuple[str, str]) -> bool:
    return (scope.resource.group, scope.resource.kind) == kind
