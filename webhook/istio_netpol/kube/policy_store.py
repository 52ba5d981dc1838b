"""Generated policies in the cluster, by server-side apply."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import structlog

from istio_netpol.analysis.remedies import MANAGED_BY, OWNER
from istio_netpol.errors import ApiError
from istio_netpol.kube.connection import Connection
from istio_netpol.kube.discovery import Resource
from istio_netpol.kube.objects import page_of, received_all
from istio_netpol.manifests.encode import encode_policy
from istio_netpol.model.interfaces import StoreResult
from istio_netpol.model.policies import NetworkPolicy

FIELD_MANAGER = "istio-netpol"
APPLY = "application/apply-patch+yaml"
NETWORK_POLICIES = Resource("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", namespaced=True)
LIVE_SECONDS = 1.0
"""How long an answer may take for which a review waits."""

NOT_FOUND, CONFLICT = 404, 409


class ClusterStore:
    """Implements `PolicyStore`. What somebody else made or changed is reported and left as it is."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def write(self, policies: Sequence[NetworkPolicy]) -> tuple[StoreResult, ...]:
        """Applies each policy; once this returns, the API server has stored it."""
        results = []
        for policy in policies:
            try:
                refused = self._apply(policy)
            except ApiError as error:
                refused = str(error)
            results.append(StoreResult(policy, not refused, refused))
        return tuple(results)

    def _apply(self, policy: NetworkPolicy) -> str:
        """Why the policy was not applied; empty where it was."""
        path = NETWORK_POLICIES.path(policy.namespace, policy.name)
        present = self._present(path)
        if present is not None and _labels(present).get(MANAGED_BY) != OWNER:
            return f"NetworkPolicy {policy.key} is there already and is not managed by istio-netpol"
        manifest = encode_policy(policy)
        if present is not None:
            # Whoever changes or deletes it between these two requests wins.
            manifest["metadata"]["resourceVersion"] = present["metadata"]["resourceVersion"]
        query = [("fieldManager", FIELD_MANAGER)]
        try:
            self._connection.send("PATCH", path, json.dumps(manifest).encode(), APPLY, query)
        except ApiError as error:
            if error.status != CONFLICT:
                raise
            return f"NetworkPolicy {policy.key} was changed by somebody else: {error}"
        return ""

    def _present(self, path: str) -> Any:
        try:
            return msgspec.json.decode(self._connection.get(path))
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            return None


class LivePolicies:
    """Implements `PolicyReader` by asking the API server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, namespace: str) -> tuple[NetworkPolicy, ...] | None:
        """The policies that a namespace has now; None where the API server does not say."""
        try:
            page = page_of(self._connection.get(NETWORK_POLICIES.path(namespace), read_seconds=LIVE_SECONDS))
            found = list(received_all(page.items, NETWORK_POLICIES))
        except ApiError as error:
            structlog.get_logger("kube").warning("no live read", namespace=namespace, reason=str(error))
            return None
        return tuple(value for each in found for value in each.values)


def _labels(manifest: Any) -> dict[str, str]:
    return manifest["metadata"].get("labels") or {}
