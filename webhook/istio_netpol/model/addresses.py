"""A canonical algebra of IP address sets, and the `ipBlock` of a policy.

Invariants of an `AddressSet`: per family, intervals are sorted, disjoint and not adjacent. Addresses are
plain integers.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
    summarize_address_range,
)

from msgspec import Struct

from istio_netpol.model.connections import parse_port
from istio_netpol.model.intervals import Interval, Intervals, canonical, complement, overlap

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

DNS_PORT = 53

_LAST = {4: 2**32 - 1, 6: 2**128 - 1}
_ADDRESS_TYPES: dict[int, type[IPv4Address] | type[IPv6Address]] = {4: IPv4Address, 6: IPv6Address}


class AddressSet(Struct, frozen=True):
    """A set of IPv4 and IPv6 addresses."""

    ipv4: Intervals = ()
    ipv6: Intervals = ()

    @classmethod
    def of(cls, *networks: Network | Address | str) -> AddressSet:
        """The union of networks, single addresses, or their text forms. Raises ValueError for text that is
        neither."""
        families: dict[int, list[Interval]] = {4: [], 6: []}
        for written in networks:
            if isinstance(written, str):
                version, interval = _interval(written)
            elif isinstance(written, IPv4Address | IPv6Address):
                version, interval = written.version, (int(written), int(written))
            else:
                version, interval = written.version, _ends(written)
            families[version].append(interval)
        return cls(canonical(families[4]), canonical(families[6]))

    @classmethod
    def union(cls, sets: Iterable[AddressSet]) -> AddressSet:
        """The addresses in any of the sets; merged once, since a policy may list tens of thousands."""
        ipv4: list[Interval] = []
        ipv6: list[Interval] = []
        for address_set in sets:
            ipv4 += address_set.ipv4
            ipv6 += address_set.ipv6
        return cls(canonical(ipv4), canonical(ipv6))

    @classmethod
    def from_range(cls, version: int, low: int, high: int) -> AddressSet:
        return cls(((low, high),), ()) if version == 4 else cls((), ((low, high),))

    def __bool__(self) -> bool:
        return bool(self.ipv4 or self.ipv6)

    def __or__(self, other: AddressSet) -> AddressSet:
        return AddressSet(canonical(self.ipv4 + other.ipv4), canonical(self.ipv6 + other.ipv6))

    def __and__(self, other: AddressSet) -> AddressSet:
        return AddressSet(overlap(self.ipv4, other.ipv4), overlap(self.ipv6, other.ipv6))

    def __sub__(self, other: AddressSet) -> AddressSet:
        return AddressSet(
            overlap(self.ipv4, complement(other.ipv4, 0, _LAST[4])),
            overlap(self.ipv6, complement(other.ipv6, 0, _LAST[6])),
        )

    def __le__(self, other: AddressSet) -> bool:
        return _is_within(self.ipv4, other.ipv4) and _is_within(self.ipv6, other.ipv6)

    @property
    def single(self) -> Address | None:
        """The address, where it is the only one."""
        intervals = self.ipv4 + self.ipv6
        if len(intervals) != 1 or intervals[0][0] != intervals[0][1]:
            return None
        return _ADDRESS_TYPES[4 if self.ipv4 else 6](intervals[0][0])

    def contains(self, address: Address) -> bool:
        value = int(address)
        intervals = self.ipv4 if address.version == 4 else self.ipv6
        place = bisect_right(intervals, (value, _LAST[6]))
        return place > 0 and value <= intervals[place - 1][1]

    def ranges(self) -> Iterator[tuple[Address, Address]]:
        """First and last address of each maximal range, IPv4 before IPv6."""
        for version, intervals in ((4, self.ipv4), (6, self.ipv6)):
            make = _ADDRESS_TYPES[version]
            for low, high in intervals:
                yield make(low), make(high)

    @property
    def cidr_count(self) -> int:
        """How many CIDRs cover this set: how long a policy for it gets."""
        return sum(1 for intervals in (self.ipv4, self.ipv6) for _ in _aligned(intervals))

    def cidrs(self) -> Iterator[str]:
        """The fewest CIDRs that cover exactly this set, as text. IPv4 avoids the objects of `ipaddress`, of
        which tens of thousands take a second."""
        for low, bits in _aligned(self.ipv4):
            yield f"{low >> 24}.{low >> 16 & 255}.{low >> 8 & 255}.{low & 255}/{32 - bits}"
        for low, bits in _aligned(self.ipv6):
            yield f"{IPv6Address(low)}/{128 - bits}"

    def networks(self) -> Iterator[Network]:
        """The fewest CIDRs that cover exactly this set."""
        for low, high in self.ranges():
            yield from summarize_address_range(low, high)


def _is_within(inner: Intervals, outer: Intervals) -> bool:
    """Whether each interval lies in one of others; looks into few of these, as both are canonical."""
    for low, high in inner:
        place = bisect_right(outer, (low, _LAST[6]))
        if place == 0 or outer[place - 1][1] < high:
            return False
    return True


def _aligned(intervals: Intervals) -> Iterator[tuple[int, int]]:
    """The fewest blocks of a power of two that cover intervals, as the first address of each and how many of
    its bits are free."""
    for first, high in intervals:
        low = first
        while low <= high:
            size = (high - low + 1).bit_length() - 1
            bits = min((low & -low).bit_length() - 1, size) if low else size
            yield low, bits
            low += 1 << bits


NO_ADDRESSES = AddressSet()
ALL_IPV4 = AddressSet(((0, _LAST[4]),), ())
ALL_IPV6 = AddressSet((), ((0, _LAST[6]),))
ALL_ADDRESSES = ALL_IPV4 | ALL_IPV6


class IpBlock(Struct, frozen=True):
    """`cidr` minus every `except`, in the words of the policy's author (host bits are kept as written), by
    which alone blocks are equal."""

    cidr: str
    exceptions: tuple[str, ...] = ()
    known: AddressSet | None = None
    """The addresses, where they are worked out already."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IpBlock) and self.cidr == other.cidr and self.exceptions == other.exceptions

    def __hash__(self) -> int:
        return hash((self.cidr, self.exceptions))

    def __repr__(self) -> str:
        return f"IpBlock(cidr={self.cidr!r}, exceptions={self.exceptions!r})"

    @property
    def addresses(self) -> AddressSet:
        return self.known if self.known is not None else _block_addresses(self.cidr, self.exceptions)


_OCTETS = {str(number): number for number in range(256)}
_BITS = {str(bits): bits for bits in range(33)}
"""What octets and prefixes spell, read from a table: an object may list tens of thousands of addresses."""

_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4_CIDRS = re.compile(rf"^{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}/(3[0-2]|[12]?[0-9])$", re.MULTILINE)


def _ipv4_interval(text: str) -> Interval | None:
    """The first and last address of an IPv4 address or CIDR in its usual spelling; None for any other text,
    even if it spells one in another way."""
    address, slash, prefix = text.partition("/")
    try:
        first, second, third, fourth = address.split(".")
        value = _OCTETS[first] << 24 | _OCTETS[second] << 16 | _OCTETS[third] << 8 | _OCTETS[fourth]
        wild = (1 << 32 - (_BITS[prefix] if slash else 32)) - 1
    except (ValueError, KeyError):
        return None
    return value & ~wild, value | wild


def _interval(text: str) -> tuple[int, Interval]:
    """The family of an address or CIDR, and its first and last address. Raises ValueError for any other
    text."""
    ipv4 = _ipv4_interval(text)
    if ipv4 is not None:
        return 4, ipv4
    network = parse_cidr(text)
    return network.version, _ends(network)


def parse_cidr(text: str) -> Network:
    """The CIDR or address that the text spells; bits after the prefix are ignored. Raises ValueError for any
    other text."""
    # A colon is IPv6's: what only reads both tries IPv4 first, which takes as long again.
    return IPv6Network(text, strict=False) if ":" in text else ip_network(text, strict=False)


def _ends(network: Network) -> Interval:
    low = int(network.network_address)
    return low, low | (1 << network.max_prefixlen - network.prefixlen) - 1


def _bounds(first: str, second: str, third: str, fourth: str, prefix: str) -> Interval:
    value = int(first) << 24 | int(second) << 16 | int(third) << 8 | int(fourth)
    wild = (1 << 32 - int(prefix)) - 1
    return value & ~wild, value | wild


def ipv4_exceptions(cidr: str, exceptions: Sequence[str]) -> AddressSet | None:
    """An IPv4 CIDR without smaller ones within it. None unless all are in their usual spelling and within it.
    Fast, since a policy may list a hundred thousand."""
    whole = _ipv4_interval(cidr) if "/" in cidr else None
    if whole is None:
        return None
    lines = "\n".join(exceptions)
    spelled = _IPV4_CIDRS.findall(lines)
    if len(spelled) != len(exceptions) or lines.count("\n") != max(0, len(exceptions) - 1):
        return None
    parts = [_bounds(*part) for part in spelled]
    if not all(whole[0] <= low <= high <= whole[1] and (low, high) != whole for low, high in parts):
        return None
    return AddressSet((whole,)) - AddressSet(canonical(parts))


@lru_cache(maxsize=65536)
def _block_addresses(cidr: str, exceptions: tuple[str, ...]) -> AddressSet:
    return AddressSet.of(cidr) - AddressSet.of(*exceptions)


def parse_endpoint(text: str, port: int) -> tuple[Address, int] | None:
    """The address and port that the text spells, or None: `10.0.0.1`, `10.0.0.1:5353`, `::1`, `[::1]:5353`.
    Without a port it is `port`."""
    host, colon, written = text.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        host, written = text, str(port)
    number, address = parse_port(written), parse_address(host)
    return (address, number) if address is not None and number is not None else None


def parse_host_port(text: str) -> tuple[str, int] | None:
    """The host, without brackets, and the port of `host:port`, or None: `istiod.istio-system:15012`,
    `[::1]:15012`."""
    host, _, written = text.rpartition(":")
    number, host = parse_port(written), host.removeprefix("[").removesuffix("]")
    return (host, number) if host and number is not None else None


def parse_networks(texts: Iterable[str]) -> tuple[AddressSet, tuple[str, ...]]:
    """The union of the addresses and CIDRs that texts spell, and the texts that spell neither."""
    families: dict[int, list[Interval]] = {4: [], 6: []}
    unreadable: list[str] = []
    for text in texts:
        try:
            version, interval = _interval(text if "%" not in text else "")
        except ValueError:
            unreadable.append(text)
        else:
            families[version].append(interval)
    return AddressSet(canonical(families[4]), canonical(families[6])), tuple(unreadable)


def parse_network(text: str) -> Network | None:
    """The CIDR or address that the text spells, or None. Bits after the prefix are ignored; Kubernetes knows
    no zones (`fe80::1%eth0`)."""
    try:
        return parse_cidr(text) if "%" not in text else None
    except ValueError:
        return None


def is_network(text: str) -> bool:
    """Whether the text spells a CIDR or an address."""
    return _ipv4_interval(text) is not None or parse_network(text) is not None


def parse_address(text: str) -> Address | None:
    """The address that the text spells, or None: `10.0.0.1`, `::1`, `[::1]`. Kubernetes knows no zones
    (`fe80::1%eth0`)."""
    if "%" in text:
        return None
    bare = text.removeprefix("[").removesuffix("]")
    ipv4 = _ipv4_interval(bare) if "/" not in bare else None
    if ipv4 is not None:
        return IPv4Address(ipv4[0])
    try:
        return IPv6Address(bare) if ":" in bare else None
    except ValueError:
        return None
