"""The policies that carry our label, read live, and which of them are ours.

A label proves nothing: every tenant can write it. Ours is what our field manager applied, label included, as
the API server itself records it in `managedFields`. Whoever takes the label off takes the policy over.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from istio_netpol.analysis.remedies import MANAGED_BY, OWNER
from istio_netpol.controller.plan import Present
from istio_netpol.errors import ApiError
from istio_netpol.kube.connection import Connection
from istio_netpol.kube.policy_store import FIELD_MANAGER, NETWORK_POLICIES
from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.raw_objects import RawObject

UNNEEDED_SINCE = "istio-netpol.io/unneeded-since"
PAGE_ITEMS = "500"


def labelled_policies(connection: Connection) -> list[Present]:
    """Every policy with our label. Raises ApiError rather than returning a part of them."""
    found: list[Present] = []
    following = ""
    while True:
        query = [("labelSelector", f"{MANAGED_BY}={OWNER}"), ("limit", PAGE_ITEMS)]
        if following:
            query.append(("continue", following))
        try:
            page = msgspec.json.decode(connection.get(NETWORK_POLICIES.path(), query))
        except msgspec.DecodeError as error:
            raise ApiError(0, f"the API server's answer can't be read: {error}") from error
        found += [each for item in page["items"] or () if (each := present_of(item))]
        following = page["metadata"].get("continue") or ""
        if not following:
            return found


def present_of(manifest: dict[str, Any]) -> Present | None:
    """A policy as it is stored; None for one that we can't read, which is never touched then."""
    content = {**manifest, "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    values, problems = decode(RawObject(content, "the cluster", 0))
    metadata = manifest["metadata"]
    if problems or not values or metadata.get("deletionTimestamp"):
        return None
    owners = metadata.get("ownerReferences") or ()
    return Present(
        policy=values[0],
        own=is_ours(metadata.get("managedFields") or ()),
        uid=metadata["uid"],
        version=metadata["resourceVersion"],
        owners=frozenset((each["kind"], each["name"]) for each in owners),
        unneeded_since=_seconds((metadata.get("annotations") or {}).get(UNNEEDED_SINCE)),
    )


def is_ours(managed_fields: Any) -> bool:
    """Whether our manager applied the label."""
    return any(
        entry.get("manager") == FIELD_MANAGER
        and entry.get("operation") == "Apply"
        and f"f:{MANAGED_BY}" in entry.get("fieldsV1", {}).get("f:metadata", {}).get("f:labels", {})
        for entry in managed_fields
    )


def timestamp(seconds: float) -> str:
    """As the annotation spells it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(text: str | None) -> float | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment.timestamp() if moment is not None and moment.tzinfo is not None else None
