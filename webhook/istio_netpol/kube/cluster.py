"""A cluster as its API server shows it: every kind that rules read, watched, and handed on in batches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

import structlog
from msgspec import Struct, field

from istio_netpol.errors import ApiError, Problem
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.kube.discovery import served
from istio_netpol.kube.objects import Name, Received, Stored, contained
from istio_netpol.kube.reflector import Reflector, Scope
from istio_netpol.kube.resources import Resource
from istio_netpol.kube.scopes import scopes_of
from istio_netpol.manifests.decode import DECODERS
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.state.contents import say_the_same
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.state.source import SourceState

DISCOVERY_SECONDS = 30.0
"""How often the API server is asked which kinds it serves: how late a new CRD is noticed. A watch that breaks
off, as that of a deleted CRD does, brings it forward."""

SOON_SECONDS = 1.0

STOP_SECONDS = 10.0
"""For how long the end of all threads is waited for; what is still waiting for an answer then dies with the
process."""

MOST_UNREAD_BYTES = 16 << 20
"""How much of what was sent waits to be decoded while nobody asks what changed: a round of the controller may
take minutes."""


class _Watched(Struct):
    """What is known of a scope: each object's model values, and since when its watch has been broken.

    `unread` are the objects that changed and were not decoded since, None for one that was deleted: of many
    changes of one object, only the last is decoded. `digests` tell of each what its text was, where that is
    known.
    """

    reflector: Reflector
    objects: dict[Name, tuple[ClusterObject, ...]] = field(default_factory=dict)
    unread: dict[Name, bytes | None] = field(default_factory=dict)
    digests: dict[Name, bytes] = field(default_factory=dict)
    is_listed: bool = False
    broken_since: float | None = None
    reason: str = ""


class ClusterChanges(Struct, frozen=True):
    """What happened since the last batch; `snapshot` has it already. `whole` says that everything is new,
    `since` when the first of it was heard of."""

    snapshot: Snapshot
    put: tuple[ClusterObject, ...] = ()
    remove: tuple[ClusterObject, ...] = ()
    whole: bool = False
    since: float | None = None


class Cluster:
    """Implements `ClusterSource`, and is the reflectors' sink. Every method may be called from any thread."""

    def __init__(
        self,
        connection: ApiConnection,
        config_namespaces: Sequence[str],
        stale_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        discovery_seconds: float = DISCOVERY_SECONDS,
    ) -> None:
        self._connection = connection
        self._config_namespaces = tuple(config_namespaces)
        self._stale_seconds = stale_seconds
        self._clock = clock
        self._discovery_seconds = discovery_seconds
        self._lock = threading.RLock()
        self._watched: dict[Scope, _Watched] = {}
        self._expected: frozenset[Scope] | None = None
        self._snapshot = Snapshot.of([])
        self._is_whole = False
        self._pending: dict[tuple[str, ...], tuple[ClusterObject, bool]] = {}
        self._unread_bytes = 0
        self._waiting_since: float | None = None
        self._heard = self._taken = 0
        self._unreadable: dict[tuple[Scope, Name], Problem] = {}
        self._stopped = threading.Event()
        self._news = threading.Event()
        self._doubt = threading.Event()
        self._undiscovered = "the kinds that the API server serves are not known yet"
        self._discovery = threading.Thread(target=self._discover, name="discovery", daemon=True)
        self._log = structlog.get_logger("kube")

    def start(self) -> None:
        """Starts watching in threads of its own; returns at once."""
        self._discovery.start()

    def stop(self) -> None:
        """Ends all threads; returns when they have ended, or after a few seconds."""
        ends = time.monotonic() + STOP_SECONDS
        self._stopped.set()
        self._doubt.set()
        if self._discovery.is_alive():
            self._discovery.join(STOP_SECONDS)
        with self._lock:
            reflectors = [watched.reflector for watched in self._watched.values()]
        for reflector in reflectors:
            reflector.stop()
        for reflector in reflectors:
            reflector.join(max(0.0, ends - time.monotonic()))

    def state(self) -> SourceState:
        """The newest snapshot, and for how long some part of it may have been stale. `problems` say what
        keeps the first one from being whole, and what keeps a stale part from being read."""
        with self._lock:
            now = self._clock()
            broken = [
                (str(scope), watched.reason, now - watched.broken_since)
                for scope, watched in self._watched.items()
                if watched.broken_since is not None
            ]
            age = max((seconds for _, _, seconds in broken), default=0.0)
            told = [
                f"{scope} can't be watched: {reason}"
                for scope, reason, seconds in sorted(broken)
                if not self._is_whole or seconds > self._stale_seconds
            ]
            if self._undiscovered and not self._is_whole:
                told.append(self._undiscovered)
            return SourceState(self._snapshot, self._is_whole, age, tuple(told))

    def unreadable(self) -> frozenset[str]:
        """The objects that can't be read, as `Kind/namespace/name`: what they need is not known."""
        with self._lock:
            return frozenset(f"{scope.resource.kind}/{name[0]}/{name[1]}" for scope, name in self._unreadable)

    def resources(self) -> tuple[Resource, ...]:
        """The kinds that are watched."""
        with self._lock:
            return tuple({scope.resource for scope in self._watched})

    def wait(self, seconds: float) -> None:
        """Returns when something changed, or after so many seconds."""
        self._news.wait(seconds)

    @property
    def waiting_since(self) -> float | None:
        """When the first change was heard of that nobody has taken yet; None where there is none."""
        return self._waiting_since

    def wake(self) -> None:
        """Ends the wait for news."""
        self._news.set()

    @property
    def heard_of(self) -> int:
        """How many changes were heard of so far."""
        return self._heard

    @property
    def taken(self) -> int:
        """How many changes the last call of `take` left none of untaken; for the thread that called it."""
        return self._taken

    def take(self) -> ClusterChanges | None:
        """The changes since the last call, none before every kind was listed; for one thread to call."""
        with self._lock:
            self._read()
            self._taken = self._heard
            since, self._waiting_since = self._waiting_since, None
            self._news.clear()
            if not self._is_whole:
                return self._first()
            if not self._pending:
                return None
            pending, self._pending = self._pending, {}
            put = tuple(value for value, is_stored in pending.values() if is_stored)
            remove = tuple(value for value, is_stored in pending.values() if not is_stored)
            self._snapshot = self._snapshot.with_changes(put, remove)
            return ClusterChanges(self._snapshot, put, remove, since=since)

    def _first(self) -> ClusterChanges | None:
        if self._expected is None or not all(self._watched[scope].is_listed for scope in self._expected):
            return None
        self._snapshot = Snapshot.of(
            value
            for watched in self._watched.values()
            for values in watched.objects.values()
            for value in values
        )
        self._is_whole = True
        self._pending.clear()
        return ClusterChanges(self._snapshot, whole=True)

    def replaced(self, scope: Scope, objects: Sequence[Received]) -> None:
        """Takes up a list: what is not in it any more was deleted meanwhile."""
        with self._lock:
            watched = self._watched.get(scope)
            if watched is None:
                return
            watched.is_listed = True
            self._forget_unread(watched)  # the list is newer
            watched.digests.clear()
            here = {stored.name for stored in objects}
            for name in [name for name in watched.objects if name not in here]:
                self._set(scope, watched, Received(name))
            for stored in objects:
                self._set(scope, watched, stored)
            self._tell()

    def changed(self, scope: Scope, stored: Stored, *, deleted: bool) -> None:
        """Takes up one object, unless nothing that rules read is different."""
        name, text = stored.name, None if deleted else stored.text
        digest = blake2b(text or b"", digest_size=16).digest()
        with self._lock:
            watched = self._watched.get(scope)
            if watched is None or (text is not None and watched.digests.get(name) == digest):
                return
            if text is None:
                watched.digests.pop(name, None)
            else:
                watched.digests[name] = digest
            self._unread_bytes += len(text or b"") - len(watched.unread.get(name) or b"")
            watched.unread[name] = text
            if self._unread_bytes > MOST_UNREAD_BYTES:
                self._read()
            self._tell()

    def _tell(self) -> None:
        """Has whoever waits for news take them."""
        self._heard += 1
        if self._waiting_since is None:
            self._waiting_since = self._clock()
        self._news.set()

    def _read(self) -> None:
        """Decodes what was heard of and is not known yet."""
        for scope, watched in self._watched.items():
            while watched.unread:
                name = next(iter(watched.unread))
                text = watched.unread.pop(name)  # before anything can fail: it must not keep others waiting
                self._unread_bytes -= len(text or b"")
                try:
                    stored = Received(name) if text is None else contained(text, scope.resource)
                except MemoryError:
                    watched.unread[name] = text  # to be tried again, after all others
                    self._unread_bytes += len(text or b"")
                    raise
                self._set(scope, watched, stored)

    def _forget_unread(self, watched: _Watched) -> None:
        self._unread_bytes -= sum(len(text or b"") for text in watched.unread.values())
        watched.unread.clear()

    def heard(self, scope: Scope) -> None:
        """The scope is up to date."""
        with self._lock:
            watched = self._watched.get(scope)
            if watched is not None and watched.broken_since is not None:
                watched.broken_since = None

    def failed(self, scope: Scope, reason: str) -> None:
        """The scope may be stale from now on."""
        with self._lock:
            watched = self._watched.get(scope)
            if watched is not None:
                watched.reason = reason
                if watched.broken_since is None:
                    watched.broken_since = self._clock()
        self._doubt.set()

    def _set(self, scope: Scope, watched: _Watched, stored: Received) -> None:
        """Remembers what an object is now, and what is new of it where anything that rules read is
        different."""
        self._tell_problems(scope, stored)
        before = watched.objects.get(stored.name, ())
        if _same(before, stored.values):
            return
        if stored.values:
            watched.objects[stored.name] = stored.values
        else:
            watched.objects.pop(stored.name, None)
        if self._is_whole:
            kept = {_identity(value) for value in stored.values}
            self._pending.update(
                (_identity(value), (value, False)) for value in before if _identity(value) not in kept
            )
            self._pending.update((_identity(value), (value, True)) for value in stored.values)

    def _tell_problems(self, scope: Scope, stored: Received) -> None:
        key = (scope, stored.name)
        if not stored.problems:
            self._unreadable.pop(key, None)
        elif key not in self._unreadable:
            self._unreadable[key] = stored.problems[0]
            self._log.warning(
                "an object could not be decoded, and is left out", problem=str(stored.problems[0])
            )

    def _discover(self) -> None:
        while not self._stopped.is_set():
            try:
                self._follow(served(self._connection, DECODERS))
                if self._undiscovered:
                    self._hurry()
                self._undiscovered = ""
            except Exception as error:  # whatever it was: without this thread no new kind would be noticed
                self._undiscovered = f"the kinds that the API server serves are not known: {error}"
                expected = isinstance(error, ApiError)
                self._log.warning("discovery failed", reason=str(error), exc_info=not expected)
            if self._stopped.wait(SOON_SECONDS):
                return
            self._doubt.wait(self._discovery_seconds if not self._undiscovered else 0.0)
            self._doubt.clear()

    def _hurry(self) -> None:
        """Spares watches that broke off while the API server was away the rest of their waits."""
        with self._lock:
            reflectors = [
                watched.reflector for watched in self._watched.values() if watched.broken_since is not None
            ]
        for reflector in reflectors:
            reflector.hurry()

    def _follow(self, resources: Iterable[Resource]) -> None:
        """Watches kinds that appeared, and forgets those that are gone."""
        scopes = frozenset(
            scope for resource in resources for scope in scopes_of(resource, self._config_namespaces)
        )
        with self._lock:
            for scope in self._watched.keys() - scopes:
                watched = self._watched[scope]
                watched.reflector.stop()
                self._forget_unread(watched)
                for name in list(watched.objects):
                    self._set(scope, watched, Received(name))
                del self._watched[scope]
                self._tell()
            added = scopes - self._watched.keys()
            for scope in added:
                self._watched[scope] = _Watched(Reflector(self._connection, scope, self, clock=self._clock))
            if self._expected is None or not self._is_whole:
                self._expected = scopes
        for scope in added:
            self._log.info("watching", resource=str(scope))
            self._watched[scope].reflector.start()


def _identity(value: ClusterObject) -> tuple[str, ...]:
    """What a later version of a value replaces: an object that can't be decoded is of another type."""
    return (type(value).__name__, *value.ref.key)


def _same(before: tuple[ClusterObject, ...], after: tuple[ClusterObject, ...]) -> bool:
    return len(before) == len(after) and all(map(say_the_same, before, after))
