"""Limits to what reviews write, so that no tenant can flood the API server or fill its store."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from istio_netpol.model.interfaces import PolicyStore, StoreResult
from istio_netpol.model.own_names import MANAGED_BY, OWNER
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.settings import AdmissionSettings
from istio_netpol.state.snapshot import Snapshot

BURST_SECONDS = 10.0
"""A namespace that has been quiet may write at once what it may write in so long: a whole folder, say."""

MOST_NAMESPACES = 10_000
"""How many namespaces' rates are remembered; then all begin anew."""


def owned_beside(policy: NetworkPolicy, snapshot: Snapshot) -> int:
    """How many generated policies the namespace of this one has besides it."""
    found = snapshot.of_type(NetworkPolicy, policy.namespace)
    return sum(each.labels.get(MANAGED_BY) == OWNER and each.name != policy.name for each in found)


@dataclass(slots=True)
class _Allowance:
    """How many writes are left, and when that was."""

    left: float
    at: float


class LimitedStore:
    """Implements `PolicyStore` over another one; refuses what goes beyond the limits, and says which one.

    `owned` counts the generated policies that a policy's namespace has besides it.
    """

    def __init__(
        self,
        store: PolicyStore,
        settings: AdmissionSettings,
        owned: Callable[[NetworkPolicy], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._settings = settings
        self._owned = owned
        self._clock = clock
        self._lock = threading.Lock()
        self._allowances: dict[str, _Allowance] = {}

    def write(self, policies: Sequence[NetworkPolicy]) -> tuple[StoreResult, ...]:
        """Writes what the limits leave; those of one call are one object's."""
        found: list[StoreResult] = []
        most = self._settings.max_policies_per_object
        if len(policies) > most:
            reason = f"it needs {len(policies)} policies; admission.maxPoliciesPerObject is {most}"
            return tuple(StoreResult(each, False, reason) for each in policies)
        for policy in policies:
            reason = self._beyond(policy)
            found += [StoreResult(policy, False, reason)] if reason else self._store.write([policy])
        return tuple(found)

    def _beyond(self, policy: NetworkPolicy) -> str:
        """Which limit the policy would exceed; empty where none."""
        namespace, settings = policy.namespace, self._settings
        if self._owned(policy) >= settings.max_policies_per_namespace:
            return (
                f"namespace {namespace} has {settings.max_policies_per_namespace} generated policies, "
                "as many as admission.maxPoliciesPerNamespace allows"
            )
        if not self._may_write(namespace):
            return (
                f"too many policies are written in namespace {namespace} (admission.writesPerSecond is "
                f"{settings.writes_per_second}); try again in a few seconds"
            )
        return ""

    def _may_write(self, namespace: str) -> bool:
        rate, now = self._settings.writes_per_second, self._clock()
        with self._lock:
            if len(self._allowances) >= MOST_NAMESPACES:
                self._allowances.clear()
            known = self._allowances.setdefault(namespace, _Allowance(rate * BURST_SECONDS, now))
            known.left = min(rate * BURST_SECONDS, known.left + rate * (now - known.at))
            known.at = now
            if known.left < 1:
                return False
            known.left -= 1
            return True
