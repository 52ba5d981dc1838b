"""One namespace's silent or many hosts take nothing of another's: with a real name server on loopback."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

from msgspec.structs import replace
from tests.dns.conftest import Serve
from tests.dns.server import NameServer, Zone

from istio_netpol.dns.caching import LONGEST_WAIT, CacheSettings, CachingResolver
from istio_netpol.dns.lookup import LookupSettings
from istio_netpol.model.resolution import Resolution, ResolutionStatus
from istio_netpol.shares import Shares

SILENT = [f"silent-{number}.example.com" for number in range(1000)]
KEYS = "keys.example.com"


def zone() -> Zone:
    return Zone({KEYS: {"A": ["192.0.2.1"]}}, silent=frozenset(SILENT))


def resolver(server: NameServer, query: float = 10.0, total: float = 20.0, **limits: int) -> CachingResolver:
    lookup = LookupSettings(name_servers=(server.address,), query_timeout=query, total_timeout=total)
    return CachingResolver(replace(CacheSettings(lookup), **limits))


@contextlib.contextmanager
def threads_in_short_turns() -> Iterator[None]:
    """Lets threads take turns so often that what can come between two lines does."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def test_who_can_take_all_leaves_as_much_again() -> None:
    """However many askers there are, one more finds a place, until there is one for each of many."""
    shares = Shares(32, 4)
    got = [sum(shares.take(f"team-{team}") for _ in range(50)) for team in range(10)]
    assert got == [4, 4, 4, 4, 4, 4, 4, 2, 1, 1]
    shares.give("team-0")
    assert shares.take("team-11")


def test_silent_hosts_of_one_namespace_do_not_delay_another(serve: Serve) -> None:
    """Sixty-four threads that ask for hosts whose name server is silent, and a victim whose host is known to
    DNS: it has its answer before any of theirs ends, and they are not held up longer than they would wait."""
    found = resolver(serve(zone()))
    answers: list[Resolution] = []
    threads = [
        threading.Thread(target=lambda host=host: answers.append(found.resolve(host, "team-a", 0.3)))
        for host in SILENT[:64]
    ]
    for thread in threads:
        thread.start()
    started = time.monotonic()
    assert found.resolve(KEYS, "team-b").status is ResolutionStatus.RESOLVED
    for thread in threads:
        thread.join()
    assert time.monotonic() - started < LONGEST_WAIT - 1
    assert {resolution.status for resolution in answers} == {ResolutionStatus.PENDING}


def test_a_host_that_another_namespace_queues_is_asked_for_at_once(serve: Serve) -> None:
    """Naming the victim's host behind a thousand silent ones does not hold it up."""
    found = resolver(serve(zone()))
    for host in (*SILENT[:100], KEYS):
        assert found.resolve(host, "team-a", 0.0).status is ResolutionStatus.PENDING
    assert found.resolve(KEYS, "team-b").status is ResolutionStatus.RESOLVED
    assert found.resolve(KEYS, "team-a", 0.0).status is ResolutionStatus.RESOLVED


def test_an_answer_that_comes_late_is_kept(serve: Serve) -> None:
    """Who did not wait for it finds it the next time, and nobody asks DNS again: not even who looked into the
    cache just before the answer came."""
    hosts = [f"keys-{number}.example.com" for number in range(300)]
    server = serve(Zone({host: {"A": ["192.0.2.1"]} for host in hosts}))
    found = resolver(server)
    with threads_in_short_turns():
        for host in hosts:
            while (answer := found.resolve(host, "team-a", 0.0)).status is ResolutionStatus.PENDING:
                assert answer.reason == "DNS has not answered yet"
            assert answer.status is ResolutionStatus.RESOLVED
    found.resolve(KEYS, "team-a")
    assert {host: server.asked[host, "A", "udp"] for host in hosts} == dict.fromkeys(hosts, 1)


def test_a_namespace_queues_only_so_many_hosts(serve: Serve) -> None:
    """What one tenant may have waiting is bounded, and said."""
    found = resolver(serve(zone()))
    answers = [found.resolve(host, "team-a", 0.0) for host in SILENT]
    assert answers[-1].reason == (
        "it was not looked up, since 512 other hosts of namespace team-a wait for it"
    )
    assert found.resolve(KEYS, "team-b").status is ResolutionStatus.RESOLVED


def test_known_silence_is_not_waited_for_again(serve: Serve) -> None:
    """A host that was silent costs the next reviews no time, even when it is asked for again: forty of them
    would wait for more than half a minute."""
    server = serve(zone())
    found = resolver(server, 0.5, 1.0, failures=0)
    assert found.resolve(SILENT[0], "team-a").status is ResolutionStatus.TIMEOUT
    started = time.monotonic()
    for _ in range(40):
        assert found.resolve(SILENT[0], "team-a", 0.9).status is ResolutionStatus.TIMEOUT
    assert time.monotonic() - started < 15


def test_thousands_of_hosts_push_out_nobody_elses_answers(serve: Serve) -> None:
    """Each namespace has room of its own in the cache; answers that two hold stay for both."""
    records = {f"h{number}": {"A": ["192.0.2.1"]} for number in range(30)}
    server = serve(Zone({**records, KEYS: {"A": ["192.0.2.1"]}}))
    found = resolver(server, capacity_each=4, capacity=10)
    found.resolve(KEYS, "team-b")
    for host in (KEYS, *records):
        found.resolve(host, "team-a")
    for host in (KEYS, *records):
        found.resolve(host, "team-c")
    assert found.resolve(KEYS, "team-b", 0.0).status is ResolutionStatus.RESOLVED
    assert server.asked[KEYS, "A", "udp"] == 1


def test_the_cache_as_a_whole_is_bounded_by_who_holds_most(serve: Serve) -> None:
    """The room of all is made by the namespace that holds most."""
    records = {f"h{number}": {"A": ["192.0.2.1"]} for number in range(30)}
    server = serve(Zone({**records, KEYS: {"A": ["192.0.2.1"]}}))
    found = resolver(server, capacity_each=100, capacity=10)
    found.resolve(KEYS, "team-b")
    for host in records:
        found.resolve(host, "team-a")
    assert found.resolve(KEYS, "team-b", 0.0).status is ResolutionStatus.RESOLVED
    assert server.asked["h0", "A", "udp"] == 1
    found.resolve("h0", "team-a")
    assert server.asked["h0", "A", "udp"] == 2
