"""Under which paths the API server is told to call this webhook, as the API server itself says."""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec import Struct

from istio_netpol.certs.review_paths import SECRET_PATH, Door, door_of
from istio_netpol.certs.webhook_configurations import KINDS, MUTATING, Configuration, configuration_of
from istio_netpol.errors import ApiError
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.kube.objects import Received, Stored
from istio_netpol.kube.reflector import Reflector, Scope
from istio_netpol.kube.resources import Resource

OVERLAP_SECONDS = 60.0
"""How long a path is taken after another one was registered: API servers follow within about a second."""

QUIET_SECONDS = 30.0
"""How long the watch may be broken before this webhook can't tell any more what is registered."""


class Right(Struct, frozen=True):
    """What a review is asked for, and whether policies are written on its word."""

    door: Door
    may_write: bool


class RegisteredPaths:
    """Watches the two configurations of one name, and knows every path that is registered, was a moment ago,
    or was announced to be next. Every method may be called from any thread."""

    def __init__(
        self, connection: ApiConnection, name: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._taken: dict[Resource, dict[str, Right]] = {}
        self._retired: dict[str, tuple[Right, float]] = {}
        self._broken: dict[Resource, tuple[str, float]] = {}
        self._reflectors = [
            Reflector(connection, Scope(kind, name=name), self, read=_received) for kind in KINDS
        ]

    def start(self) -> None:
        """Starts watching in threads of its own; returns at once."""
        for reflector in self._reflectors:
            reflector.start()

    def find(self, path: str) -> Right | None:
        """What a review under this path may do; None where the API server is not told to send any there.

        All paths are compared, each in the same time whatever it is: how long it takes tells nothing of them.
        """
        asked, found = path.encode(errors="replace"), None
        for taken, right in self._all():
            if hmac.compare_digest(taken.encode(), asked):
                found = right
        return found

    def problem(self) -> str:
        """Why it is not known now which paths are registered; empty where it is."""
        with self._lock:
            now = self._clock()
            for kind in KINDS:
                reason, since = self._broken.get(kind, ("", now))
                if reason and (kind not in self._taken or now - since > QUIET_SECONDS):
                    return f"{kind.kind} {self._name} can't be watched: {reason}"
                if kind not in self._taken:
                    return f"{kind.kind} {self._name} was not read yet"
            return ""

    def replaced(self, scope: Scope, objects: Sequence[Received]) -> None:
        """Takes up a list: the configuration, or that it is not there."""
        self._take(scope.resource, [configuration for listed in objects for configuration in listed.values])

    def changed(self, scope: Scope, stored: Stored, *, deleted: bool) -> None:
        """Takes up the configuration."""
        self._take(scope.resource, [] if deleted else _received(stored.text, scope.resource).values)

    def heard(self, scope: Scope) -> None:
        """The watch is alive and up to date."""
        with self._lock:
            self._broken.pop(scope.resource, None)

    def failed(self, scope: Scope, reason: str) -> None:
        """The watch broke off; what was known holds on."""
        with self._lock:
            _, since = self._broken.get(scope.resource, ("", self._clock()))
            self._broken[scope.resource] = (reason, since)

    def _take(self, kind: Resource, configurations: Iterable[Configuration]) -> None:
        now = {path: right for configuration in configurations for path, right in _rights(configuration)}
        until = self._clock() + OVERLAP_SECONDS
        with self._lock:
            before = self._taken.get(kind, {})
            self._retired.update({path: (before[path], until) for path in before.keys() - now.keys()})
            self._taken[kind] = now

    def _all(self) -> list[tuple[str, Right]]:
        with self._lock:
            now = self._clock()
            self._retired = {
                path: (right, until) for path, (right, until) in self._retired.items() if until > now
            }
            paths = [(path, right) for path, (right, _) in self._retired.items()]
            # The mutating ones first: where both share a path, a review is answered as a validating one.
            for kind in reversed(KINDS):
                paths += self._taken.get(kind, {}).items()
            return paths


def _rights(configuration: Configuration) -> Iterable[tuple[str, Right]]:
    door = door_of(mutating=configuration.resource == MUTATING)
    # What is called by a URL is another process, perhaps outside of the cluster.
    for client in (client for client in configuration.clients or () if client.service):
        for path in (client.path or "/", configuration.note.following.get(client.webhook, "")):
            if path:
                yield path, Right(door, may_write=_is_kept(door, path))


def _is_kept(door: Door, path: str) -> bool:
    """Whether nobody but administrators learns the path. That of a webhook that fails closed is part of what
    users are told when a call fails. A plain path is all the proof there is, until a secret one is
    registered."""
    return door is not Door.VALIDATE or not SECRET_PATH.fullmatch(path)


def _received(raw: bytes | msgspec.Raw, resource: Resource) -> Received:
    try:
        configuration = configuration_of(resource, raw)
    except ApiError:
        return Received(("", ""))
    return Received(("", configuration.name), (configuration,))
