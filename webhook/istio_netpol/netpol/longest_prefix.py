"""Finds the rules that admit a peer where all rules of a pod share their exceptions; see
`shared_exceptions.py`."""

from __future__ import annotations

from collections.abc import Iterable

from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.flows import AddressPeer, PodsPeer
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.verdicts import RuleRef
from istio_netpol.netpol.ip_blocks import matchable
from istio_netpol.netpol.peers import names_pod
from istio_netpol.netpol.ports import admits_port, opened
from istio_netpol.netpol.shared_exceptions import Region, has_exceptions, regions, rules_at
from istio_netpol.netpol.tiers import ConnectionEnd

Admitting = tuple[list[RuleRef], list[tuple[RuleRef, AddressSet]]]
"""The rules that admit a peer by selectors, and the rules that admit addresses, with these."""


def shares_exceptions(isolated_by: tuple[NetworkPolicy, ...], connection: ConnectionEnd) -> bool:
    """Whether a table of longest prefixes says which rules admit the peer."""
    return (
        connection.snapshot.network.judges_before
        and isinstance(connection.peer, AddressPeer | PodsPeer)
        and has_exceptions(isolated_by, connection.direction)
    )


def by_longest_prefix(
    isolated_by: tuple[NetworkPolicy, ...], connection: ConnectionEnd, has_entry: bool
) -> Admitting:
    """The rules whose selectors admit the peer, and those to whose ports the table leads, with the addresses
    at which it does. `has_entry` says that the peer's address has an entry of its own, as a pod's has that
    some selector names, on whichever port."""
    naming = [ref for ref in refs_of(isolated_by, connection.direction) if _names(ref, connection)]
    found: dict[RuleRef, list[AddressSet]] = {}
    for addresses, refs in _table(isolated_by, connection, has_entry or bool(naming)):
        for ref in refs:
            if _has_port(ref, connection):
                found.setdefault(ref, []).append(addresses)
    by_address = [
        (ref, matchable(AddressSet.union(parts), connection.peer, connection.snapshot))
        for ref, parts in found.items()
    ]
    return [ref for ref in naming if _has_port(ref, connection)], by_address


def refs_of(policies: tuple[NetworkPolicy, ...], direction: Direction) -> list[RuleRef]:
    """All rules of some policies in a direction."""
    return [
        RuleRef(policy, direction, index)
        for policy in policies
        for index in range(len(policy.rules(direction)))
    ]


def _table(
    isolated_by: tuple[NetworkPolicy, ...], connection: ConnectionEnd, has_entry: bool
) -> Iterable[Region]:
    """Addresses and the rules that count there. Where a peer with an entry of its own is, may not be known;
    then what counts without one is the least that does."""
    direction, addresses = connection.direction, connection.addresses
    if not (has_entry and addresses and connection.is_located):
        return regions(isolated_by, direction)
    places = [
        type(low)(value) for low, high in addresses.ranges() for value in range(int(low), int(high) + 1)
    ]
    return [(AddressSet.of(place), rules_at(isolated_by, direction, place)) for place in places]


def _names(ref: RuleRef, connection: ConnectionEnd) -> bool:
    pod = connection.pod
    return (
        pod is not None
        and bool(opened(ref.rule.ports, connection.called))
        and any(
            names_pod(peer, ref.policy.namespace, pod, connection.snapshot) for peer in ref.rule.selectors
        )
    )


def _has_port(ref: RuleRef, connection: ConnectionEnd) -> bool:
    return admits_port(ref.rule.ports, connection.called, connection.protocol, connection.port)
