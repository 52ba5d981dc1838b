"""Limits to what reviews write, so that no tenant can flood the API server, fill its store, or use up what
others may have written."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from istio_netpol.kube.write_rate import WriteRate
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.policy_store import PolicyStore, StoreResult
from istio_netpol.model.settings import AdmissionSettings
from istio_netpol.remedies.quota import Usage, beyond, usage_of


class LimitedStore:
    """Implements `PolicyStore` over another one; refuses what goes beyond the limits, and says which one.

    `is_trusted` tells of a namespace whether only administrators write in it. Every method may be called from
    any thread.
    """

    def __init__(
        self,
        store: PolicyStore,
        settings: AdmissionSettings,
        is_trusted: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._settings = settings
        self._is_trusted = is_trusted
        self._lock = threading.Lock()
        self._usage = Usage(is_trusted)
        self._rate = WriteRate(settings.writes_per_second, clock)

    def restart(self, policies: Iterable[NetworkPolicy]) -> None:
        """These are all policies of the cluster."""
        usage = usage_of(policies, self._is_trusted)
        with self._lock:
            self._usage = usage

    def follow(self, put: Iterable[object], remove: Iterable[object]) -> None:
        """Takes in what happened in the cluster; of all objects, policies count."""
        with self._lock:
            for policy in put:
                if isinstance(policy, NetworkPolicy):
                    self._usage.put(policy)
            for policy in remove:
                if isinstance(policy, NetworkPolicy):
                    self._usage.remove((policy.namespace, policy.name))

    def write(self, policies: Sequence[NetworkPolicy], asker: str = "") -> tuple[StoreResult, ...]:
        """Writes what the limits leave; those of one call are one object's."""
        results: list[StoreResult] = []
        most = self._settings.max_policies_per_object
        if len(policies) > most:
            reason = f"it needs {len(policies)} policies; admission.maxPoliciesPerObject is {most}"
            return tuple(StoreResult(policy, False, reason) for policy in policies)
        for policy in policies:
            reason = self._beyond(policy, asker)
            results += [StoreResult(policy, False, reason)] if reason else self._write(policy, asker)
        return tuple(results)

    def _beyond(self, policy: NetworkPolicy, asker: str) -> str:
        """Which limit the policy would exceed; empty where none."""
        limit = self._settings.max_policies_per_namespace
        with self._lock:
            full = self._usage.full(policy, limit)
            if full is not None:
                return beyond(full, limit)
            if not self._rate.take(asker):
                return (
                    f"objects of namespace {asker} have too many policies written "
                    f"(admission.writesPerSecond is {self._settings.writes_per_second}); try again in a few "
                    "seconds"
                )
        return ""

    def _write(self, policy: NetworkPolicy, asker: str) -> tuple[StoreResult, ...]:
        """Writes a policy, which counts from now on: before the cluster shows it, too."""
        with self._lock:
            is_new = not self._usage.has(policy)
            if is_new:
                self._usage.put(policy)
        results = self._store.write([policy], asker)
        if is_new and not all(result.written for result in results):
            with self._lock:
                self._usage.remove((policy.namespace, policy.name))
        return results
