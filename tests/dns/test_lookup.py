"""One lookup against real name servers on loopback."""

from __future__ import annotations

import time

import pytest
from msgspec.structs import replace
from tests.dns.conftest import Serve
from tests.dns.server import NameServer, Zone
from tests.waiting import wait_until

from istio_netpol.dns import lookup
from istio_netpol.dns.lookup import Lookup, LookupSettings
from istio_netpol.model.resolution import Resolution, ResolutionStatus

LIMITS = LookupSettings(query_timeout=10.0, total_timeout=30.0)
HASTY = LookupSettings(query_timeout=0.3, total_timeout=30.0, attempts=30)
"""Where a server keeps silent: the other one, or the other family, has thirty times this long to answer."""

HOST = "keys.example.com"


def resolve(host: str, *servers: NameServer, limits: LookupSettings = LIMITS) -> Resolution:
    return Lookup(replace(limits, name_servers=tuple(server.address for server in servers))).resolve(host)


def texts(answer: Resolution) -> list[str]:
    return [str(address) for address in answer.addresses]


def test_both_families_sorted(serve: Serve) -> None:
    """All addresses of both families, IPv4 first, with the shortest TTL."""
    server = serve(Zone({HOST: {"A": ["192.0.2.9", "192.0.2.1"], "AAAA": ["2001:db8::1"], "TTL": 42}}))
    answer = resolve(HOST, server)
    assert answer.status is ResolutionStatus.RESOLVED
    assert texts(answer) == ["192.0.2.1", "192.0.2.9", "2001:db8::1"]
    assert (answer.ttl, answer.reason) == (42, "")


def test_names_are_absolute(serve: Serve) -> None:
    """No search list: `keys` is asked as `keys.`, with or without the dot."""
    server = serve(Zone({"keys": {"A": ["192.0.2.1"]}}))
    assert texts(resolve("keys", server)) == texts(resolve("keys.", server)) == ["192.0.2.1"]
    assert {name for name, _, _ in server.asked} == {"keys"}


@pytest.mark.parametrize("without_chain", [False, True])
def test_chain_of_cnames(serve: Serve, without_chain: bool) -> None:
    """Followed within an answer and from answer to answer; the shortest TTL of the chain counts."""
    records = {
        HOST: {"CNAME": "a.cdn.example.net", "TTL": 300},
        "a.cdn.example.net": {"CNAME": "b.cdn.example.net", "TTL": 20},
        "b.cdn.example.net": {"A": ["192.0.2.7"], "TTL": 100},
    }
    answer = resolve(HOST, serve(Zone(records, without_chain=without_chain)))
    assert (texts(answer), answer.ttl) == (["192.0.2.7"], 20)


@pytest.mark.parametrize("without_chain", [False, True])
def test_loop_of_cnames(serve: Serve, without_chain: bool) -> None:
    """Found out, and told as such."""
    records = {HOST: {"CNAME": "other.example.com"}, "other.example.com": {"CNAME": HOST}}
    answer = resolve(HOST, serve(Zone(records, without_chain=without_chain)))
    assert answer.status is ResolutionStatus.LOOP
    assert answer.reason == "its CNAMEs lead in a circle"


def test_long_chain(serve: Serve) -> None:
    """A chain over many answers is given up, whoever made it."""
    records: dict[str, dict[str, object]] = {
        f"n{i}.example.com": {"CNAME": f"n{i + 1}.example.com"} for i in range(12)
    }
    answer = resolve("n0.example.com", serve(Zone(records, without_chain=True)))
    assert (answer.status, answer.reason) == (
        ResolutionStatus.FAILED,
        "its chain of CNAMEs is longer than 8",
    )


def test_name_that_does_not_exist(serve: Serve) -> None:
    """NXDOMAIN is the word on the name: no other server is asked."""
    first, second = serve(Zone()), serve(Zone({HOST: {"A": ["192.0.2.1"]}}))
    answer = resolve(HOST, first, second)
    assert (answer.status, answer.reason) == (
        ResolutionStatus.NOT_FOUND,
        "the name does not exist (NXDOMAIN)",
    )
    assert not second.asked


def test_name_without_addresses(serve: Serve) -> None:
    """A name that exists for other purposes."""
    answer = resolve(HOST, serve(Zone({HOST: {}})))
    assert (answer.status, answer.reason) == (ResolutionStatus.NOT_FOUND, "the name has no addresses")


def test_one_family_only(serve: Serve) -> None:
    """A host without IPv6 is complete."""
    answer = resolve(HOST, serve(Zone({HOST: {"A": ["192.0.2.1"]}})))
    assert (texts(answer), answer.reason) == (["192.0.2.1"], "")


def test_silent_family(serve: Serve) -> None:
    """What one family says is used, and the answer says that the other one kept silent."""
    zone = Zone({HOST: {"A": ["192.0.2.1"]}}, silent_types=frozenset({"AAAA"}))
    answer = resolve(HOST, serve(zone), limits=replace(HASTY, total_timeout=2.0))
    assert texts(answer) == ["192.0.2.1"]
    assert answer.reason == "one address family did not answer: no answer within 2 s"


def test_truncated_answer_comes_over_tcp(serve: Serve) -> None:
    """Many addresses don't fit into a datagram."""
    addresses = [f"192.0.2.{i}" for i in range(1, 200)]
    server = serve(Zone({HOST: {"A": addresses}}, truncated=frozenset({HOST})))
    assert texts(resolve(HOST, server)) == addresses
    assert server.asked[HOST, "A", "tcp"] == 1


@pytest.mark.parametrize("trouble", ["failing", "silent", "garbled"])
def test_next_name_server(serve: Serve, trouble: str) -> None:
    """A server that fails, keeps silent or talks nonsense is not the last word."""
    first = serve(replace(Zone(), **{trouble: frozenset({HOST})}))
    second = serve(Zone({HOST: {"A": ["192.0.2.1"]}}))
    assert texts(resolve(HOST, first, second, limits=HASTY)) == ["192.0.2.1"]
    assert first.asked


def test_forged_answer_is_ignored(serve: Serve) -> None:
    """An answer with another query's id is not for us; the right one follows."""
    server = serve(Zone({HOST: {"A": ["192.0.2.1"]}}, forged=frozenset({HOST})))
    assert texts(resolve(HOST, server)) == ["192.0.2.1"]


def test_lost_datagram(serve: Serve) -> None:
    """The only server is asked twice."""
    server = serve(Zone({HOST: {"A": ["192.0.2.1"]}}, silent=frozenset({HOST})))
    resolve(HOST, server, limits=replace(LIMITS, query_timeout=0.3))
    wait_until("both were counted", lambda: server.asked[HOST, "A", "udp"] >= 2)
    assert server.asked[HOST, "A", "udp"] == 2


def test_failing_servers(serve: Serve) -> None:
    """The reason names the server and its code."""
    answer = resolve(HOST, serve(Zone(failing=frozenset({HOST}))))
    assert (answer.status, answer.reason) == (ResolutionStatus.FAILED, "127.0.0.1 answers SERVFAIL")


def test_silence_ends_in_time(serve: Serve) -> None:
    """Many silent servers take no longer than the total: each in its turn would take a minute."""
    servers = [serve(Zone(silent=frozenset({HOST})))] * 200
    started = time.monotonic()
    answer = resolve(HOST, *servers, limits=LookupSettings(query_timeout=0.15, total_timeout=0.4))
    assert time.monotonic() - started < 20
    assert (answer.status, answer.reason) == (ResolutionStatus.TIMEOUT, "no answer within 0.4 s")


def test_closed_port(serve: Serve) -> None:
    """A machine on which nobody serves DNS is a failure with a reason."""
    with NameServer(Zone()) as gone:
        pass
    answer = resolve(HOST, gone, limits=LookupSettings(query_timeout=0.15, total_timeout=0.4))
    assert answer.status in (ResolutionStatus.FAILED, ResolutionStatus.TIMEOUT)
    assert answer.reason


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("", "the host name is empty"),
        (".", "the host name is empty"),
        ("a..b", "'a..b' is not a host name: A DNS label is empty."),
        ("x" * 64 + ".example.com", "is not a host name: A DNS label is > 63 octets long."),
    ],
)
def test_no_host_name(serve: Serve, host: str, reason: str) -> None:
    """Told at once; no server is asked."""
    server = serve(Zone())
    answer = resolve(host, server)
    assert answer.status is ResolutionStatus.FAILED
    assert answer.reason.endswith(reason)
    assert not server.asked


def test_without_name_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without DNS is told to be one."""
    monkeypatch.setattr(lookup, "system_name_servers", lambda: ())
    assert Lookup().resolve(HOST).reason == "this machine names no DNS server (/etc/resolv.conf)"


def test_system_name_servers() -> None:
    """Whatever this machine has: addresses with port 53, or nothing."""
    assert all(address and port == 53 for address, port in lookup.system_name_servers())
