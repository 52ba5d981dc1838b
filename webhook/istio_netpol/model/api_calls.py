"""The Services that the API server calls: what webhook configurations, CRDs and APIServices name."""

from __future__ import annotations

from dataclasses import dataclass

from istio_netpol.model.references import ObjectRef


@dataclass(frozen=True, slots=True)
class ApiServerCall:
    """A Service that the API server connects to. `why` completes "this connection is needed because"; `field`
    is where the Service is named. `dispensable` where the API server goes on without an answer."""

    namespace: str
    service: str
    port: int
    why: str
    field: str
    dispensable: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ApiExtension:
    """A webhook configuration, CustomResourceDefinition or APIService: they have no namespace, and only
    administrators write them. What they reach by URL, the API server itself and no pods, is left out."""

    ref: ObjectRef
    calls: tuple[ApiServerCall, ...] = ()
