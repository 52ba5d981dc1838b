"""Makes the stages of the Admin and Baseline tiers, once for all workloads that the same policies select."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from istio_netpol.model.addresses import NO_ADDRESSES
from istio_netpol.model.policies import Direction, PolicyPort
from istio_netpol.model.tiers import TierPolicy, TierRule
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.cluster_masks import ClusterMasks
from istio_netpol.netpol.port_sets import PortSets
from istio_netpol.netpol.ports import names, opened
from istio_netpol.netpol.stages import Ruling, Stage
from istio_netpol.netpol.tiers import node_addresses
from istio_netpol.state.snapshot import Snapshot

_TierPolicies = tuple[TierPolicy, ...]


class TierStages:
    """Makes the stages of the policies of one tier; port numbers are those of `sets`."""

    def __init__(self, snapshot: Snapshot, cluster: ClusterMasks, sets: PortSets) -> None:
        self._snapshot = snapshot
        self._cluster = cluster
        self._sets = sets
        self._rulings: dict[tuple[TierPolicy, Direction], tuple[Ruling, ...]] = {}
        self._named: dict[tuple[TierPolicy, Direction], bool] = {}
        self._nameless: dict[tuple[_TierPolicies, Direction], Stage] = {}

    def of(self, policies: _TierPolicies, direction: Direction, called: Workload | None) -> Stage:
        """What these policies, in their order, accept and deny; `called` gives port names their numbers."""
        if called is not None and any(self._has_names(policy, direction) for policy in policies):
            return self._stage(policies, direction, called)
        stage = self._nameless.get((policies, direction))
        if stage is None:
            stage = self._nameless[policies, direction] = self._stage(policies, direction, None)
        return stage

    def _stage(self, policies: Sequence[TierPolicy], direction: Direction, called: Workload | None) -> Stage:
        priorities = [
            [self._rulings_of(policy, direction, called) for policy in alike]
            for _, alike in groupby(policies, key=lambda policy: policy.priority)
        ]
        return Stage(priorities, self._cluster.everyone | self._cluster.outside, self._sets)

    def _rulings_of(
        self, policy: TierPolicy, direction: Direction, called: Workload | None
    ) -> Sequence[Ruling]:
        rules = policy.rules(direction)
        if called is not None and self._has_names(policy, direction):
            return [self._ruling(rule, called) for rule in rules]
        known = self._rulings.get((policy, direction))
        if known is None:
            known = self._rulings[policy, direction] = tuple(self._ruling(rule, None) for rule in rules)
        return known

    def _has_names(self, policy: TierPolicy, direction: Direction) -> bool:
        found = self._named.get((policy, direction))
        if found is None:
            found = any(names(rule.ports) for rule in policy.rules(direction))
            self._named[policy, direction] = found
        return found

    def _ruling(self, rule: TierRule, called: Workload | None) -> Ruling:
        named = self._cluster.named(rule.selectors, "") if rule.selectors else 0
        if any(selector.is_everything for selector in rule.nodes):
            named |= self._cluster.everyone & ~self._cluster.pods
        nodes = node_addresses(rule.nodes, self._snapshot) if rule.nodes else NO_ADDRESSES
        return Ruling(
            rule.action, self._opened(rule.ports, called), named, rule.networks, rule.networks | nodes
        )

    def _opened(self, ports: tuple[PolicyPort, ...], called: Workload | None) -> int:
        return self._sets.number(opened(ports, called))
