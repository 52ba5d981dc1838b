"""Whose generated policies a cluster has: counted by the namespace that asks for them, for a limit that no
tenant can use up for another.

A policy counts for the namespaces whose objects need it, as its annotation `required-by` says. Where only
administrators write, that is our own word: policies of istiod and of the gateways count for the tenants that
asked for them. In a namespace of tenants anybody there may have forged label and annotation. So what others
ask for there is counted apart, for each pair of namespaces: a forger who names another namespace fills only
the account of that one in the forger's own namespace.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from msgspec import Struct

from istio_netpol.model.own_names import MANAGED_BY, OWNER
from istio_netpol.model.policies import NetworkPolicy, PolicyKey
from istio_netpol.remedies.required_by import MOST_NAMES, asking_namespaces


class Account(Struct, frozen=True, order=True):
    """Policies that objects of a namespace ask for: in its own and in trusted namespaces, or `inside` one
    other namespace."""

    asker: str
    inside: str = ""

    def __str__(self) -> str:
        elsewhere = f" in namespace {self.inside}" if self.inside else ""
        return f"namespace {self.asker} has asked{elsewhere}"


def is_generated(policy: NetworkPolicy) -> bool:
    """Whether a policy carries our label, which others can write too."""
    return policy.labels.get(MANAGED_BY) == OWNER


class Usage:
    """How many generated policies each account has; follows a cluster by its changes, for one thread at a
    time. `is_trusted` tells of a namespace whether only administrators write in it."""

    def __init__(self, is_trusted: Callable[[str], bool]) -> None:
        self._is_trusted = is_trusted
        self._accounts: dict[PolicyKey, frozenset[Account]] = {}
        self._counts: Counter[Account] = Counter()

    def accounts(self, policy: NetworkPolicy) -> frozenset[Account]:
        """The accounts for which a policy counts."""
        place, askers = policy.namespace, asking_namespaces(policy)
        if len(askers) > MOST_NAMES:  # more than we ever name: forged, to fill our memory
            askers = frozenset({place})
        inside = "" if self._is_trusted(place) else place
        return frozenset(Account(asker, "" if asker == place else inside) for asker in askers)

    def put(self, policy: NetworkPolicy) -> None:
        """A policy is there now, or differs from what it was."""
        key = (policy.namespace, policy.name)
        self.remove(key)
        if is_generated(policy):
            self._accounts[key] = found = self.accounts(policy)
            self._counts.update(found)

    def remove(self, key: PolicyKey) -> None:
        """A policy is gone."""
        for account in self._accounts.pop(key, ()):
            self._counts[account] -= 1
            if not self._counts[account]:
                del self._counts[account]

    def has(self, policy: NetworkPolicy) -> bool:
        """Whether the policy is counted already."""
        return (policy.namespace, policy.name) in self._accounts

    def full(self, policy: NetworkPolicy, limit: int) -> Account | None:
        """The account that can't take one more policy; None where the policy is there, and where any of the
        namespaces that need it has room."""
        if self.has(policy):
            return None
        found = sorted(self.accounts(policy))
        return None if any(self._counts[account] < limit for account in found) else found[0]


def usage_of(policies: Iterable[NetworkPolicy], is_trusted: Callable[[str], bool]) -> Usage:
    """The usage of a cluster that holds these policies."""
    usage = Usage(is_trusted)
    for policy in policies:
        usage.put(policy)
    return usage


def beyond(account: Account, limit: int) -> str:
    """Why a policy is not written for an account that is full: a clause."""
    return f"{account} for {limit} generated policies, as many as admission.maxPoliciesPerNamespace allows"
