"""The port through which host names become addresses."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from istio_netpol.model.addresses import Address


class ResolutionStatus(StrEnum):
    """The result of looking up a host name. LOOP is a chain of CNAMEs that never ends; PENDING is an answer
    that did not come in time and may still come."""

    RESOLVED = "resolved"
    NOT_FOUND = "not-found"
    TIMEOUT = "timeout"
    FAILED = "failed"
    LOOP = "loop"
    PENDING = "pending"


class Resolution(Struct, frozen=True):
    """The answer for one host.

    `addresses` are unique and sorted, IPv4 first; `ttl` is in seconds, 0 where unknown; `reason` is a
    sentence for people where the host did not resolve, and where it did but the answer is an old one.
    """

    host: str
    addresses: tuple[Address, ...]
    status: ResolutionStatus
    ttl: int = 0
    reason: str = ""


class Resolver(Protocol):
    """Resolves host names."""

    def resolve(self, host: str, asker: str, seconds: float = math.inf) -> Resolution:
        """The addresses of a host, or why they are not known after so many seconds; never raises.

        `asker` is the namespace of the object that names the host: the cost of the lookup counts for it.
        """
        ...
