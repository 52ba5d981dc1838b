"""Follows pods, namespaces and policies of an API server."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.mesh.enforcement.cluster import Key, Objects, key_of
from tests.mesh.node_api import Api

KINDS = {
    "Namespace": ("v1", "/api/v1/namespaces"),
    "Pod": ("v1", "/api/v1/pods"),
    "NetworkPolicy": ("networking.k8s.io/v1", "/apis/networking.k8s.io/v1/networkpolicies"),
}
TOGETHER_SECONDS = 0.02
"""Changes that come within so short a time are taken in together: many do."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """These are all objects of a kind."""

    kind: str
    manifests: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """An object was stored, or deleted."""

    manifest: Mapping[str, Any]
    deleted: bool


class Follower:
    """Keeps `objects` as the API server has them, and `versions` by which to tell what was taken in."""

    def __init__(self, kubeconfig: Path) -> None:
        self.objects = Objects()
        self.versions: dict[Key, str] = {}
        self._to_come = set(KINDS)
        self._events: queue.SimpleQueue[Replaced | Changed] = queue.SimpleQueue()
        for kind in KINDS:
            threading.Thread(target=_follow, args=(Api(kubeconfig), kind, self._events), daemon=True).start()

    @property
    def complete(self) -> bool:
        """Whether every kind was read once."""
        return not self._to_come

    def take(self, seconds: float) -> tuple[bool, bool]:
        """Takes in what has happened, if need be after so many seconds of waiting. Whether anything was
        stored or deleted, and whether policies can tell the difference."""
        happened = differs = False
        try:
            event = self._events.get(timeout=seconds)
            while True:
                happened = True
                differs |= self._taken(event)
                event = self._events.get(timeout=TOGETHER_SECONDS)
        except queue.Empty:
            return happened, differs

    def _taken(self, event: Replaced | Changed) -> bool:
        if isinstance(event, Changed):
            return self._forget(key_of(event.manifest)) if event.deleted else self._store(event.manifest)
        self._to_come.discard(event.kind)
        gone = self.objects.keys(event.kind) - {key_of(manifest) for manifest in event.manifests}
        return any([*map(self._forget, gone), *map(self._store, event.manifests)])

    def _store(self, manifest: Mapping[str, Any]) -> bool:
        self.versions[key_of(manifest)] = manifest["metadata"]["resourceVersion"]
        return self.objects.store(manifest)

    def _forget(self, key: Key) -> bool:
        self.versions.pop(key, None)
        return self.objects.forget(key)


def _follow(api: Api, kind: str, events: queue.SimpleQueue[Replaced | Changed]) -> None:
    version, path = KINDS[kind]
    for change in api.follow(path):
        if isinstance(change, list):
            events.put(
                Replaced(kind, tuple({"apiVersion": version, "kind": kind, **item} for item in change))
            )
        else:
            what, manifest = change
            events.put(Changed(manifest, what == "DELETED"))
