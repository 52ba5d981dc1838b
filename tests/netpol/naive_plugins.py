"""Naive evaluators of network plugins: one packet at a time, by what their sources do with it.

They share no line with the engine. Cilium gives a packet's other end an identity, and a CIDR names only who
has none. The agent of the AWS VPC CNI fills a table of CIDRs for each pod and takes the longest prefix.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network

from tests.netpol.naive import NaiveCluster, any_port, selects

from istio_netpol.model.addresses import Address
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AnyPeer, Peer, PodsPeer
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import NodeAddresses, Workload


class NaiveCilium(NaiveCluster):
    """ipBlocks match neither pods nor nodes; `matches_nodes` is `policy-cidr-match-mode: nodes`."""

    def __init__(self, objects, matches_nodes: bool = False) -> None:
        super().__init__(objects)
        self._matches_nodes = matches_nodes
        self._peer: Peer | None = None
        self._node_ips = {
            address for node in objects if isinstance(node, NodeAddresses) for address in node.addresses
        }

    def allows(self, subject, direction, peer, called, probe) -> bool:
        self._peer = peer
        return super().allows(subject, direction, peer, called, probe)

    def _is(self, element, policy, pod, address) -> bool:
        if element.ip_block is not None and not self._has_no_identity(address):
            return False
        return super()._is(element, policy, pod, address)

    def _has_no_identity(self, address: Address | None) -> bool:
        if isinstance(self._peer, PodsPeer):
            return self._peer.workload.host_network and self._matches_nodes
        if isinstance(self._peer, AnyPeer) and self._peer.in_cluster:
            return False
        return self._matches_nodes or address not in self._node_ips


@dataclass
class Entry:
    """A line of the table."""

    ports: list
    excepts: list


class NaiveAws:
    """The agent's table for the pods that policies select, in one direction, as it is for one packet."""

    def __init__(self, objects) -> None:
        self.cluster = NaiveCluster(objects)
        self.services = [resource for resource in objects if isinstance(resource, Service)]
        self.workloads = [resource for resource in objects if isinstance(resource, Workload)]

    def passes(
        self,
        subject: Workload,
        direction: Direction,
        peer: Workload | None,
        called: Workload | None,
        packet: tuple[Address, Protocol, int],
        service: Service | None = None,
    ) -> bool:
        """Whether a packet from or to `peer`, or to a Service's own address, passes on one side."""
        policies = self.cluster._selecting(subject, direction)
        if not policies:
            return True
        address, protocol, port = packet
        entries: list[tuple[str, list[str], list]] = []
        for policy in policies:
            for rule in policy.ingress if direction is Direction.INGRESS else policy.egress:
                ports = list(rule.ports) or ["any"]
                if not rule.peers:
                    entries += [("0.0.0.0/0", [], ports), ("::/0", [], ports)]
                for element in rule.peers:
                    host = f"{address}/{address.max_prefixlen}"
                    if element.ip_block is not None:
                        entries.append((element.ip_block.cidr, list(element.ip_block.exceptions), ports))
                    elif service is not None:
                        entries += [
                            (host, [], ports) for ports in self._brought_in(element, policy, rule, service)
                        ]
                    elif (
                        peer is not None
                        and self.cluster._is(element, policy, peer, address)
                        and (not rule.ports or any(_resolves(entry, called) for entry in rule.ports))
                    ):
                        entries.append((host, [], ports))
        found = self._longest(self._table(entries), address)
        return any(
            admitted == "any" or _admits(admitted, None if service else called, protocol, port)
            for admitted in found
        )

    def _table(self, entries) -> dict:
        """Narrower CIDRs take over the ports of wider ones that do not except them; what is excepted and has
        no line gets an empty one."""
        table: dict = {}
        excepted = []
        for cidr, excepts, ports in sorted(entries, key=lambda entry: ip_network(entry[0], False).prefixlen):
            network = ip_network(cidr, strict=False)
            holes = [ip_network(text, strict=False) for text in excepts]
            excepted += holes
            if network not in table:
                table[network] = Entry([], [])
                for wider, entry in table.items():
                    if wider == network or wider.version != network.version:
                        continue
                    if network.network_address in wider and not any(
                        network.network_address in hole for hole in entry.excepts
                    ):
                        table[network].ports += entry.ports
            table[network].ports += ports
            table[network].excepts += holes
        for hole in excepted:
            table.setdefault(hole, Entry([], []))
        return table

    def _longest(self, table, address) -> list:
        around = [network for network in table if network.version == address.version and address in network]
        return table[max(around, key=lambda network: network.prefixlen)].ports if around else []

    def _brought_in(self, element: PolicyPeer, policy: NetworkPolicy, rule, service: Service):
        """The ports at which a selector brings in a Service's address, nothing where it does not."""
        home = service.ref.namespace
        if element.namespace_selector is not None:
            if not selects(element.namespace_selector, self.cluster._labels_of(home)):
                return
        elif home != policy.ref.namespace:
            return
        if element.pod_selector is not None and not selects(element.pod_selector, service.selector or {}):
            return
        if not rule.ports:
            yield ["any"]
            return
        numbers = []
        for service_port in rule.ports:
            if service_port.port is None:
                numbers.append((service_port.protocol, None, None))
            elif (number := self._service_port(service_port, rule.ports, service)) is not None:
                numbers.append((service_port.protocol, number, service_port.end_port))
        if numbers:
            yield numbers

    def _service_port(self, wanted, ports, service: Service) -> int | None:
        backing = [
            pod
            for pod in self.workloads
            if pod.ref.namespace == service.ref.namespace
            and all(pod.labels.get(key) == value for key, value in (service.selector or {}).items())
        ]
        own = [service_port for service_port in service.ports if service_port.protocol == wanted.protocol]
        found = [service_port for service_port in own if service_port.target == wanted.port]
        if not found:
            for pod in backing:
                declared = [
                    service_port
                    for service_port in pod.ports
                    if service_port.protocol == wanted.protocol
                    and wanted.port in (service_port.number, service_port.name)
                ]
                number = declared[0].number if declared else wanted.port
                name = declared[0].name if declared else ""
                found = [
                    service_port
                    for service_port in own
                    if service_port.target == number or (name and service_port.target == name)
                ]
                if found:
                    break
        if not found:
            return None
        if isinstance(wanted.port, int) and isinstance(found[0].target, str):
            for pod in backing:
                named = [
                    service_port.number
                    for service_port in pod.ports
                    if service_port.name == found[0].target and service_port.protocol == wanted.protocol
                ]
                numeric = tuple(
                    service_port for service_port in ports if not isinstance(service_port.port, str)
                )
                if named and (not numeric or not any_port(numeric, None, wanted.protocol, named[0])):
                    return None
        return found[0].port


def _resolves(entry, called: Workload | None) -> bool:
    if not isinstance(entry.port, str):
        return True
    return called is not None and any(
        service_port.name == entry.port and service_port.protocol == entry.protocol
        for service_port in called.ports
    )


def _admits(entry, called, protocol: Protocol, port: int) -> bool:
    if isinstance(entry, tuple):
        of, first, last = entry
        return of == protocol and (
            first is None or port == first or (last is not None and first < port <= last)
        )
    return any_port((entry,), called, protocol, port)
