"""Which required flows pass through which rule of a policy."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from msgspec.structs import replace

from istio_netpol.istio.view.gateways import is_egress_gateway, runs_gateway_proxy
from istio_netpol.model.addresses import ALL_ADDRESSES, ALL_IPV4, AddressSet
from istio_netpol.model.flows import AnyPeer
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyRule
from istio_netpol.model.services import DIRECTLY
from istio_netpol.model.verdicts import Judged, Verdict
from istio_netpol.netpol.evaluate import judge
from istio_netpol.state.snapshot import Snapshot


class RuleUses:
    """The required flows of a snapshot by the rules that allow them on one side or both: what is denied on
    the other side is needed all the same."""

    def __init__(self, snapshot: Snapshot, flows: Iterable[Judged]) -> None:
        self.snapshot = snapshot
        self._flows = tuple(flows)

    def of(self, policy: NetworkPolicy, direction: Direction, index: int) -> tuple[Judged, ...]:
        """The flows that a rule allows, alone or among others."""
        return tuple(self._by_rule.get((policy.key, direction, index), ()))

    @cached_property
    def every_address(self) -> AddressSet:
        """All addresses that pods of the cluster may have: IPv6 counts where some pod has one."""
        workloads = self.snapshot.every_workload()
        addresses = (address for pods in workloads for address in pods.addresses + pods.node_addresses)
        return ALL_ADDRESSES if any(address.version == 6 for address in addresses) else ALL_IPV4

    def are_for_anybody(self, policy: NetworkPolicy, direction: Direction) -> bool:
        """Whether all pods that a policy selects need somebody whom no policy can name, as gateways do, also
        before a Gateway says on which ports."""
        pods = self.snapshot.select(policy.namespace, policy.pod_selector)
        return bool(pods) and all(
            (pod.peer_name, direction) in self._for_anybody
            or (direction is Direction.INGRESS and runs_gateway_proxy(pod) and not is_egress_gateway(pod))
            for pod in pods
        )

    @cached_property
    def _for_anybody(self) -> set[tuple[str, Direction]]:
        found: set[tuple[str, Direction]] = set()
        for flow in (judged.flow for judged in self._flows):
            if isinstance(flow.source, AnyPeer):
                found.add((flow.destination.key, Direction.INGRESS))
            if isinstance(flow.destination, AnyPeer):
                found.add((flow.source.key, Direction.EGRESS))
        return found

    @cached_property
    def _by_rule(self) -> dict[tuple[str, Direction, int], list[Judged]]:
        found: dict[tuple[str, Direction, int], list[Judged]] = {}
        for judged in self._flows:
            for direction in Direction:
                for ref in judged.verdict.side(direction).allowed_by:
                    found.setdefault((ref.policy.key, ref.direction, ref.index), []).append(judged)
        return found


def rejudged(judged: Judged, snapshot: Snapshot) -> Verdict:
    """The verdict on a flow under the policies of another snapshot, dialled as it was."""
    flow, how = judged.flow, judged.verdict.egress.dialled or DIRECTLY
    return judge(snapshot, flow.source, flow.destination, flow.protocol, flow.port, dialled=how)


def with_rules(policy: NetworkPolicy, direction: Direction, rules: tuple[PolicyRule, ...]) -> NetworkPolicy:
    """The policy with these rules in one direction."""
    if direction is Direction.INGRESS:
        return replace(policy, ingress=rules)
    return replace(policy, egress=rules)
