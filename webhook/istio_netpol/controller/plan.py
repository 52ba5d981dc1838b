"""Plans how to get from the policies that are there to those that are needed. Pure: time is an argument."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from istio_netpol.analysis.needed_policies import Upkeep
from istio_netpol.controller.awaited import Awaited
from istio_netpol.model.labels import Selector
from istio_netpol.model.own_names import FLOW_LABEL, MANAGED_BY, REQUIRED_BY
from istio_netpol.model.policies import NetworkPolicy, PolicyKey, PolicyPeer, PolicyRule
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.settings import ControllerSettings, HostSettings, Settings
from istio_netpol.remedies.names import has_earlier_name, is_named_after_content
from istio_netpol.remedies.quota import Account, Usage, beyond, usage_of
from istio_netpol.remedies.required_by import Needers, needers_of
from istio_netpol.trust.authority import trusted_namespaces

OWN_LABELS = (MANAGED_BY, FLOW_LABEL)
_PolicyPods = tuple[str, Selector]
"""Namespace and selector."""


class Present(Struct, frozen=True):
    """A policy that carries our label, as the API server holds it now.

    `own` says that we applied it (see `owned`); `owners` are the kinds and names in its ownerReferences;
    `unneeded_since` is when it was first seen without a need, and `provisional_at` when a review last had it
    written whose object was not seen since, both in seconds since 1970.
    """

    policy: NetworkPolicy
    own: bool
    uid: str
    version: str
    owners: frozenset[tuple[str, str]] = frozenset()
    unneeded_since: float | None = None
    provisional_at: float | None = None

    @property
    def key(self) -> PolicyKey:
        return (self.policy.namespace, self.policy.name)


class Apply(Struct, frozen=True):
    """Writes this policy, or makes `present` like it; `owners` go into its ownerReferences."""

    policy: NetworkPolicy
    owners: tuple[ObjectRef, ...] = ()
    present: Present | None = None

    @property
    def target(self) -> NetworkPolicy:
        return self.policy


class Mark(Struct, frozen=True):
    """Notes since when a policy is not needed; None where it is needed after all."""

    present: Present
    since: float | None

    @property
    def target(self) -> NetworkPolicy:
        return self.present.policy


class Delete(Struct, frozen=True):
    """Deletes a policy that is not needed any more."""

    present: Present

    @property
    def target(self) -> NetworkPolicy:
        return self.present.policy


PlannedWrite = Apply | Mark | Delete


class WritePlan(Struct, frozen=True):
    """The actions, what opens before what closes. `withheld` says what is not done, and why; after `again_in`
    seconds the next grace period ends."""

    actions: tuple[PlannedWrite, ...] = ()
    withheld: tuple[str, ...] = ()
    again_in: float = float("inf")


def plan(need: Upkeep, present: Iterable[Present], now: float, settings: Settings) -> WritePlan:
    """The actions that lead from the policies that are there to those that are needed. None of them concerns
    a policy that is not ours."""
    there = {here.key: here for here in present}
    counted = (here.policy for here in there.values() if not _is_replaced(here, need))
    trusted = trusted_namespaces(settings)
    usage = usage_of(counted, trusted.__contains__)
    keeping, withheld = _kept(need, there, usage, settings.admission.max_policies_per_namespace)
    unneeded = [here for key, here in sorted(there.items()) if here.own and key not in need.needed]
    awaited = Awaited(policy for policy in need.needed.values() if not _is_there(policy, there))
    closing = {
        here.key
        for here in unneeded
        if not (_is_uncertain(here.policy, need, trusted) or awaited.meets(here.policy))
    }
    surplus = _surplus((here for here in unneeded if here.key in closing), need, now, settings.hosts)
    stored = _stored_addresses(need, there) if closing else {}
    decided = [
        _without_need(here, here.key in surplus, stored, now, _grace(here, need, settings.controller))
        if here.key in closing
        else None
        for here in unneeded
    ]
    collecting = [action for action in decided if action is not None]
    waiting = [here for here, action in zip(unneeded, decided, strict=True) if not isinstance(action, Delete)]
    ends = [_unneeded_since(here, now) + _grace(here, need, settings.controller) - now for here in waiting]
    # A policy that an uncertain object holds back is past its end: an event will make the object certain.
    again = min((seconds for seconds in ends if seconds > 0), default=float("inf"))
    return WritePlan(tuple(_in_turns(keeping, collecting, usage)), tuple(withheld), again)


def _in_turns(
    keeping: Iterable[PlannedWrite], collecting: Iterable[PlannedWrite], usage: Usage
) -> list[PlannedWrite]:
    """Orders actions: the first of each account, then the second of each. Writes are few a second, and a
    namespace whose objects change all the time takes its share of them and no more. For each account, what
    opens goes before what closes: a policy that several accounts need is written at the first turn of any,
    and deleted after the turns of all."""
    turns: Counter[Account] = Counter()
    placed = []
    for actions, chosen in ((keeping, min), (collecting, max)):
        for action in actions:
            accounts = usage.accounts(action.target)
            turns.update(accounts)
            placed.append((chosen(turns[account] for account in accounts), action))
    return [action for _, action in sorted(placed, key=lambda place: place[0])]


def _kept(
    need: Upkeep, there: Mapping[PolicyKey, Present], usage: Usage, limit: int
) -> tuple[list[PlannedWrite], list[str]]:
    actions: list[PlannedWrite] = []
    withheld = []
    for key, policy in sorted(need.needed.items()):
        here, owners = there.get(key), owners_of(policy, need.objects)
        if here is not None and not here.own:
            withheld.append(f"NetworkPolicy {policy.key} is there already and was not made by istio-netpol")
        elif here is not None and key in need.wanted and not _is_same(here, policy, owners):
            if here.policy.does_the_same(policy) or is_named_after_content(policy):
                actions.append(Apply(policy, owners, here))
            else:
                withheld.append(f"NetworkPolicy {policy.key} is there already and does something else")
        elif here is None and key in need.wanted:
            full = usage.full(policy, limit)
            if full is not None:
                withheld.append(f"NetworkPolicy {policy.key} is not written: {beyond(full, limit)}")
                continue
            usage.put(policy)
            actions.append(Apply(policy, owners))
        if here is not None and here.own and here.unneeded_since is not None:
            actions.append(Mark(here, None))
    return actions, withheld


def owners_of(policy: NetworkPolicy, objects: Mapping[str, ObjectRef | None]) -> tuple[ObjectRef, ...]:
    """The objects that own the policy, so that it goes with them: those that need it, if all of them are
    named, known and live in its namespace."""
    needers = needers_of(policy)
    refs = [objects.get(name) for name in sorted(needers.names)]
    owners = tuple(ref for ref in refs if ref is not None and ref.namespace == policy.namespace)
    return owners if needers.is_complete and len(owners) == len(refs) else ()


def _is_same(here: Present, policy: NetworkPolicy, owners: tuple[ObjectRef, ...]) -> bool:
    known = here.policy
    return (
        known.does_the_same(policy)
        and all(known.labels.get(name) == policy.labels.get(name) for name in OWN_LABELS)
        and known.annotations.get(REQUIRED_BY) == policy.annotations.get(REQUIRED_BY)
        and here.owners >= {(owner.kind, owner.name) for owner in owners}
        and here.provisional_at is None
    )


def _is_replaced(here: Present, need: Upkeep) -> bool:
    """Whether a policy has a name of an earlier version, and so goes as soon as its successors are there. If
    it were counted with them, it would leave no room for them."""
    return here.own and here.key not in need.needed and has_earlier_name(here.policy)


def _is_uncertain(policy: NetworkPolicy, need: Upkeep, trusted: frozenset[str]) -> bool:
    """Whether a policy may be needed by an object whose need is not known now: one that the policy names, or
    one that it only counts.

    An object that can't be read holds nothing open in the namespace of another tenant, whose consent may be
    gone: there, only objects of that namespace and of administrators do.
    """
    place, needers, uncertain = policy.namespace, needers_of(policy), Needers(need.uncertain)
    if place not in trusted:
        uncertain = uncertain.within(trusted | {place})
    if needers.is_complete:
        return not uncertain.names.isdisjoint(needers.names)
    homes = uncertain.namespaces
    return bool(homes) and (needers.elsewhere or not homes.isdisjoint(needers.namespaces))


def _is_there(policy: NetworkPolicy, there: Mapping[PolicyKey, Present]) -> bool:
    here = there.get((policy.namespace, policy.name))
    return here is not None and here.own and here.policy.does_the_same(policy)


def _without_need(
    here: Present,
    is_surplus: bool,
    stored: Mapping[_PolicyPods, Sequence[NetworkPolicy]],
    now: float,
    grace: int,
) -> PlannedWrite | None:
    if is_surplus or _is_covered(here.policy, stored):
        return Delete(here)
    if here.unneeded_since is None or here.unneeded_since > now:
        return Mark(here, now)
    return Delete(here) if now - _unneeded_since(here, now) >= grace else None


def _surplus(unneeded: Iterable[Present], need: Upkeep, now: float, settings: HostSettings) -> set[PolicyKey]:
    """The oldest of the policies that keep more old addresses open than their objects, or the namespaces of
    these, may bring. Otherwise a host that answers with something new each time would fill a namespace with
    policies."""
    brought: defaultdict[tuple[str, ...], set[PolicyPeer]] = defaultdict(set)
    current = {peer for policy in need.needed.values() for rule in policy.egress for peer in rule.peers}
    found = set()
    with_addresses = [here for here in unneeded if any(rule.addresses for rule in here.policy.egress)]
    for here in sorted(with_addresses, key=lambda here: (-(here.unneeded_since or now), here.key)):
        needers = needers_of(here.policy)
        old = {peer for rule in here.policy.egress for peer in rule.peers} - current
        limits = (
            (tuple(sorted(needers.names)), settings.max_addresses_per_host),
            (tuple(sorted(needers.namespaces)), settings.max_addresses_per_namespace),
        )
        if any(len(brought[place] | old) > limit for place, limit in limits):
            found.add(here.key)
        else:
            for place, _ in limits:
                brought[place] |= old
    return found


def _unneeded_since(here: Present, now: float) -> float:
    """Since when a policy is not needed, as far as anybody knows. A review that had it written again starts
    the time anew, unless its clock is ahead of ours."""
    times = (here.unneeded_since, here.provisional_at)
    return max((time for time in times if time is not None and time <= now), default=now)


def _grace(here: Present, need: Upkeep, settings: ControllerSettings) -> int:
    """How long a policy outlives its need, and addresses outlive the last answer that named them. A policy
    that was written for an object that is not there never was needed. An object that is there may need other
    addresses than at its review, if DNS answers differently."""
    names_addresses = any(rule.addresses for rule in here.policy.egress)
    grace = settings.host_overlap_seconds if names_addresses else settings.collect_after_seconds
    if here.provisional_at is None or (names_addresses and _has_object(here.policy, need)):
        return grace
    return min(grace, settings.take_back_after_seconds)


def _has_object(policy: NetworkPolicy, need: Upkeep) -> bool:
    """Whether an object that a policy was written for may be stored."""
    needers = needers_of(policy)
    return not needers.is_complete or any(name in need.objects for name in needers.names)


def _stored_addresses(
    need: Upkeep, there: Mapping[PolicyKey, Present]
) -> dict[_PolicyPods, list[NetworkPolicy]]:
    """Our policies that are needed, are there and open addresses, by the pods that they select."""
    found: dict[_PolicyPods, list[NetworkPolicy]] = {}
    for policy in need.needed.values():
        if any(rule.addresses for rule in policy.egress) and _is_there(policy, there):
            found.setdefault((policy.namespace, policy.pod_selector), []).append(policy)
    return found


def _is_covered(here: NetworkPolicy, stored: Mapping[_PolicyPods, Sequence[NetworkPolicy]]) -> bool:
    """Whether one of the stored policies opens at least the addresses that this one opens."""
    return any(_covers(policy, here) for policy in stored.get((here.namespace, here.pod_selector), ()))


def _covers(wide: NetworkPolicy, narrow: NetworkPolicy) -> bool:
    return (
        wide.policy_types == narrow.policy_types
        and not narrow.ingress
        and all(any(_rule_covers(wider, rule) for wider in wide.egress) for rule in narrow.egress)
        and bool(narrow.egress)
    )


def _rule_covers(wide: PolicyRule, narrow: PolicyRule) -> bool:
    return (
        bool(narrow.peers)
        and not narrow.selectors
        and set(narrow.ports) <= set(wide.ports)
        and bool(narrow.ports)
        and not (narrow.addresses - wide.addresses)
    )
