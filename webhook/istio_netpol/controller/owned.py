"""The policies that carry our label, read live, and which of them are ours.

A label proves nothing, since every tenant can write it. A policy is ours if our field manager applied it,
label included, as the API server itself records in `managedFields`. Whoever takes the label off takes the
policy over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from istio_netpol.controller.plan import Present
from istio_netpol.errors import ApiError
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.kube.paging import pages_of
from istio_netpol.kube.resources import NETWORK_POLICIES
from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.model.json_values import JsonObject
from istio_netpol.model.own_names import FIELD_MANAGER, MANAGED_BY, OWNER, PROVISIONAL_AT, UNNEEDED_SINCE
from istio_netpol.model.policies import NetworkPolicy


class _ObjectVersion(msgspec.Struct, frozen=True, rename="camel"):
    uid: str
    resource_version: str


class _VersionedObject(msgspec.Struct, frozen=True):
    """The fields that tell whether an object was read before."""

    metadata: _ObjectVersion


class LabelledPolicies:
    """Every policy with our label, read live each time; only what changed is decoded. For one thread."""

    def __init__(self, connection: ApiConnection) -> None:
        self._connection = connection
        self._known: dict[_ObjectVersion, Present | None] = {}

    def read(self) -> list[Present]:
        """All labelled policies. Raises ApiError rather than returning a part."""
        found: dict[_ObjectVersion, Present | None] = {}
        query = [("labelSelector", f"{MANAGED_BY}={OWNER}")]
        for page in pages_of(self._connection, NETWORK_POLICIES.path(), query):
            for item in page.items or ():
                names = _names(item)
                known = names in self._known
                found[names] = self._known[names] if known else present_of(msgspec.json.decode(item))
        self._known = found
        return [policy for policy in found.values() if policy is not None]


def _names(item: msgspec.Raw) -> _ObjectVersion:
    try:
        return msgspec.json.decode(item, type=_VersionedObject).metadata
    except msgspec.DecodeError as error:
        raise ApiError(0, f"the API server's answer can't be read: {error}") from error


def present_of(manifest: JsonObject) -> Present | None:
    """A policy as it is stored; None for one that we can't read, and so never touch."""
    content = {**manifest, "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    values, problems = decode(RawObject(content, "the cluster", 0, is_from_api=True))
    metadata = manifest["metadata"]
    policy = next(iter(values), None)
    if problems or not isinstance(policy, NetworkPolicy) or metadata.get("deletionTimestamp"):
        return None
    owners = metadata.get("ownerReferences") or ()
    managed, annotations = metadata.get("managedFields") or (), metadata.get("annotations") or {}
    is_provisional = _is_applied(managed, "annotations", PROVISIONAL_AT)
    return Present(
        policy=policy,
        own=is_ours(managed),
        uid=metadata["uid"],
        version=metadata["resourceVersion"],
        owners=frozenset((owner["kind"], owner["name"]) for owner in owners),
        unneeded_since=_seconds(annotations.get(UNNEEDED_SINCE)),
        provisional_at=_seconds(annotations.get(PROVISIONAL_AT)) if is_provisional else None,
    )


def is_ours(managed_fields: Sequence[Mapping[str, Any]]) -> bool:
    """Whether our manager applied the label."""
    return _is_applied(managed_fields, "labels", MANAGED_BY)


def _is_applied(managed_fields: Sequence[Mapping[str, Any]], kind: str, name: str) -> bool:
    """Whether our manager applied a label or an annotation: nobody else wrote its value."""
    return any(
        entry.get("manager") == FIELD_MANAGER
        and entry.get("operation") == "Apply"
        and f"f:{name}" in entry.get("fieldsV1", {}).get("f:metadata", {}).get(f"f:{kind}", {})
        for entry in managed_fields
    )


def timestamp(seconds: float) -> str:
    """A time as the annotations spell it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(text: str | None) -> float | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment.timestamp() if moment is not None and moment.tzinfo is not None else None
