"""The objects of a cluster that rules read, as one type."""

from __future__ import annotations

from typing import TypeAlias

from istio_netpol.model.api_calls import ApiExtension
from istio_netpol.model.control_plane import InjectorConfig, MeshConfig, RegisteredInjector, RevisionTag
from istio_netpol.model.failures import Undecoded
from istio_netpol.model.gateway_api import (
    GatewayClass,
    KubernetesGateway,
    KubernetesRoute,
    ListenerSet,
    ReferenceGrant,
)
from istio_netpol.model.ingress import Ingress, IngressClass
from istio_netpol.model.istio_networking import (
    DestinationRule,
    EnvoyFilter,
    Gateway,
    ServiceEntry,
    Sidecar,
    VirtualService,
    WorkloadEntry,
)
from istio_netpol.model.istio_security import (
    AuthorizationPolicy,
    PeerAuthentication,
    RequestAuthentication,
    Telemetry,
    WasmPlugin,
)
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.services import EndpointSlice, Service
from istio_netpol.model.tiers import TierPolicy
from istio_netpol.model.unread import UnreadPolicy
from istio_netpol.model.workloads import Namespace, NodeAddresses, Workload

ClusterObject: TypeAlias = (
    ApiExtension
    | AuthorizationPolicy
    | DestinationRule
    | EndpointSlice
    | EnvoyFilter
    | Gateway
    | GatewayClass
    | Ingress
    | IngressClass
    | InjectorConfig
    | KubernetesGateway
    | KubernetesRoute
    | ListenerSet
    | MeshConfig
    | Namespace
    | NetworkPolicy
    | NodeAddresses
    | PeerAuthentication
    | ReferenceGrant
    | RegisteredInjector
    | RequestAuthentication
    | RevisionTag
    | Service
    | ServiceEntry
    | Sidecar
    | Telemetry
    | TierPolicy
    | Undecoded
    | UnreadPolicy
    | VirtualService
    | WasmPlugin
    | Workload
    | WorkloadEntry
)
"""What decoders yield and snapshots hold. Each has a `ref`."""
