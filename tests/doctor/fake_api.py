"""An API server for the questions of an examination: objects by path, and who may not see what."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from istio_netpol.doctor.survey import Survey
from istio_netpol.errors import ApiError
from istio_netpol.kube.connection import ApiConnection

Manifest = dict[str, Any]

_PLURALS = {"EndpointSlice": "endpointslices", "NetworkPolicy": "networkpolicies"}


class FakeApi(ApiConnection):
    """Serves what it is given; `forbidden` are plurals that this user may not read."""

    def __init__(
        self, objects: Sequence[Manifest], forbidden: Collection[str] = (), version: str = "v1.36.3"
    ) -> None:
        self._objects = objects
        self._forbidden = forbidden
        self._version = version
        self.asked: list[str] = []

    def get(
        self,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        accept: str = "",
        read_seconds: float = 0.0,
    ) -> bytes:
        self.asked.append(path)
        if path == "/version":
            return json.dumps({"gitVersion": self._version}).encode()
        if path == "/apis":
            groups = {stored["apiVersion"].rpartition("/")[0] for stored in self._objects}
            return json.dumps({"groups": [{"name": name} for name in sorted(groups)]}).encode()
        return self._answer(path, dict(query))

    def _answer(self, path: str, query: dict[str, str]) -> bytes:
        parts = path.strip("/").split("/")
        root, rest = (
            ("/".join(parts[1:2]), parts[2:]) if parts[0] == "api" else ("/".join(parts[1:3]), parts[3:])
        )
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        if rest[0] in self._forbidden:
            raise ApiError(403, f"{rest[0]} is forbidden")
        found = [
            stored
            for stored in self._objects
            if stored["apiVersion"] == root
            and _plural(stored["kind"]) == rest[0]
            and namespace in ("", stored["metadata"].get("namespace", ""))
        ]
        if len(rest) > 1:
            named = [stored for stored in found if stored["metadata"]["name"] == rest[1]]
            if not named:
                raise ApiError(404, "not found")
            return json.dumps(named[0]).encode()
        selector = query.get("labelSelector", "")
        wanted = dict(pair.split("=", 1) for pair in selector.split(",")) if selector else {}
        matching = [
            stored for stored in found if wanted.items() <= stored["metadata"].get("labels", {}).items()
        ]
        return json.dumps({"metadata": {}, "items": matching}).encode()


def _plural(kind: str) -> str:
    lower = kind.lower()
    return _PLURALS.get(kind) or (f"{lower[:-1]}ies" if lower.endswith("policy") else f"{lower}s")


def survey(*objects: Manifest, forbidden: Collection[str] = ()) -> Survey:
    """A survey of a cluster of these objects."""
    return Survey(FakeApi(objects, forbidden))


def manifest(api: str, kind: str, name: str, namespace: str = "", **rest: Any) -> Manifest:
    """An object; `labels` go to its metadata."""
    metadata: Manifest = {"name": name, "labels": rest.pop("labels", {})}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **rest}


def daemon_set(name: str, namespace: str = "kube-system", **pod: Any) -> Manifest:
    spec = {"template": {"spec": {"containers": [], **pod}}}
    return manifest("apps/v1", "DaemonSet", name, namespace, spec=spec)


def endpoints(address: str = "192.0.2.5", port: int = 6443) -> Manifest:
    """The EndpointSlice of the API server."""
    return manifest(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        "kubernetes",
        "default",
        labels={"kubernetes.io/service-name": "kubernetes"},
        endpoints=[{"addresses": [address]}],
        ports=[{"name": "https", "port": port}],
    )
