"""Values of the model in few words, for tests that state a cluster by hand."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from istio_netpol.model.addresses import Address, AddressSet, IpBlock
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AddressPeer
from istio_netpol.model.labels import EVERYTHING, NAMESPACE_NAME_LABEL, Selector
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.workloads import ContainerPort, Namespace, Workload

TCP, UDP, SCTP = Protocol.TCP, Protocol.UDP, Protocol.SCTP
INGRESS, EGRESS = Direction.INGRESS, Direction.EGRESS


def namespace(name: str, **labels: str) -> Namespace:
    return Namespace(ObjectRef("v1", "Namespace", "", name), {NAMESPACE_NAME_LABEL: name, **labels})


def deployment(key: str, *ports: ContainerPort, at: Iterable[str] = (), **labels: str) -> Workload:
    """The Deployment `namespace/name` with pods labelled `app=<name>` unless labels are given."""
    where, _, name = key.partition("/")
    addresses = tuple(ip_address(text) for text in at)
    ref = ObjectRef("apps/v1", "Deployment", where, name)
    return Workload(ref, labels or {"app": name}, ports=ports, addresses=addresses)


def host_daemon(key: str, *ports: ContainerPort, at: Iterable[str] = (), **labels: str) -> Workload:
    """The hostNetwork DaemonSet `namespace/name` on nodes with these addresses."""
    where, _, name = key.partition("/")
    addresses = tuple(ip_address(text) for text in at)
    ref = ObjectRef("apps/v1", "DaemonSet", where, name)
    return Workload(ref, labels or {"app": name}, ports=ports, host_network=True, node_addresses=addresses)


def pods(**labels: str) -> PolicyPeer:
    return PolicyPeer(pod_selector=Selector.of(labels))


def namespaces(**labels: str) -> PolicyPeer:
    return PolicyPeer(namespace_selector=Selector.of(labels))


def block(cidr: str, *exceptions: str) -> PolicyPeer:
    return PolicyPeer(ip_block=IpBlock(cidr, exceptions))


def port(number: int | str | None = None, protocol: Protocol = TCP, end: int | None = None) -> PolicyPort:
    return PolicyPort(protocol, number, end)


def rule(*parts: PolicyPeer | PolicyPort) -> PolicyRule:
    """A rule of these peers and ports."""
    return PolicyRule(
        tuple(part for part in parts if isinstance(part, PolicyPeer)),
        tuple(part for part in parts if isinstance(part, PolicyPort)),
    )


def policy(
    key: str,
    *,
    selects: Selector | dict[str, str] = EVERYTHING,
    types: Iterable[Direction] = (),
    ingress: Iterable[PolicyRule] | None = None,
    egress: Iterable[PolicyRule] | None = None,
) -> NetworkPolicy:
    """The policy `namespace/name`; policyTypes are the directions that have rules, unless they are given."""
    where, _, name = key.partition("/")
    given = {INGRESS: ingress, EGRESS: egress}
    return NetworkPolicy(
        ObjectRef("networking.k8s.io/v1", "NetworkPolicy", where, name),
        selects if isinstance(selects, Selector) else Selector.of(selects),
        frozenset(types) or frozenset(direction for direction, rules in given.items() if rules is not None),
        tuple(ingress or ()),
        tuple(egress or ()),
    )


def deny_all(where: str) -> NetworkPolicy:
    return policy(f"{where}/deny-all", types=(INGRESS, EGRESS))


def address(text: str) -> Address:
    return ip_address(text)


def addresses(*texts: str) -> AddressPeer:
    return AddressPeer(AddressSet.of(*texts))
