"""Parts of a policy that do nothing, or not what is written: peers, addresses and port names that match
nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.addresses import Address, AddressSet, parse_address
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.flows import AddressPeer, PodsPeer
from istio_netpol.model.labels import EVERYTHING, NAMESPACE_NAME_LABEL, Selector
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyRule
from istio_netpol.model.services import Service
from istio_netpol.model.settings import Translation
from istio_netpol.model.verdicts import Judged
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.peers import names_pod
from istio_netpol.platforms.network_model import NetworkModel
from istio_netpol.policy_lint.breadth import PRIVATE_RANGES, far_end, is_dns
from istio_netpol.policy_lint.rule_uses import RuleUses
from istio_netpol.remedies.pod_selector import selector_of
from istio_netpol.state.snapshot import Snapshot

SMALL_BLOCK = 256
"""Addresses of a block of which each is looked at."""

PROXY_PORT_NAMES = frozenset({"http-envoy-prom"})
"""Names of ports that injection adds to pods (Istio 1.32, `injection-template.yaml`)."""

PRIVATE_ADDRESSES = AddressSet.union(addresses for _, addresses in PRIVATE_RANGES)


class AddressBook:
    """Which Service or pods of a snapshot have an address, and how the network plugin judges it. Pods of the
    host network have the nodes'."""

    def __init__(self, snapshot: Snapshot, model: NetworkModel) -> None:
        self.snapshot = snapshot
        self.model = model

    def services_in(self, addresses: AddressSet) -> list[tuple[Address, Service]]:
        """The Services whose ClusterIP is one of a few addresses."""
        return [
            (address, self._services[address]) for address in _each(addresses) if address in self._services
        ]

    def pods_in(self, addresses: AddressSet) -> list[tuple[Address, Workload]]:
        """The pods that have one of a few addresses."""
        return [(address, self._pods[address]) for address in _each(addresses) if address in self._pods]

    @cached_property
    def _pods(self) -> dict[Address, Workload]:
        return {
            address: workload
            for workload in self.snapshot.every_workload()
            if not workload.host_network
            for address in workload.addresses
        }

    @cached_property
    def _services(self) -> dict[Address, Service]:
        return {
            address: service
            for service in self.snapshot.every(Service)
            for text in service.cluster_ips
            if (address := parse_address(text)) is not None
        }


def _each(addresses: AddressSet) -> Iterator[Address]:
    """The addresses one by one, where they are few."""
    for low, high in addresses.ranges():
        if int(high) - int(low) < SMALL_BLOCK:
            yield from (low + offset for offset in range(int(high) - int(low) + 1))


def dead_peers(
    policy: NetworkPolicy, direction: Direction, index: int, uses: RuleUses, view: MeshView
) -> Iterator[tuple[int, str]]:
    """The peers of a rule that match nothing, by number, and what there is to say of each. Those by which a
    required flow passes do match."""
    flows = uses.of(policy, direction, index)
    for number, peer in enumerate(policy.rules(direction)[index].peers):
        if peer.ip_block is None and not _is_used(peer, policy.namespace, direction, flows, uses.snapshot):
            clause = _names_nothing(peer, policy.namespace, uses.snapshot, view)
            if clause:
                yield number, clause


def of_rule(
    policy: NetworkPolicy,
    direction: Direction,
    index: int,
    dead: Iterable[tuple[int, str]],
    uses: RuleUses,
    book: AddressBook,
) -> Iterator[Finding]:
    """What of a rule does nothing: its dead peers, ClusterIPs, and port names that no pod has."""
    rule = policy.rules(direction)[index]
    place = f"spec.{direction.lower()}[{index}]"
    side = "from" if direction is Direction.INGRESS else "to"
    for number, clause in dead:
        path = f"{place}.{side}[{number}]"
        message = f"{policy.ref}: {path} {clause}"
        yield Finding(Issue.POLICY_SELECTS_NOTHING, Severity.INFO, policy.ref, message, field=path)
    for number, peer in enumerate(rule.peers):
        if peer.ip_block is not None:
            path, addresses = f"{place}.{side}[{number}]", peer.ip_block.addresses
            yield from _pod_address(policy, addresses, path, book)
            if direction is Direction.EGRESS and not _is_dialled(addresses, policy, index, uses, book):
                yield from _cluster_ip(policy, rule, addresses, path, book)
    yield from _port_names(policy, direction, rule, place, uses.snapshot)


def _is_dialled(
    addresses: AddressSet, policy: NetworkPolicy, index: int, uses: RuleUses, book: AddressBook
) -> bool:
    """Whether policies see these addresses as they are dialled: with a plugin that judges before translation
    all of them, else what a required flow ends at, such as a ClusterIP at which node-local-dns answers."""
    if book.model.judges is Translation.BEFORE:
        return True
    ends = (far_end(judged, Direction.EGRESS) for judged in uses.of(policy, Direction.EGRESS, index))
    return any(isinstance(end, AddressPeer) and end.addresses <= addresses for end in ends)


def _is_used(
    peer: PolicyPeer, namespace: str, direction: Direction, flows: Iterable[Judged], snapshot: Snapshot
) -> bool:
    """Whether a required flow passes by this peer; its pods may be assumed ones."""
    ends = (far_end(judged, direction) for judged in flows)
    return any(
        isinstance(end, PodsPeer) and names_pod(peer, namespace, end.workload, snapshot) for end in ends
    )


def _names_nothing(peer: PolicyPeer, namespace: str, snapshot: Snapshot, view: MeshView) -> str:
    """The sentence about a peer that matches no pod; empty where some pod matches, or where that can't be
    told because the pods of its namespaces were not read."""
    names = [namespace]
    if peer.namespace_selector is not None:
        if not any(_needed_keys(peer.namespace_selector)) and not _is_whole(snapshot):
            return ""
        names = sorted(snapshot.select_namespaces(peer.namespace_selector))
        if not names:
            return _selects_no_namespace(peer.namespace_selector, snapshot)
    pods = peer.pod_selector or EVERYTHING
    if any(snapshot.select(name, pods) for name in names) or not any(map(snapshot.workloads, names)):
        return ""
    to_come = (workload for name in names for workload in view.predicted_workloads(name))
    if any(pods.matches(workload.labels) for workload in to_come):
        return ""
    where = f"namespace {names[0]}" if len(names) == 1 else f"the {len(names)} namespaces that it selects"
    hint = "; a podSelector alone means pods of the policy's own namespace"
    return f"matches no workload of {where}" + (hint if peer.namespace_selector is None else "")


def _selects_no_namespace(selector: Selector, snapshot: Snapshot) -> str:
    """A namespace that was not read is not missed by its name alone: the input may be a part of the cluster.
    Where the labels of namespaces were read, a label that none of them has is suspicious."""
    foreign = [key for key in _needed_keys(selector) if key != NAMESPACE_NAME_LABEL]
    if foreign and any(snapshot.namespace(name).declared for name in snapshot.namespace_names):
        return (
            f"selects no namespace that was read, since none has this label {foreign[0]}; the label that "
            f"every namespace has is {NAMESPACE_NAME_LABEL}"
        )
    wanted = [value for key, value in selector.match_labels if key == NAMESPACE_NAME_LABEL]
    if wanted and _is_whole(snapshot):
        return f"selects namespace {wanted[0]}, which is not there"
    return ""


def _needed_keys(selector: Selector) -> Iterator[str]:
    """The labels that a namespace must have."""
    yield from (key for key, _ in selector.match_labels)
    yield from (requirement.key for requirement in selector.match_expressions if requirement.needs_key)


def _is_whole(snapshot: Snapshot) -> bool:
    """Whether the input is a whole cluster: nobody writes the Namespace that the API server makes itself."""
    return snapshot.namespace("kube-system").declared


def _pod_address(
    policy: NetworkPolicy, addresses: AddressSet, path: str, book: AddressBook
) -> Iterator[Finding]:
    """An address of a pod goes to another one when the pod is replaced, and some plugins never compare it."""
    for address, workload in book.pods_in(addresses)[:1]:
        selector = selector_of(workload, book.snapshot)
        labels = _selected_by(workload.namespace, dict(selector.match_labels if selector else ()))
        message = (
            f"{policy.ref}: {path} names {address}, an address of {workload.ref}; it changes with the pod, "
            f"and some network plugins don't compare it: name the pods by {labels}"
        )
        yield Finding(Issue.IP_BLOCK_FOR_PODS, Severity.WARNING, policy.ref, message, field=path)


def _selected_by(namespace: str, labels: Mapping[str, str]) -> str:
    written = ", ".join(f"{key}: {value}" for key, value in sorted(labels.items()))
    return f"namespaceSelector {{{NAMESPACE_NAME_LABEL}: {namespace}}} and podSelector {{{written}}}"


def _cluster_ip(
    policy: NetworkPolicy, rule: PolicyRule, addresses: AddressSet, path: str, book: AddressBook
) -> Iterator[Finding]:
    """Policies see a packet after its ClusterIP was replaced by a pod's address, on most network plugins."""
    services = book.services_in(addresses)
    if services:
        address, service = services[0]
        message = (
            f"{policy.ref}: {path} names {address}, the ClusterIP of {service.ref}; most network plugins ask "
            f"policies about the endpoint behind it, so this opens nothing: {_instead_of(service)}"
        )
        yield Finding(Issue.IP_BLOCK_FOR_PODS, Severity.WARNING, policy.ref, message, field=path)
    elif _may_be_cluster_dns(rule, addresses):
        message = (
            f"{policy.ref}: {path} names one private address for DNS; if it is the ClusterIP of cluster DNS, "
            "this opens nothing, since policies see the pods behind it: name them by namespaceSelector and "
            "podSelector"
        )
        yield Finding(Issue.IP_BLOCK_FOR_PODS, Severity.INFO, policy.ref, message, field=path)


def _instead_of(service: Service) -> str:
    """How to name what is behind a ClusterIP."""
    if not service.selector:
        return "name the addresses of its endpoints, and their port"
    return f"name its pods by {_selected_by(service.namespace, service.selector)}, and their own port"


def _may_be_cluster_dns(rule: PolicyRule, addresses: AddressSet) -> bool:
    is_one = sum(high - low + 1 for low, high in addresses.ipv4 + addresses.ipv6) == 1
    return is_one and bool(rule.ports) and all(map(is_dns, rule.ports)) and addresses <= PRIVATE_ADDRESSES


def _port_names(
    policy: NetworkPolicy, direction: Direction, rule: PolicyRule, place: str, snapshot: Snapshot
) -> Iterator[Finding]:
    """Port names that none of the pods called through the rule has."""
    called = _called(policy, direction, rule, snapshot) if any(_is_name(p.port) for p in rule.ports) else ()
    for number, port in enumerate(rule.ports):
        if not isinstance(port.port, str) or not called or port.port in PROXY_PORT_NAMES:
            continue
        if any(workload.named_port(port.port, port.protocol) for workload in called):
            continue
        path = f"{place}.ports[{number}].port"
        known = sorted(
            {
                container_port.name
                for workload in called
                for container_port in workload.ports
                if container_port.name
            }
        )
        names = f"they name {', '.join(known[:5])}" if known else "they name no ports"
        whose = "the pods that the policy selects" if direction is Direction.INGRESS else "the pods called"
        message = (
            f"{policy.ref}: {path} {port.port!r} names no {port.protocol} port of {whose}, so it "
            f"opens nothing: {names}; use a name of theirs or a number"
        )
        yield Finding(Issue.POLICY_SELECTS_NOTHING, Severity.WARNING, policy.ref, message, field=path)


def _is_name(port: int | str | None) -> bool:
    return isinstance(port, str)


def _called(
    policy: NetworkPolicy, direction: Direction, rule: PolicyRule, snapshot: Snapshot
) -> Sequence[Workload]:
    """The pods whose ports are meant, as far as they were read."""
    if direction is Direction.INGRESS:
        return snapshot.select(policy.namespace, policy.pod_selector)
    found: list[Workload] = []
    for peer in rule.selectors:
        names = [policy.namespace]
        if peer.namespace_selector is not None:
            names = sorted(snapshot.select_namespaces(peer.namespace_selector))
        found += [
            workload for name in names for workload in snapshot.select(name, peer.pod_selector or EVERYTHING)
        ]
    return found
