"""Reads what an examination asks for, each question within a bounded time; Secrets are never asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from istio_netpol.errors import ApiError, NetpolError
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.kube.resources import Resource
from istio_netpol.model.diagnosis import Diagnosis, Health
from istio_netpol.model.json_values import JsonObject
from istio_netpol.model.own_names import OWNER, PART_OF

Manifest = Mapping[str, Any]

FORBIDDEN, NOT_FOUND, UNAUTHORIZED = 403, 404, 401
BUNDLE_SELECTOR = f"{PART_OF}={OWNER}"
"""Selects the policies of the Kustomize bundle."""

PAGE_SIZE = "500"
SECONDS = 10.0
"""For one question, all pages of a list together."""


class NotSeenError(NetpolError):
    """A question that the cluster did not answer, and which right it takes."""


def not_seen(topic: str, looked_at: str, error: NotSeenError) -> Diagnosis:
    """The finding about such a question."""
    may = (
        "let somebody grant it, or run doctor as somebody who may" if str(error).startswith("needs ") else ""
    )
    return Diagnosis(topic, looked_at, f"not seen: {error}", Health.NOT_SEEN, may)


class Survey:
    """Answers of one cluster; each question is asked once."""

    def __init__(self, connection: ApiConnection, clock: Callable[[], float] = time.monotonic) -> None:
        self.connection = connection
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[Manifest, ...] | NotSeenError] = {}

    def version(self) -> str:
        """The version of the API server. Raises ApiError where there is none to talk to."""
        return str(_decoded(self.connection.get("/version", read_seconds=SECONDS)).get("gitVersion", ""))

    def groups(self) -> frozenset[str]:
        """The API groups that are served. Raises NotSeenError."""
        found = self._listed("/apis", "", "get on /apis", key="groups")
        return frozenset(str(group.get("name", "")) for group in found)

    def named(self, resource: Resource, name: str, namespace: str = "") -> Manifest | None:
        """The object of that name; None where it is not there. Raises NotSeenError."""
        where = f" in {namespace}" if namespace else ""
        found = self._listed(resource.path(namespace, name), "", f"get on {resource}{where}", key="")
        return found[0] if found else None

    def all(self, resource: Resource, namespace: str = "", selector: str = "") -> tuple[Manifest, ...]:
        """The objects of a namespace, or of all; none where the kind is not served. Raises NotSeenError."""
        where = f" in {namespace}" if namespace else ""
        return self._listed(resource.path(namespace), selector, f"list on {resource}{where}", key="items")

    def _listed(self, path: str, selector: str, needs: str, key: str) -> tuple[Manifest, ...]:
        found = self._known.get((path, selector))
        if found is None:
            try:
                found = self._asked(path, selector, key)
            except ApiError as error:
                found = () if error.status == NOT_FOUND else NotSeenError(_reason(error, needs))
            self._known[path, selector] = found
        if isinstance(found, NotSeenError):
            raise found
        return found

    def _asked(self, path: str, selector: str, key: str) -> tuple[Manifest, ...]:
        ends = self._clock() + SECONDS
        query = [("labelSelector", selector)] if selector else []
        if not key:
            return (_decoded(self.connection.get(path, query, read_seconds=SECONDS)),)
        items: list[Manifest] = []
        token = ""
        while True:
            left = ends - self._clock()
            if left <= 0:
                raise ApiError(0, f"the answer took longer than {SECONDS:.0f} s")
            page = [*query, ("limit", PAGE_SIZE), *([("continue", token)] if token else [])]
            body = _decoded(self.connection.get(path, page, read_seconds=left))
            items += [item for item in body.get(key) or () if isinstance(item, Mapping)]
            token = str(dig(body, "metadata", "continue") or "")
            if not token:
                return tuple(items)


def dig(value: Any, *keys: str) -> Any:
    """The value at a path of mappings; None where it is not there."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def labels_of(manifest: Manifest) -> dict[str, str]:
    """The labels of an object."""
    return {str(key): str(value) for key, value in (dig(manifest, "metadata", "labels") or {}).items()}


def as_selector(labels: Mapping[str, str]) -> str:
    """Labels as a selector of the API."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def selector_of(service: Manifest) -> dict[str, str]:
    """The labels by which a Service selects pods."""
    return {str(key): str(value) for key, value in (dig(service, "spec", "selector") or {}).items()}


def admits_port(ports: Sequence[Manifest], number: int) -> bool:
    """Whether the `ports` of a NetworkPolicy's rule have a TCP port by its number."""
    return not ports or any(_has_port(port, number) for port in ports)


def _has_port(port: Manifest, number: int) -> bool:
    first = dig(port, "port")
    last = dig(port, "endPort") or first
    if dig(port, "protocol") not in (None, "TCP"):
        return False
    return first is None or (isinstance(first, int) and first <= number <= last)


def name_of(manifest: Manifest) -> str:
    """The name of an object."""
    return str(dig(manifest, "metadata", "name") or "")


def namespace_of(manifest: Manifest) -> str:
    """The namespace of an object."""
    return str(dig(manifest, "metadata", "namespace") or "")


def listed(value: Any) -> list[Any]:
    """A list, empty where there is none."""
    return value if isinstance(value, list) else []


def _decoded(body: bytes) -> JsonObject:
    try:
        return msgspec.json.decode(body, type=JsonObject)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ApiError(0, f"the API server's answer can't be read: {error}") from None


def _reason(error: ApiError, needs: str) -> str:
    if error.status == FORBIDDEN:
        return f"needs {needs}"
    if error.status == UNAUTHORIZED:
        return "the API server does not know this user: renew the credentials of the kubeconfig"
    return str(error)
