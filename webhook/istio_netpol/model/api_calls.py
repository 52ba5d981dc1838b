"""The Services that the API server calls: what webhook configurations, CRDs and APIServices name."""

from __future__ import annotations

from msgspec import Struct

from istio_netpol.model.addresses import Address
from istio_netpol.model.references import ObjectRef


class ApiServerCall(Struct, frozen=True):
    """A Service that the API server connects to. `why` completes "this connection is needed because"; `field`
    is where the Service is named. `dispensable` where the API server goes on without an answer. Where a URL
    has an `address`, it stands for the names."""

    namespace: str
    service: str
    port: int
    why: str
    field: str
    dispensable: bool = False
    address: Address | None = None


class ApiExtension(Struct, frozen=True, eq=False):
    """A webhook configuration, CustomResourceDefinition or APIService: they have no namespace, and only
    administrators write them. What a URL reaches by a host's name is left out."""

    ref: ObjectRef
    calls: tuple[ApiServerCall, ...] = ()
