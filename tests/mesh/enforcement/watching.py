"""Follows pods, namespaces and policies of an API server, with nothing but the standard library's HTTPS: the
program has to be there early, and the official client takes a second to load."""

from __future__ import annotations

import http.client
import json
import queue
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from tests.mesh.enforcement.cluster import Key, Objects, key_of

KINDS = {
    "Namespace": ("v1", "/api/v1/namespaces"),
    "Pod": ("v1", "/api/v1/pods"),
    "NetworkPolicy": ("networking.k8s.io/v1", "/apis/networking.k8s.io/v1/networkpolicies"),
}
QUIET_SECONDS = 120.0
RETRY_SECONDS = 0.2
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


class Api:
    """GET requests as the user of a kubeconfig who has a token."""

    def __init__(self, kubeconfig: Path) -> None:
        content = yaml.safe_load(kubeconfig.read_text())
        cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
        self._address = urlsplit(cluster["server"])
        self._context = ssl.create_default_context(cafile=cluster["certificate-authority"])
        self._headers = {"Authorization": f"Bearer {user['token']}", "Accept": "application/json"}

    def lines(self, path: str) -> Iterator[Any]:
        """The JSON documents of an answer, one a line. Raises OSError where there is none."""
        connection = http.client.HTTPSConnection(
            self._address.hostname or "", self._address.port, timeout=QUIET_SECONDS, context=self._context
        )
        try:
            connection.request("GET", path, headers=self._headers)
            response = connection.getresponse()
            if response.status != http.HTTPStatus.OK:
                raise OSError(f"GET {path}: {response.status} {response.read().decode()}")
            for line in response:
                yield json.loads(line)
        except http.client.HTTPException as error:
            raise OSError(f"GET {path}: {error!r}") from error
        finally:
            connection.close()


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
    """Lists and watches, and begins again whenever that breaks off."""
    version, path = KINDS[kind]
    while True:
        try:
            (listed,) = api.lines(path)
            named = {"apiVersion": version, "kind": kind}
            events.put(Replaced(kind, tuple({**named, **item} for item in listed["items"])))
            since = listed["metadata"]["resourceVersion"]
            for event in api.lines(f"{path}?watch=true&resourceVersion={since}"):
                if event["type"] == "ERROR":
                    break
                events.put(Changed(event["object"], event["type"] == "DELETED"))
        except OSError:
            time.sleep(RETRY_SECONDS)
