"""Which resolver a command uses."""

from __future__ import annotations

import math

from istio_netpol.model.resolution import Resolution, ResolutionStatus, Resolver
from istio_netpol.model.settings import Settings


class Offline:
    """Answers no question about hosts; those that the operator named are never asked."""

    def resolve(self, host: str, asker: str, seconds: float = math.inf) -> Resolution:
        """Says that nobody was asked."""
        return Resolution(host, (), ResolutionStatus.FAILED, reason="DNS was not asked, because of --offline")


def resolver(offline: bool, settings: Settings) -> Resolver:
    """DNS as the settings name it, or nobody."""
    if offline:
        return Offline()
    from istio_netpol.dns.caching import CacheSettings, CachingResolver
    from istio_netpol.dns.lookup import LookupSettings

    return CachingResolver(CacheSettings(LookupSettings.of(settings.dns)))
