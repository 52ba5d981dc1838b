"""What is kept of DNS's answers, for how long, and for whom."""

from __future__ import annotations

import threading

import pytest
from msgspec.structs import replace
from tests.dns.conftest import Serve
from tests.dns.server import NameServer, Zone

from istio_netpol.dns.caching import CacheSettings, CachingResolver
from istio_netpol.dns.lookup import LookupSettings
from istio_netpol.model.resolution import Resolution, ResolutionStatus

HOST = "keys.example.com"
TEAM = "team-a"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def resolver(
    server: NameServer, clock: Clock, query: float = 10.0, total: float = 20.0, **limits: int
) -> CachingResolver:
    lookup = LookupSettings(name_servers=(server.address,), query_timeout=query, total_timeout=total)
    return CachingResolver(replace(CacheSettings(lookup), **limits), clock)


def zone(*addresses: str, ttl: int = 60) -> Zone:
    return Zone({HOST: {"A": list(addresses), "TTL": ttl}})


def asked(server: NameServer) -> int:
    return server.asked[HOST, "A", "udp"]


def test_answer_is_kept_for_its_ttl(serve: Serve, clock: Clock) -> None:
    """Asked once, whatever the spelling; asked again when its time is over."""
    server = serve(zone("192.0.2.1"))
    found = resolver(server, clock)
    assert found.resolve(HOST, TEAM) == found.resolve("KEYS.example.com.", TEAM)
    clock.now += 59
    found.resolve(HOST, TEAM)
    assert asked(server) == 1
    clock.now += 2
    found.resolve(HOST, TEAM)
    assert asked(server) == 2


@pytest.mark.parametrize(("ttl", "kept"), [(0, 5), (86400, 3600)])
def test_ttl_is_kept_within_limits(serve: Serve, clock: Clock, ttl: int, kept: int) -> None:
    """No TTL makes every review ask, and none keeps an address for days."""
    assert resolver(serve(zone("192.0.2.1", ttl=ttl)), clock).resolve(HOST, TEAM).ttl == kept


def test_failure_is_kept_for_a_while(serve: Serve, clock: Clock) -> None:
    """A host that does not exist is not asked for at every review."""
    server = serve(Zone())
    found = resolver(server, clock)
    assert found.resolve(HOST, TEAM).status is found.resolve(HOST, TEAM).status is ResolutionStatus.NOT_FOUND
    assert asked(server) == 1
    clock.now += 11
    server.zone = zone("192.0.2.1")
    assert found.resolve(HOST, TEAM).status is ResolutionStatus.RESOLVED


def test_old_answer_outlives_a_failing_server(serve: Serve, clock: Clock) -> None:
    """The old addresses stay, the answer says so, and the server is asked again soon."""
    server = serve(zone("192.0.2.1"))
    found = resolver(server, clock)
    fresh = found.resolve(HOST, TEAM)
    server.zone = replace(server.zone, failing=frozenset({HOST}))
    clock.now += 61
    old = found.resolve(HOST, TEAM)
    assert (old.status, old.addresses) == (ResolutionStatus.RESOLVED, fresh.addresses)
    assert old.reason == "these are old addresses, since DNS fails: 127.0.0.1 answers SERVFAIL"
    server.zone = zone("192.0.2.2")
    clock.now += 11
    assert [str(address) for address in found.resolve(HOST, TEAM).addresses] == ["192.0.2.2"]


def test_old_answer_does_not_live_for_ever(serve: Serve, clock: Clock) -> None:
    """After an hour of failures nobody knows any more."""
    server = serve(zone("192.0.2.1"))
    found = resolver(server, clock)
    found.resolve(HOST, TEAM)
    server.zone = replace(server.zone, failing=frozenset({HOST}))
    clock.now += 60 + 3601
    assert found.resolve(HOST, TEAM).status is ResolutionStatus.FAILED


def test_name_that_went_away(serve: Serve, clock: Clock) -> None:
    """NXDOMAIN is an answer: old addresses end with it."""
    server = serve(zone("192.0.2.1"))
    found = resolver(server, clock)
    found.resolve(HOST, TEAM)
    server.zone = Zone()
    clock.now += 61
    assert found.resolve(HOST, TEAM) == Resolution(
        HOST, (), ResolutionStatus.NOT_FOUND, reason="the name does not exist (NXDOMAIN)"
    )


def test_cache_is_bounded(serve: Serve, clock: Clock) -> None:
    """The host that was not asked for longest is forgotten first."""
    server = serve(Zone({f"h{i}": {"A": ["192.0.2.1"]} for i in range(3)}))
    found = resolver(server, clock, capacity=2)
    for host in ("h0", "h1", "h0", "h2", "h0", "h1"):
        found.resolve(host, TEAM)
    counts = [server.asked[f"h{i}", "A", "udp"] for i in range(3)]
    assert counts == [1, 2, 1]


def test_threads_share_a_lookup(serve: Serve, clock: Clock) -> None:
    """Eight reviews that need the same host at the same time ask once, and get the same answer."""
    server = serve(replace(zone("192.0.2.1"), silent=frozenset({HOST})))
    found = resolver(server, clock, 0.1, 0.2)
    answers: list[Resolution] = []
    threads = [threading.Thread(target=lambda: answers.append(found.resolve(HOST, TEAM))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [ResolutionStatus.TIMEOUT] * 8
    assert all(answer is answers[0] for answer in answers)
    assert asked(server) <= 2, "the attempts of one lookup"


@pytest.mark.parametrize("literal", ["192.0.2.7", "2001:db8::7", "[2001:db8::7]"])
def test_addresses_are_their_own_answer(serve: Serve, clock: Clock, literal: str) -> None:
    """An address is not asked for."""
    server = serve(Zone())
    answer = resolver(server, clock).resolve(literal, TEAM)
    assert [str(address) for address in answer.addresses] == [literal.strip("[]")]
    assert not server.asked


def test_without_settings() -> None:
    """The resolver of the command line needs none."""
    assert CachingResolver().resolve("192.0.2.1", TEAM).status is ResolutionStatus.RESOLVED
