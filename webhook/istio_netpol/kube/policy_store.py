"""Generated policies in the cluster, by server-side apply."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec
import structlog

from istio_netpol.errors import ApiError
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.kube.objects import page_of, received, received_all
from istio_netpol.kube.resources import NETWORK_POLICIES
from istio_netpol.manifests.encode import encode_policy
from istio_netpol.model.failures import Failure
from istio_netpol.model.json_values import JsonObject
from istio_netpol.model.own_names import FIELD_MANAGER, PROVISIONAL_AT
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.policy_store import StoreResult
from istio_netpol.remedies.quota import is_generated
from istio_netpol.remedies.required_by import needers_of, with_needers

APPLY = "application/apply-patch+yaml"
LIVE_SECONDS = 1.0
"""How long an answer may take for which a review waits."""

NOT_FOUND, CONFLICT = 404, 409


class _PolicyMetadata(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str
    annotations: dict[str, str] | None = None


class _PolicyVersion(msgspec.Struct, frozen=True):
    """Which version of an object was read, and what is noted on it."""

    metadata: _PolicyMetadata


class ClusterStore:
    """Implements `PolicyStore`. What somebody else made or changed is reported and left as it is.

    What a review has written is for an object that may never be stored: a new policy says so, until the
    controller has seen its object.
    """

    def __init__(
        self, connection: ApiConnection, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._connection = connection
        self._clock = clock

    def write(self, policies: Sequence[NetworkPolicy], asker: str = "") -> tuple[StoreResult, ...]:
        """Applies each policy; once this returns, the API server has stored it. Its answer is the object as
        stored, which is what the results hold."""
        return tuple(map(self._result, policies))

    def _result(self, policy: NetworkPolicy) -> StoreResult:
        try:
            stored = self._apply(policy)
        except ApiError as error:
            return StoreResult(policy, False, str(error))
        except MemoryError:
            raise
        except Exception as error:  # one policy's failure is its own
            structlog.get_logger("kube").exception("a policy was not written", object=str(policy.ref))
            return StoreResult(policy, False, str(Failure.of("policy store", error)))
        return StoreResult(policy, False, stored) if isinstance(stored, str) else StoreResult(stored, True)

    def _apply(self, policy: NetworkPolicy) -> NetworkPolicy | str:
        """The policy as it is stored now, or why it is not."""
        path = NETWORK_POLICIES.path(policy.namespace, policy.name)
        present = self._present(path)
        version, is_provisional = "", present is None
        if present is not None:
            there = _policy_in(present)
            if there is None or not is_generated(there):
                return f"NetworkPolicy {policy.key} is there already and is not managed by istio-netpol"
            if not there.does_the_same(policy):
                return (
                    f"NetworkPolicy {policy.key} is there already and does something else than its name "
                    "says: somebody changed it; delete it, or let the controller restore it"
                )
            policy = with_needers(policy, needers_of(there))
            metadata = msgspec.json.decode(present, type=_PolicyVersion).metadata
            version, is_provisional = (
                metadata.resource_version,
                PROVISIONAL_AT in (metadata.annotations or {}),
            )
        manifest = encode_policy(policy)
        if is_provisional:
            now = self._clock().isoformat(timespec="seconds")
            manifest["metadata"].setdefault("annotations", {})[PROVISIONAL_AT] = now
        if version:
            # Whoever changes or deletes it between these two requests wins.
            manifest["metadata"]["resourceVersion"] = version
        return self._sent(policy, path, manifest)

    def _sent(self, policy: NetworkPolicy, path: str, manifest: JsonObject) -> NetworkPolicy | str:
        """The policy as the API server has stored its manifest, or why it has not."""
        query = [("fieldManager", FIELD_MANAGER)]
        try:
            answer = self._connection.send("PATCH", path, json.dumps(manifest).encode(), APPLY, query)
        except ApiError as error:
            if error.status != CONFLICT:
                raise
            return f"NetworkPolicy {policy.key} was changed by somebody else: {error}"
        stored = _policy_in(answer)
        if stored is None or not stored.does_the_same(policy):
            return (
                f"NetworkPolicy {policy.key} is not stored as it was written: somebody else manages fields "
                "of its spec, or another webhook changes it; delete it, or what they added"
            )
        return stored

    def _present(self, path: str) -> bytes | None:
        try:
            return self._connection.get(path)
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            return None


class LivePolicies:
    """Implements `PolicyReader` by asking the API server."""

    def __init__(self, connection: ApiConnection) -> None:
        self._connection = connection

    def read(self, namespace: str) -> tuple[NetworkPolicy, ...] | None:
        """The policies that a namespace has now; None where the API server does not say."""
        try:
            page = page_of(self._connection.get(NETWORK_POLICIES.path(namespace), read_seconds=LIVE_SECONDS))
            found = list(received_all(page.items, NETWORK_POLICIES))
        except ApiError as error:
            structlog.get_logger("kube").warning(
                "the policies of a namespace could not be read", namespace=namespace, reason=str(error)
            )
            return None
        values = (value for stored in found for value in stored.values)
        return tuple(value for value in values if isinstance(value, NetworkPolicy))


def _policy_in(body: bytes) -> NetworkPolicy | None:
    """The policy of an answer; None for one that can't be read."""
    values = received(msgspec.Raw(body), NETWORK_POLICIES).values
    return values[0] if values and isinstance(values[0], NetworkPolicy) else None
