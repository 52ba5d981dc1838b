"""Leadership by a Lease of `coordination.k8s.io`.

The official client's `leaderelection` blocks its thread, does not give the lease back at the end and reads
the holder's clock. This one trusts its own clock only: another's Lease has run out when it did not change for
as long as it says it lasts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from istio_netpol.errors import ApiError
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.kube.policy_store import CONFLICT, NOT_FOUND
from istio_netpol.kube.resources import LEASES
from istio_netpol.model.json_values import JsonObject

DURATION_SECONDS = 15
RENEW_SECONDS = 3.0
HOLDS_SECONDS = 10.0
"""Leadership ends by itself this long after the last renewal was begun, before anybody else may take it."""


class Lease:
    """One candidate for a Lease. For one thread."""

    def __init__(
        self,
        connection: ApiConnection,
        namespace: str,
        name: str,
        identity: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._namespace, self._name = namespace, name
        self._identity = identity
        self._clock = clock
        self._renewed = float("-inf")
        self._tried = float("-inf")
        self._observed: tuple[str | None, float] = (None, clock())

    @property
    def is_held(self) -> bool:
        """Whether we lead at this moment; asks nobody."""
        return self._clock() - self._renewed < HOLDS_SECONDS

    def keep(self) -> bool:
        """Renews or tries to take the lease when that is due; returns whether we lead. Raises ApiError when
        the API server can't say."""
        now = self._clock()
        if now - self._tried >= RENEW_SECONDS:
            self._tried = now
            self._attempt(now)
        return self.is_held

    def release(self) -> None:
        """Gives the lease back, so that the next leader need not wait."""
        if not self.is_held:
            return
        self._renewed = float("-inf")
        stored = self._stored()
        if stored is not None and stored["spec"].get("holderIdentity") == self._identity:
            self._put({**stored, "spec": {**stored["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}})

    def _attempt(self, now: float) -> None:
        stored = self._stored()
        holder = (stored or {}).get("spec", {}).get("holderIdentity") or ""
        if stored is not None and holder not in {"", self._identity} and not self._has_run_out(stored, now):
            self._renewed = float("-inf")
            return
        try:
            self._put(self._claimed(stored, holder))
        except ApiError as error:
            if error.status != CONFLICT:
                raise
            self._renewed = float("-inf")
            return
        self._renewed = now

    def _has_run_out(self, stored: JsonObject, now: float) -> bool:
        version: str = stored["metadata"]["resourceVersion"]
        if self._observed[0] != version:
            self._observed = (version, now)
        return now - self._observed[1] >= (stored["spec"].get("leaseDurationSeconds") or DURATION_SECONDS)

    def _claimed(self, stored: JsonObject | None, holder: str) -> JsonObject:
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        lease = stored or {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
        }
        spec = dict(lease.get("spec") or {})
        if holder != self._identity:
            spec["acquireTime"] = moment
            spec["leaseTransitions"] = (spec.get("leaseTransitions") or 0) + (stored is not None)
        spec |= {"holderIdentity": self._identity, "leaseDurationSeconds": DURATION_SECONDS}
        spec["renewTime"] = moment
        return {**lease, "spec": spec}

    def _stored(self) -> JsonObject | None:
        try:
            body = self._connection.get(LEASES.path(self._namespace, self._name))
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            return None
        stored: JsonObject = msgspec.json.decode(body)
        return {**stored, "spec": stored.get("spec") or {}}

    def _put(self, lease: JsonObject) -> None:
        is_new = "resourceVersion" not in lease["metadata"]
        path = LEASES.path(self._namespace, "" if is_new else self._name)
        self._connection.send("POST" if is_new else "PUT", path, json.dumps(lease).encode())
