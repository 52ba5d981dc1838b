"""How long addresses stay open after DNS named them: with a real name server on loopback."""

from __future__ import annotations

from tests.dns.conftest import Serve, serve
from tests.dns.server import NameServer, Zone

from istio_netpol.controller.address_history import AddressHistory
from istio_netpol.dns.caching import CacheSettings, CachingResolver
from istio_netpol.dns.lookup import LookupSettings
from istio_netpol.model.settings import ControllerSettings, HostSettings, Settings

__all__ = ["serve"]
HOST = "keys.example.com"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def address_history(server: NameServer, clock: Clock, overlap: int = 60, limit: int = 4) -> AddressHistory:
    lookup = LookupSettings(name_servers=(server.address,), query_timeout=10.0, total_timeout=20.0)
    caching = CachingResolver(CacheSettings(lookup, shortest=1, failures=1), clock)
    settings = Settings(
        hosts=HostSettings(max_addresses_per_host=limit),
        controller=ControllerSettings(host_overlap_seconds=overlap),
    )
    return AddressHistory(caching, settings, clock)


def shown(found: AddressHistory) -> list[str]:
    return [str(address) for address in found.resolve(HOST, "team-a").addresses]


def answer(server: NameServer, *addresses: str) -> None:
    server.zone.records[HOST] = {"A": list(addresses), "TTL": 1}


def test_a_host_that_rotates_every_second_keeps_all_its_addresses(serve: Serve) -> None:
    """Whoever fetches keys reaches every address that the host had lately."""
    server, clock = serve(Zone()), Clock()
    found = address_history(server, clock)
    for number in (1, 2, 3):
        answer(server, f"93.184.216.{number}")
        shown(found)
        clock.now += 2
    assert shown(found) == ["93.184.216.1", "93.184.216.2", "93.184.216.3"]
    clock.now += 59
    answer(server, "93.184.216.9")
    assert shown(found) == ["93.184.216.3", "93.184.216.9"]


def test_a_host_brings_no_more_addresses_than_its_cap(serve: Serve) -> None:
    """A host that answers with something new each time does not fill the policies."""
    server, clock = serve(Zone()), Clock()
    found = address_history(server, clock, limit=2)
    for number in range(1, 8):
        answer(server, f"93.184.216.{number}")
        shown(found)
        clock.now += 2
    assert shown(found) == ["93.184.216.6", "93.184.216.7"]


def test_the_last_good_addresses_hold_while_dns_fails(serve: Serve) -> None:
    """Neither a failing name server nor a name that vanished takes addresses away."""
    server, clock = serve(Zone()), Clock()
    found = address_history(server, clock)
    answer(server, "93.184.216.1")
    shown(found)
    for broken in (Zone(failing=frozenset({HOST})), Zone()):
        clock.now += 10_000
        server.zone = broken
        assert shown(found) == ["93.184.216.1"]


def test_an_address_that_is_not_public_is_neither_merged_nor_remembered(serve: Serve) -> None:
    """One forged answer with the metadata address does not refuse the host for the whole overlap."""
    server, clock = serve(Zone()), Clock()
    found = address_history(server, clock)
    for addresses in (["93.184.216.1"], ["169.254.169.254"], ["93.184.216.1"]):
        answer(server, *addresses)
        assert shown(found) == addresses
        clock.now += 2


def test_hosts_are_asked_again_when_their_ttl_is_over(serve: Serve) -> None:
    """A change of addresses is noticed as early as DNS promises."""
    server, clock = serve(Zone()), Clock()
    found = address_history(server, clock)
    assert found.due_at == float("inf")
    answer(server, "93.184.216.1")
    shown(found)
    assert found.due_at == clock.now + 1
