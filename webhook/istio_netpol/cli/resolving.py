"""Which resolver a command uses."""

from __future__ import annotations

from istio_netpol.model.resolution import Resolution, ResolutionStatus, Resolver


class Offline:
    """Answers no question about hosts; those that the operator named are never asked."""

    def resolve(self, host: str) -> Resolution:
        """Says that nobody was asked."""
        return Resolution(host, (), ResolutionStatus.FAILED, reason="DNS was not asked, because of --offline")


def resolver(offline: bool) -> Resolver:
    """DNS, or nobody."""
    if offline:
        return Offline()
    from istio_netpol.dns.caching import CachingResolver

    return CachingResolver()
