"""Looks up one host at all name servers, within a budget of time.

Messages, retries over TCP after truncation, and the chains of CNAMEs within one answer are dnspython's;
which server is asked next, and what an answer means for policies, is decided here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from ipaddress import ip_address

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
from msgspec import Struct, field

from istio_netpol.model.addresses import DNS_PORT, Address, parse_endpoint
from istio_netpol.model.resolution import Resolution, ResolutionStatus
from istio_netpol.model.settings import DnsSettings

FAMILIES = (dns.rdatatype.A, dns.rdatatype.AAAA)
NameServer = tuple[str, int]
"""Address and port."""


class LookupSettings(Struct, frozen=True):
    """The limits of one lookup; times are in seconds. Without `name_servers` those of the machine are
    asked."""

    name_servers: tuple[NameServer, ...] = ()
    query_timeout: float = 0.5
    total_timeout: float = 1.5
    attempts: int = 2
    longest_chain: int = 8

    @classmethod
    def of(cls, settings: DnsSettings) -> LookupSettings:
        """The name servers that the settings name."""
        found = (parse_endpoint(server, DNS_PORT) for server in settings.servers)
        return cls(tuple((str(address), port) for address, port in filter(None, found)))


class _FamilyResult(Struct, frozen=True):
    """The result for one address family."""

    status: ResolutionStatus
    addresses: tuple[Address, ...] = ()
    ttl: int = 0
    reason: str = ""


class Lookup(Struct):
    """Asks name servers; `clock` is in seconds and never runs backwards."""

    settings: LookupSettings = field(default_factory=LookupSettings)
    clock: Callable[[], float] = time.monotonic

    def resolve(self, host: str) -> Resolution:
        """The addresses of a host in both families, which are asked at the same time; never raises."""
        try:
            name = dns.name.from_text(host)
        except (dns.exception.DNSException, UnicodeError) as error:
            return _failed(host, f"{host!r} is not a host name: {error}")
        if name == dns.name.root:
            return _failed(host, "the host name is empty")
        servers = self.settings.name_servers or system_name_servers()
        if not servers:
            return _failed(host, "this machine names no DNS server (/etc/resolv.conf)")
        ends = self.clock() + self.settings.total_timeout
        return _merged(host, self._families(name, servers, ends))

    def _families(
        self, name: dns.name.Name, servers: tuple[NameServer, ...], ends: float
    ) -> list[_FamilyResult]:
        """Asks for both families, in a thread each. An executor would wait for silent servers at the end of
        the process."""
        unasked = _FamilyResult(ResolutionStatus.FAILED, reason="an error inside istio-netpol")
        parts = dict.fromkeys(FAMILIES, unasked)

        def ask(family: dns.rdatatype.RdataType) -> None:
            parts[family] = self._family(name, family, servers, ends)

        first, second = FAMILIES
        other = threading.Thread(target=ask, args=(second,), name="dns-family", daemon=True)
        other.start()
        ask(first)
        other.join()
        return list(parts.values())

    def _family(
        self,
        name: dns.name.Name,
        family: dns.rdatatype.RdataType,
        servers: tuple[NameServer, ...],
        ends: float,
    ) -> _FamilyResult:
        """Asks for one family, along a chain of CNAMEs that may span answers."""
        seen: set[dns.name.Name] = set()
        ttl: int | None = None
        while name not in seen:
            seen.add(name)
            if len(seen) > self.settings.longest_chain:
                reason = f"its chain of CNAMEs is longer than {self.settings.longest_chain}"
                return _FamilyResult(ResolutionStatus.FAILED, reason=reason)
            answer = self._ask(name, family, servers, ends)
            if isinstance(answer, _FamilyResult):
                return answer
            try:
                chain = answer.resolve_chaining()
            except dns.message.ChainTooLong:
                return _FamilyResult(ResolutionStatus.LOOP, reason="its CNAMEs lead in a circle")
            except (dns.exception.DNSException, ValueError) as error:
                return _FamilyResult(ResolutionStatus.FAILED, reason=f"the answer can't be read: {error}")
            ttl = chain.minimum_ttl if ttl is None else min(ttl, chain.minimum_ttl)
            if chain.answer is not None:
                found = tuple(ip_address(record.address) for record in chain.answer)
                return _FamilyResult(ResolutionStatus.RESOLVED, found, ttl)
            if answer.rcode() == dns.rcode.NXDOMAIN:
                return _FamilyResult(ResolutionStatus.NOT_FOUND, reason="the name does not exist (NXDOMAIN)")
            if chain.canonical_name == name:
                return _FamilyResult(ResolutionStatus.NOT_FOUND, reason="the name has no addresses")
            name = chain.canonical_name
        return _FamilyResult(ResolutionStatus.LOOP, reason="its CNAMEs lead in a circle")

    def _ask(
        self,
        name: dns.name.Name,
        family: dns.rdatatype.RdataType,
        servers: tuple[NameServer, ...],
        ends: float,
    ) -> dns.message.QueryMessage | _FamilyResult:
        """The first usable answer; the next server is asked after a failure or silence."""
        failure = _FamilyResult(
            ResolutionStatus.TIMEOUT, reason=f"no answer within {self.settings.total_timeout:g} s"
        )
        for address, port in servers * self.settings.attempts:
            if self.clock() >= ends:
                return failure
            query = dns.message.make_query(name, family)
            try:
                answer = self._exchange(query, address, port, ends)
            except dns.exception.Timeout:
                continue
            except (OSError, EOFError, ValueError, dns.exception.DNSException) as error:
                reason = f"{address}: {str(error) or type(error).__name__}"
                failure = _FamilyResult(ResolutionStatus.FAILED, reason=reason)
                continue
            if answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) and isinstance(
                answer, dns.message.QueryMessage
            ):
                return answer
            reason = f"{address} answers {dns.rcode.to_text(answer.rcode())}"
            failure = _FamilyResult(ResolutionStatus.FAILED, reason=reason)
        return failure

    def _exchange(
        self, query: dns.message.Message, address: str, port: int, ends: float
    ) -> dns.message.Message:
        """One question and its answer: over TCP where it does not fit into a datagram."""

        def left() -> float:
            return max(min(ends - self.clock(), self.settings.query_timeout), 0.0)

        try:
            return dns.query.udp(
                query,
                address,
                timeout=left(),
                port=port,
                ignore_unexpected=True,
                ignore_errors=True,
                raise_on_truncation=True,
            )
        except dns.message.Truncated:
            return dns.query.tcp(query, address, timeout=left(), port=port)


def _failed(host: str, reason: str) -> Resolution:
    return Resolution(host, (), ResolutionStatus.FAILED, reason=reason)


def system_name_servers() -> tuple[NameServer, ...]:
    """The name servers of this machine, in their order; an empty list where it names none."""
    try:
        found = dns.resolver.Resolver(configure=True)
    except (dns.exception.DNSException, OSError):
        return ()
    return tuple((str(address), found.port) for address in found.nameservers)


def _merged(host: str, parts: list[_FamilyResult]) -> Resolution:
    """One answer from both families. A family that fails beside one that answers is told and does not count:
    a policy for the known addresses is better than none."""
    resolved = [part for part in parts if part.status is ResolutionStatus.RESOLVED]
    failed = [
        part for part in parts if part.status not in (ResolutionStatus.RESOLVED, ResolutionStatus.NOT_FOUND)
    ]
    if resolved:
        found = {address for part in resolved for address in part.addresses}
        addresses = tuple(sorted(found, key=lambda address: (address.version, int(address))))
        reason = f"one address family did not answer: {failed[0].reason}" if failed else ""
        ttl = min(part.ttl for part in resolved)
        return Resolution(host, addresses, ResolutionStatus.RESOLVED, ttl, reason)
    worst = failed[0] if failed else parts[0]
    return Resolution(host, (), worst.status, worst.ttl, worst.reason)
