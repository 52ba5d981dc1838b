"""A second evaluator, straight from the API reference and simple: one packet, one rule, one peer at a time.

It shares the values of the model with the evaluator under test, and not one line of its code. Peers at
several or unknown addresses are tried at every address where some ipBlock or network begins or ends: between
two of those nothing changes. Of the tiers each packet meets one after the other: Admin, NetworkPolicies,
Baseline.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from istio_netpol.model.addresses import Address, AddressSet, IpBlock
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AddressPeer, AnyPeer, Peer, PodsPeer
from istio_netpol.model.labels import Labels, Operator, Selector
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyPort
from istio_netpol.model.tiers import TierPolicy, TierRule
from istio_netpol.model.workloads import Namespace, NodeAddresses, Workload

FIRST = {4: IPv4Address(0), 6: IPv6Address(0)}
LAST = {4: IPv4Address(2**32 - 1), 6: IPv6Address(2**128 - 1)}

PODLESS = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "192.0.0.0/24", "224.0.0.0/4",
            "255.255.255.255/32", "::/127", "::ffff:0:0/96", "fd00:ec2::254/128", "fe80::/10", "ff00::/8",
        ),
    )
)  # fmt: skip
"""Where no pod can be, whatever network plugin gives them their addresses."""


class NaiveCluster:
    """Namespaces' labels and policies, in lists."""

    def __init__(self, objects: Iterable[object]) -> None:
        objects = list(objects)
        self.policies = [resource for resource in objects if isinstance(resource, NetworkPolicy)]
        self.tiers = [resource for resource in objects if isinstance(resource, TierPolicy)]
        self.nodes = [resource for resource in objects if isinstance(resource, NodeAddresses)]
        self.labels = {
            resource.name: resource.labels for resource in objects if isinstance(resource, Namespace)
        }
        landmarks = {*_landmarks((*self.policies, *self.tiers)), *_beside_nodes(self.nodes)}
        self.landmarks = sorted(landmarks, key=lambda landmark: (landmark.version, int(landmark)))

    def isolating(self, subject: Peer, direction: Direction) -> list[str]:
        """The names of the policies that isolate a peer in one direction, sorted."""
        if not isinstance(subject, PodsPeer) or subject.workload.host_network:
            return []
        return sorted(policy.key for policy in self._selecting(subject.workload, direction))

    def allows(
        self, subject: Peer, direction: Direction, peer: Peer, called: Peer, probe: tuple[Protocol, int]
    ) -> bool:
        """Whether one side lets the connection pass."""
        if not isinstance(subject, PodsPeer) or subject.workload.host_network:
            return True
        pod, addresses = self._appearances(peer)
        names = called.workload if isinstance(called, PodsPeer) and not called.workload.host_network else None
        policies = self._selecting(subject.workload, direction)

        any_pods = isinstance(peer, AnyPeer) and peer.in_cluster

        def by_policies(address: Address | None) -> bool:
            return any(
                any_port(rule.ports, names, *probe)
                and (
                    not rule.peers
                    or any(
                        self._is(named, policy, pod, address) or (any_pods and named.ip_block is None)
                        for named in rule.peers
                    )
                )
                for policy in policies
                for rule in (policy.ingress if direction is Direction.INGRESS else policy.egress)
            )

        def outcome(address: Address | None) -> str:
            for tier in ("Admin", "NetworkPolicy", "Baseline"):
                if tier == "NetworkPolicy":
                    if policies:
                        return "open" if by_policies(address) else "closed"
                    continue
                action = self._of_tier(tier, subject.workload, direction, peer, address, names, probe)
                if action in ("Accept", "Deny"):
                    return "open" if action == "Accept" else "denied"
            return "open"

        if addresses != "any" and addresses:
            return all(outcome(address) == "open" for address in addresses)
        if addresses == "any":
            found = {outcome(landmark) for landmark in self.landmarks if landmark.version == 4}
            others = {
                outcome(landmark)
                for landmark in [None, *self.landmarks]
                if landmark is None or landmark.version == 6
            }
            return "open" in found or ("denied" not in found and "open" in others)
        possible = [landmark for landmark in (*self.landmarks, *BESIDE_PODLESS) if not is_podless(landmark)]
        found, others = (
            {outcome(landmark) for landmark in possible if landmark.version == family} for family in (4, 6)
        )
        return found == {"open"} or ("denied" not in found and others == {"open"})

    def _of_tier(
        self,
        tier: str,
        subject: Workload,
        direction: Direction,
        peer: Peer,
        address: Address | None,
        called: Workload | None,
        probe: tuple[Protocol, int],
    ) -> str:
        """What one tier does with a packet: Accept, Deny, Pass, or nothing. Where policies of one priority
        say different things, the one counts that lets least pass."""
        selecting = [
            policy
            for policy in self.tiers
            if str(policy.tier) == tier
            and selects(policy.namespaces, self._labels_of(subject.ref.namespace))
            and selects(policy.pods, subject.labels)
        ]
        for priority in sorted({candidate.priority for candidate in selecting}):
            said = set()
            for policy in (candidate for candidate in selecting if candidate.priority == priority):
                for rule in policy.ingress if direction is Direction.INGRESS else policy.egress:
                    if any_port(rule.ports, called, *probe) and self._matches(rule, peer, address):
                        said.add(str(rule.action))
                        break
            for action in ("Deny", "Pass", "Accept"):
                if action in said:
                    return action
        return ""

    def _matches(self, rule: TierRule, peer: Peer, address: Address | None) -> bool:
        pod = peer.workload if isinstance(peer, PodsPeer) else None
        for element in rule.peers:
            if element.ip_block is not None:
                if address is not None and in_block(address, element.ip_block):
                    return True
            elif (
                pod is not None
                and not pod.host_network
                and selects(element.namespace_selector, self._labels_of(pod.ref.namespace))
                and (element.pod_selector is None or selects(element.pod_selector, pod.labels))
            ):
                return True
        for selector in rule.nodes:
            if pod is not None and not pod.host_network:
                continue
            if pod is not None and selector == Selector():
                return True
            if any(address in node.addresses for node in self.nodes if selects(selector, node.labels)):
                return True
        host = getattr(peer, "host", "")
        return bool(host) and any(
            host == name or (name.startswith("*.") and host.endswith(name[1:])) for name in rule.domain_names
        )

    def _labels_of(self, namespace: str) -> Labels:
        return self.labels.get(namespace, {"kubernetes.io/metadata.name": namespace})

    def _selecting(self, workload: Workload, direction: Direction) -> list[NetworkPolicy]:
        return [
            policy
            for policy in self.policies
            if policy.ref.namespace == workload.ref.namespace
            and direction in policy.policy_types
            and selects(policy.pod_selector, workload.labels)
        ]

    def _appearances(self, peer: Peer) -> tuple[Workload | None, object]:
        """The pod that selectors see, and the addresses to try: a list, or "any" where one will do."""
        if isinstance(peer, PodsPeer):
            workload = peer.workload
            if workload.host_network:
                return None, list(workload.node_addresses)
            return workload, list(workload.addresses)
        if isinstance(peer, AddressPeer):
            ends = [end for low_high in peer.addresses.ranges() for end in low_high]
            return None, ends + [landmark for landmark in self.landmarks if inside(landmark, peer.addresses)]
        return None, "any"

    def _is(
        self, element: PolicyPeer, policy: NetworkPolicy, pod: Workload | None, address: Address | None
    ) -> bool:
        if element.ip_block is not None:
            return address is not None and in_block(address, element.ip_block)
        if pod is None:
            return False
        if element.namespace_selector is not None:
            if not selects(element.namespace_selector, self._labels_of(pod.ref.namespace)):
                return False
        elif pod.ref.namespace != policy.ref.namespace:
            return False
        return element.pod_selector is None or selects(element.pod_selector, pod.labels)


def any_port(ports: tuple[PolicyPort, ...], called: Workload | None, protocol: Protocol, port: int) -> bool:
    """Whether one of the ports of a rule is meant."""
    if len(ports) == 0:
        return True
    for entry in ports:
        if entry.protocol != protocol:
            continue
        if entry.port is None or entry.port == port:
            return True
        if (
            isinstance(entry.port, int)
            and entry.end_port is not None
            and entry.port <= port <= entry.end_port
        ):
            return True
        for container_port in called.ports if called else ():
            if (container_port.name, container_port.number, container_port.protocol) == (
                entry.port,
                port,
                protocol,
            ):
                return True
    return False


def selects(selector: Selector, labels: Labels) -> bool:
    """Whether all that a selector requires holds for the labels."""
    for key, value in selector.match_labels:
        if key not in labels or labels[key] != value:
            return False
    for requirement in selector.match_expressions:
        present = requirement.key in labels
        listed = present and labels[requirement.key] in requirement.values
        holds = {
            Operator.IN: listed,
            Operator.NOT_IN: not listed,
            Operator.EXISTS: present,
            Operator.DOES_NOT_EXIST: not present,
        }
        if not holds[requirement.operator]:
            return False
    return True


def in_block(address: Address, block: IpBlock) -> bool:
    """Whether an address is in the CIDR and in none of the exceptions."""
    return address in ip_network(block.cidr, strict=False) and not any(
        address in ip_network(exception, strict=False) for exception in block.exceptions
    )


def inside(address: Address, addresses: AddressSet) -> bool:
    """Whether an address lies between the ends of a range of the set."""
    return any(
        low.version == address.version and int(low) <= int(address) <= int(high)
        for low, high in addresses.ranges()
    )


def is_podless(address: Address) -> bool:
    """Whether no pod can have an address."""
    return any(address in network for network in PODLESS)


BESIDE_PODLESS = tuple(
    FIRST[network.version] + value
    for network in PODLESS
    for value in (int(network.network_address) - 1, int(network.broadcast_address) + 1)
    if 0 <= value <= int(LAST[network.version])
)
"""The addresses just outside: one at least in each stretch between them."""


def _beside_nodes(nodes: Iterable[NodeAddresses]) -> Iterator[Address]:
    """The addresses of nodes, and those next to them."""
    for node in nodes:
        for address in node.addresses:
            yield from (address - 1, address, address + 1)


def _landmarks(policies: Iterable[NetworkPolicy | TierPolicy]) -> Iterator[Address]:
    """An address in each stretch that the blocks of the policies divide the address space into."""
    yield from (*FIRST.values(), *LAST.values())
    for policy in policies:
        for rule in policy.ingress + policy.egress:
            for peer in rule.peers:
                if peer.ip_block is None:
                    continue
                for cidr in (peer.ip_block.cidr, *peer.ip_block.exceptions):
                    network = ip_network(cidr, strict=False)
                    for value in (
                        int(network.network_address) - 1,
                        int(network.network_address),
                        int(network.broadcast_address),
                        int(network.broadcast_address) + 1,
                    ):
                        if 0 <= value <= int(LAST[network.version]):
                            yield ip_address(FIRST[network.version] + value)
