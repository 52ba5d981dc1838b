"""PeerAuthentications, and the TLS settings of DestinationRules."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field

from istio_netpol.model.references import ObjectRef


class MutualTls(StrEnum):
    """What a PeerAuthentication lets in: STRICT only mutual TLS, PERMISSIVE plaintext too, DISABLE plaintext
    alone. UNSET takes over what the next wider one says."""

    UNSET = "UNSET"
    DISABLE = "DISABLE"
    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"


class PeerAuthentication(Struct, frozen=True, eq=False):
    """`ports` are the modes of single ports of the pods. `created` is when the API server stored it, empty
    where nobody says: the oldest of several counts."""

    ref: ObjectRef
    selector: Mapping[str, str] | None = None
    mode: MutualTls = MutualTls.UNSET
    ports: Mapping[int, MutualTls] = field(default_factory=dict)
    created: str = ""


class ClientTlsMode(StrEnum):
    """What a client's proxy sends by a DestinationRule."""

    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"


class ClientTls(Struct, frozen=True):
    """The TLS settings of one traffic policy; `mode` is None where it says nothing, `ports` are those of
    single ports of the Service."""

    mode: ClientTlsMode | None = None
    ports: tuple[tuple[int, ClientTlsMode], ...] = ()

    def on(self, port: int) -> ClientTlsMode | None:
        """The mode for a port of the Service."""
        return next((mode for number, mode in self.ports if number == port), self.mode)


SAYS_NOTHING = ClientTls()
