"""What ipBlocks open where all rules of a pod share one table of longest prefixes.

The agent of the AWS VPC CNI keeps one for each pod and direction. A CIDR there has the ports of its own rules
and of the wider CIDRs around it, but of those that except it. What is excepted somewhere, and named nowhere,
is an entry without ports: as the longest prefix it hides every wider rule, those of other policies and those
without peers included (aws/aws-network-policy-agent v1.4.1, pkg/fwruleprocessor/fw_rule_processor.go,
ComputeMapEntriesFromEndpointRules; aws/amazon-network-policy-controller-k8s#146).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import ip_network
from itertools import chain

from msgspec import Struct, field

from istio_netpol.model.addresses import Address, AddressSet, IpBlock, Network
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyRule
from istio_netpol.model.verdicts import RuleRef

ALL_BLOCKS = (IpBlock("0.0.0.0/0"), IpBlock("::/0"))
"""What a rule without peers is in the table."""

Region = tuple[AddressSet, tuple[RuleRef, ...]]
"""Addresses with the same longest prefix, and the rules whose ports it has."""

_CidrKey = tuple[int, int, int]
"""Of a CIDR: the version of its addresses, the length of its prefix, the number of its first address."""

_BITS = {4: 32, 6: 128}


class _PrefixEntry(Struct):
    """A prefix of the table: the rules that have ports there, and what they except of it."""

    rules: list[RuleRef] = field(default_factory=list)
    exceptions: list[_CidrKey] = field(default_factory=list)


def has_exceptions(policies: Sequence[NetworkPolicy], direction: Direction) -> bool:
    """Whether a rule of these policies excepts anything: without that, a table opens what its rules open."""
    rules = chain.from_iterable(policy.rules(direction) for policy in policies)
    return any(block.exceptions for rule in rules for block in rule.blocks)


@lru_cache(maxsize=256)
def regions(policies: tuple[NetworkPolicy, ...], direction: Direction) -> tuple[Region, ...]:
    """The table of pods that these policies isolate in a direction, without entries for single peers."""
    table, excepted = _table(policies, direction)
    hidden = {key: _PrefixEntry() for key in excepted - table.keys()}
    return tuple(_regions({**table, **hidden}))


def rules_at(
    policies: tuple[NetworkPolicy, ...], direction: Direction, address: Address
) -> tuple[RuleRef, ...]:
    """The rules with ipBlocks, or without peers, whose ports an address has that a selector gave an entry of
    its own: it takes them from the CIDRs around it, but of those that except it."""
    table, _ = _table(policies, direction)
    key = (address.version, address.max_prefixlen, int(address))
    own = table.get(key)
    found = own.rules if own else [rule for wider in _passing_on(key, table) for rule in wider.rules]
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=256)
def _table(
    policies: tuple[NetworkPolicy, ...], direction: Direction
) -> tuple[dict[_CidrKey, _PrefixEntry], set[_CidrKey]]:
    """The entries that rules name, and all that is excepted of any."""
    table: dict[_CidrKey, _PrefixEntry] = {}
    excepted: set[_CidrKey] = set()
    for ref, block in _named(policies, direction):
        entry = table.setdefault(_key(block.cidr), _PrefixEntry())
        entry.rules.append(ref)
        exceptions = [_key(cidr) for cidr in block.exceptions]
        entry.exceptions += exceptions
        excepted.update(exceptions)
    for key in sorted(table):
        for wider in _passing_on(key, table):
            table[key].rules += wider.rules
    return table, excepted


def _passing_on(key: _CidrKey, table: dict[_CidrKey, _PrefixEntry]) -> Iterator[_PrefixEntry]:
    """The entries around a prefix that do not except where it begins: their ports are its ports too."""
    for wider in _wider(key, table):
        if not any(_contains(exception, key) for exception in wider.exceptions):
            yield wider


def _named(policies: Sequence[NetworkPolicy], direction: Direction) -> Iterator[tuple[RuleRef, IpBlock]]:
    for policy in policies:
        for index, rule in enumerate(policy.rules(direction)):
            for block in _blocks(rule):
                yield RuleRef(policy, direction, index), block


def _blocks(rule: PolicyRule) -> tuple[IpBlock, ...]:
    return rule.blocks if rule.peers else ALL_BLOCKS


def _key(cidr: str) -> _CidrKey:
    network: Network = ip_network(cidr, strict=False)
    return network.version, network.prefixlen, int(network.network_address)


def _wider(key: _CidrKey, table: dict[_CidrKey, _PrefixEntry]) -> Iterator[_PrefixEntry]:
    """The entries around a prefix, from the widest."""
    version, length, first = key
    for shorter in range(length):
        rest = _BITS[version] - shorter
        if (entry := table.get((version, shorter, first >> rest << rest))) is not None:
            yield entry


def _contains(wider: _CidrKey, key: _CidrKey) -> bool:
    rest = _BITS[wider[0]] - wider[1]
    return wider[0] == key[0] and key[2] >> rest == wider[2] >> rest


def _regions(table: dict[_CidrKey, _PrefixEntry]) -> Iterator[Region]:
    """Each prefix without the longer ones within it."""
    within: dict[_CidrKey, list[AddressSet]] = {key: [] for key in table}
    around: list[_CidrKey] = []
    for key in sorted(table, key=lambda key: (key[0], key[2], key[1])):
        while around and not _contains(around[-1], key):
            around.pop()
        if around:
            within[around[-1]].append(_addresses(key))
        around.append(key)
    for key, entry in table.items():
        yield _addresses(key) - AddressSet.union(within[key]), tuple(dict.fromkeys(entry.rules))


def _addresses(key: _CidrKey) -> AddressSet:
    version, length, first = key
    return AddressSet.from_range(version, first, first + (1 << _BITS[version] - length) - 1)
