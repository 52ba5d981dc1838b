"""The workloads of a snapshot in a fixed order, and the masks of those that the peers of a rule name."""

from __future__ import annotations

from collections.abc import Sequence

from istio_netpol.model.connections import Protocol
from istio_netpol.model.policies import PolicyPeer
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.address_line import WorkloadAddresses
from istio_netpol.netpol.masks import LabelMasks, Mask, positions, union
from istio_netpol.state.network import ClusterNetwork
from istio_netpol.state.snapshot import Snapshot

PortName = tuple[str, Protocol]


class ClusterMasks:
    """Workloads by position, in the order of `namespace/Kind/name`; `pods` are those that selectors mean.
    `outside` stands for everybody who is not a workload."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.workloads = tuple(sorted(snapshot.every_workload(), key=lambda workload: workload.peer_name))
        self.everyone: Mask = (1 << len(self.workloads)) - 1
        self.outside: Mask = 1 << len(self.workloads)
        self.pods: Mask = 0
        self._namespaces: dict[str, Mask] = {}
        for position, workload in enumerate(self.workloads):
            if not workload.host_network:
                bit = 1 << position
                self.pods |= bit
                self._namespaces[workload.namespace] = self._namespaces.get(workload.namespace, 0) | bit
        self._pod_labels = LabelMasks(
            ((1 << position, workload.labels) for position, workload in enumerate(self.workloads)), self.pods
        )
        self._namespace_labels = LabelMasks(
            ((mask, snapshot.namespace(name).labels) for name, mask in self._namespaces.items()), self.pods
        )
        self._by_name: dict[PortName, list[Mask]] = {}
        self.addresses = WorkloadAddresses(
            [
                workload.node_addresses if workload.host_network else workload.addresses
                for workload in self.workloads
            ]
        )

    def named(self, peers: tuple[PolicyPeer, ...], policy_namespace: str) -> Mask:
        """The workloads that a rule admits whatever their address: all if it has no peers, otherwise those
        that it selects."""
        if not peers:
            return self.everyone
        mask: Mask = 0
        for peer in peers:
            if peer.ip_block is None:
                mask |= self._selected(peer, policy_namespace)
        return mask

    def matchable(self, network: ClusterNetwork) -> Mask:
        """The workloads that an ipBlock can match."""
        pods = self.pods if network.model.ip_blocks_match_pods else 0
        hosts = self.everyone & ~self.pods if network.model.ip_blocks_match_nodes else 0
        return pods | hosts

    def _selected(self, peer: PolicyPeer, policy_namespace: str) -> Mask:
        pods = self.pods if peer.pod_selector is None else self._pod_labels.select(peer.pod_selector)
        if peer.namespace_selector is not None:
            return pods & self._namespace_labels.select(peer.namespace_selector)
        return pods & self._namespaces.get(policy_namespace, 0) if peer.pod_selector is not None else 0

    def by_resolution(self, names: Sequence[PortName]) -> list[tuple[Mask, Workload | None]]:
        """The workloads in groups that give port names the same numbers, each with a member that shows them.

        The member is None for those that know none of the names, and for hostNetwork workloads.
        """
        groups: list[tuple[Mask, Workload | None]] = [(self.everyone, None)]
        for name in names:
            alike = self._alike(name)
            groups = [
                (common, self.workloads[next(positions(common))])
                for numbered in alike
                for mask, _ in groups
                if (common := mask & numbered)
            ] + [(rest, shown) for mask, shown in groups if (rest := mask & ~union(alike))]
        return groups

    def _alike(self, name: PortName) -> list[Mask]:
        """The pods that know a port name, in groups that give it the same numbers."""
        known = self._by_name.get(name)
        if known is None:
            numbered: dict[tuple[int, ...], Mask] = {}
            for position in positions(self.pods):
                if numbers := self.workloads[position].named_port(*name):
                    numbered[numbers] = numbered.get(numbers, 0) | 1 << position
            known = self._by_name[name] = list(numbered.values())
        return known
