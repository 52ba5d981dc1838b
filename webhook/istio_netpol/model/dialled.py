"""The addresses on a client's packets before a Service is translated: what it dials."""

from __future__ import annotations

from msgspec import Struct

from istio_netpol.model.addresses import Address, parse_address
from istio_netpol.model.services import Service


class Front(Struct, frozen=True):
    """A port of a Service as clients dial it."""

    service: Service
    port: int

    @property
    def address(self) -> Address | None:
        """The first ClusterIP; None where the input does not say it."""
        return parse_address(self.service.cluster_ips[0]) if self.service.cluster_ips else None

    def __str__(self) -> str:
        return f"{self.address or 'the ClusterIP'}:{self.port} of {self.service.ref}"


class Dialled(Struct, frozen=True):
    """How a destination is dialled: at these fronts, and at its own addresses too unless that is said not to
    be. Where several are named, nobody knows which one a client takes."""

    fronts: tuple[Front, ...] = ()
    at_own_address: bool = True


DIRECTLY = Dialled()
