"""Which addresses a host name may open."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

import pytest

from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.resolution import Resolution, ResolutionStatus
from istio_netpol.model.settings import HostSettings
from istio_netpol.trust.host_policy import HostGate, HostLimits

NO_CLUSTER = AddressSet()


class Answers:
    """A resolver that knows a table of hosts."""

    def __init__(self, table: Mapping[str, str]) -> None:
        self.table = table
        self.asked: list[str] = []

    def resolve(self, host: str, asker: str = "", seconds: float = 0.0) -> Resolution:
        self.asked.append(host)
        if host not in self.table:
            return Resolution(host, (), ResolutionStatus.NOT_FOUND, reason=f"{host} does not exist")
        addresses = tuple(ip_address(text) for text in self.table[host].split())
        return Resolution(host, addresses, ResolutionStatus.RESOLVED, 60)


def gate(
    table: Mapping[str, str], settings: HostSettings | None = None, cluster: AddressSet = NO_CLUSTER
) -> HostGate:
    return HostGate(Answers(table), HostLimits(settings or HostSettings(), lambda: cluster))


def test_a_public_host_has_its_addresses() -> None:
    """A host that resolves to public addresses stands for exactly these."""
    answer = gate({"keys.example": "203.0.114.7 2a00::7"}).addresses("keys.example", "shop")
    assert answer.addresses == AddressSet.of("203.0.114.7", "2a00::7")


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3",
        "127.0.0.1",
        "169.254.169.254",
        "172.20.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fd00::1",
        "fe80::1",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
    ],
)
def test_reserved_addresses_are_refused(address: str) -> None:
    """A host that resolves to a private, reserved or embedded address opens nothing."""
    answer = gate({"evil.example": f"203.0.114.7 {address}"}).addresses("evil.example", "shop")
    assert not answer.addresses
    assert (
        answer.refused
        == f"evil.example resolves to {ip_address(address)}, a private, reserved or cluster address"
    )


def test_the_clusters_own_public_addresses_are_refused() -> None:
    """An API server at a public address can't be opened by giving it a name."""
    answer = gate({"api.example": "203.0.114.9"}, cluster=AddressSet.of("203.0.114.9")).addresses(
        "api.example", "shop"
    )
    assert "a private, reserved or cluster address" in answer.refused


def test_an_administrator_may_permit_a_private_range() -> None:
    """A range in `allowed_private` is not refused."""
    settings = HostSettings(allowed_private=("10.9.0.0/16",))
    assert gate({"keys.corp": "10.9.1.1"}, settings).addresses("keys.corp", "shop").addresses
    assert gate({"keys.corp": "10.8.1.1"}, settings).addresses("keys.corp", "shop").refused


def test_hosts_outside_the_allow_list_are_refused_without_a_query() -> None:
    """A host that no pattern allows is never resolved."""
    answers = Answers({"keys.example": "203.0.114.7"})
    found = HostGate(
        answers, HostLimits(HostSettings(allowed_hosts=("*.corp",)), lambda: NO_CLUSTER)
    ).addresses("keys.example", "shop")
    assert found.refused == "keys.example is not among the hosts that the administrator allows"
    assert answers.asked == []


def test_the_operators_word_is_not_refused() -> None:
    """`known_addresses` replaces DNS, private or not."""
    settings = HostSettings(known_addresses={"keys.corp": ("10.0.0.9",)})
    assert gate({}, settings).addresses("keys.corp", "shop").addresses == AddressSet.of("10.0.0.9")


def test_too_many_addresses_are_refused_as_a_whole() -> None:
    """A host over the cap brings nothing, rather than an arbitrary part."""
    many = " ".join(f"203.0.114.{number}" for number in range(5))
    answer = gate({"big.example": many}, HostSettings(max_addresses_per_host=4)).addresses(
        "big.example", "shop"
    )
    assert answer.refused == "big.example has 5 addresses, more than the 4 that a host may bring"


def test_a_namespace_has_a_budget_of_addresses() -> None:
    """The host that goes over a namespace's cap is refused, another namespace's hosts are not, and asking
    twice costs once."""
    table = {"a.example": "203.0.114.1 203.0.114.2", "b.example": "203.0.114.3"}
    limited = gate(table, HostSettings(max_addresses_per_namespace=2))
    assert limited.addresses("a.example", "shop").addresses
    assert limited.addresses("a.example", "shop").addresses
    assert limited.addresses("b.example", "shop").refused == (
        "with b.example, namespace shop would bring more than 2 addresses"
    )
    assert limited.addresses("b.example", "bank").addresses


def test_a_host_that_does_not_resolve_says_why() -> None:
    """The resolver's sentence is kept."""
    assert gate({}).addresses("gone.example", "shop").unresolved == "gone.example does not exist"


@pytest.mark.parametrize(
    ("addresses", "blocks"),
    [
        (["185.199.108.133", "185.199.109.133", "185.199.110.133", "185.199.111.133"], ["185.199.108.0/22"]),
        (["203.0.114.7"], ["203.0.114.7/32"]),
        (["203.0.114.6", "203.0.114.7"], ["203.0.114.6/31"]),
        (["203.0.114.1", "198.51.101.1"], ["198.51.101.1/32", "203.0.114.1/32"]),
        (["2a00::1", "2a00::2"], ["2a00::/126"]),
        (["2a00::1", "2a01::1"], ["2a00::1/128", "2a01::1/128"]),
    ],
)
def test_addresses_merge_into_small_blocks(addresses: list[str], blocks: list[str]) -> None:
    """Addresses of one host within the widest permitted block become the smallest block that covers them."""
    merged = gate({}).blocks(AddressSet.of(*addresses))
    assert [str(network) for network in merged.networks()] == blocks


def test_a_block_never_covers_a_forbidden_address() -> None:
    """Where the covering block would touch the cluster's own addresses, the addresses stay single."""
    close = gate({}, cluster=AddressSet.of("203.0.114.5")).blocks(AddressSet.of("203.0.114.4", "203.0.114.6"))
    assert [str(network) for network in close.networks()] == ["203.0.114.4/32", "203.0.114.6/32"]


def test_addresses_further_apart_than_the_setting_stay_single() -> None:
    """With a narrower limit, two addresses in different blocks are not merged."""
    narrow = gate({}, HostSettings(widest_ipv4_block=24)).blocks(
        AddressSet.of("185.199.108.133", "185.199.109.133")
    )
    assert [str(network) for network in narrow.networks()] == ["185.199.108.133/32", "185.199.109.133/32"]


# Hosts that administrators name


@pytest.mark.parametrize(
    "address", ["203.0.114.7", "10.1.2.3", "100.64.0.1", "172.20.0.1", "192.168.1.1", "240.1.2.3", "fd00::1"]
)
def test_a_host_of_administrators_may_be_private(address: str) -> None:
    """The API server's name often stands for such an address, and no list of hosts is meant for it."""
    limits = HostSettings(allowed_hosts=("*.example.com",), max_addresses_per_namespace=1)
    found = gate({"api.shoot": f"{address} 203.0.114.9"}, limits)
    assert found.of_administrators("api.shoot", "istio-system").addresses == AddressSet.of(
        address, "203.0.114.9"
    )


def test_a_host_of_administrators_may_be_the_clusters_own() -> None:
    """On AKS the name and the EndpointSlice are one public address."""
    found = gate({"api.shoot": "203.0.114.9"}, cluster=AddressSet.of("203.0.114.9"))
    assert found.of_administrators("api.shoot", "istio-system").addresses == AddressSet.of("203.0.114.9")


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "127.0.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "168.63.129.16",
        "100.100.100.200",
        "::1",
        "fe80::1",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
    ],
)
def test_a_host_of_administrators_is_never_the_platform(address: str) -> None:
    """Whoever answers for DNS opens neither the metadata server nor the machine itself."""
    answer = gate({"api.shoot": f"203.0.114.7 {address}"}).of_administrators("api.shoot", "istio-system")
    assert not answer.addresses
    assert answer.refused == f"api.shoot resolves to {ip_address(address)}, where no API server answers"


def test_a_host_of_administrators_may_not_resolve() -> None:
    """Then the resolver's reason is told; the operator's own word is taken without asking."""
    assert gate({}).of_administrators("api.shoot", "istio-system").unresolved == "api.shoot does not exist"
    known = HostSettings(known_addresses={"api.shoot": ("10.9.8.7",)})
    found = gate({}, known).of_administrators("api.shoot", "istio-system")
    assert found.addresses == AddressSet.of("10.9.8.7")
