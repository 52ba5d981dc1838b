"""Keeps addresses of hosts beyond the answers that named them, so that a host whose addresses rotate stays
reachable."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.model.addresses import Address
from istio_netpol.model.resolution import Resolution, ResolutionStatus, Resolver
from istio_netpol.model.settings import Settings

RETRY_SECONDS = 10.0
SOON_SECONDS = 2.0
"""After how long a host is looked up again whose first answer did not come in time."""


class _SeenAddresses(Struct, frozen=True):
    answer: Resolution
    addresses: dict[Address, float]


class AddressHistory:
    """Implements `Resolver`: answers what the inner resolver says, and what it said of the same host lately.

    After a failure the last good answer holds. An answer with addresses that are not public is passed on as
    it is and is not remembered, so that a bad answer does not outlive itself.
    """

    def __init__(
        self, inner: Resolver, settings: Settings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._inner = inner
        self._overlap = settings.controller.host_overlap_seconds
        self._limit = settings.hosts.max_addresses_per_host
        self._clock = clock
        self._seen: dict[str, _SeenAddresses] = {}
        self._due: dict[str, float] = {}
        self._pending: set[str] = set()
        self._troubles: dict[str, str] = {}

    def begin(self, inner: Resolver) -> None:
        """Starts an evaluation that asks `inner`. Hosts that the last evaluation did not look up are
        forgotten."""
        self._inner = inner
        self._seen = {host: seen for host, seen in self._seen.items() if host in self._due}
        self._pending &= self._due.keys()
        self._due = {}
        self._troubles = {}

    @property
    def troubles(self) -> tuple[str, ...]:
        """What went wrong with hosts in this evaluation, a sentence each."""
        return tuple(f"{host}: {sentence}" for host, sentence in sorted(self._troubles.items()))

    @property
    def due_at(self) -> float:
        """When the first answer of this evaluation becomes too old, by the clock; infinite where no host was
        looked up."""
        return min(self._due.values(), default=float("inf"))

    def resolve(self, host: str, asker: str, seconds: float = math.inf) -> Resolution:
        """The addresses of a host, up to the limit, those seen last first; never raises."""
        now = self._clock()
        answer = self._inner.resolve(host, asker, seconds)
        is_good = answer.status is ResolutionStatus.RESOLVED
        if is_good and answer.reason:
            self._troubles[host] = answer.reason
        self._due[host] = min(now + self._lasts(host, answer), self._due.get(host, math.inf))
        before = self._seen.get(host)
        if not is_good:
            if before is None:
                return answer
            self._troubles[host] = f"its last good addresses stay, since {answer.reason}"
            return replace(before.answer, reason=f"these are old addresses: {answer.reason}")
        if not all(address.is_global for address in answer.addresses):
            return answer
        known = {} if before is None else before.addresses
        lately = {address: seen for address, seen in known.items() if now - seen < self._overlap}
        lately.update(dict.fromkeys(answer.addresses, now))
        newest = sorted(lately, key=lambda address: (-lately[address], address.version, address))
        kept = newest[: max(self._limit, len(answer.addresses))]
        if len(kept) < len(newest):
            self._troubles[host] = (
                f"it had more than {self._limit} addresses (hosts.maxAddressesPerHost) within "
                f"{self._overlap} s; the oldest are given up"
            )
        merged = replace(
            answer, addresses=tuple(sorted(kept, key=lambda address: (address.version, address)))
        )
        self._seen[host] = _SeenAddresses(merged, {address: lately[address] for address in kept})
        return merged

    def _lasts(self, host: str, answer: Resolution) -> float:
        """After how many seconds the host is looked up again."""
        if answer.status is ResolutionStatus.PENDING and host not in self._pending:
            self._pending.add(host)
            return SOON_SECONDS
        if answer.status is ResolutionStatus.RESOLVED:
            self._pending.discard(host)
            lasts = float(max(answer.ttl, 1))
            return min(lasts, RETRY_SECONDS) if answer.reason else lasts
        return RETRY_SECONDS
