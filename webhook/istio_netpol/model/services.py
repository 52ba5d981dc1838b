"""Services and their endpoints: how a name and a port become pods and a target port."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from istio_netpol.model.addresses import Address
from istio_netpol.model.connections import Protocol
from istio_netpol.model.labels import Labels
from istio_netpol.model.references import ObjectRef


@dataclass(frozen=True, slots=True)
class ServicePort:
    """`target` is a number or a container port's name; the API server sets it to `port` where it is
    absent. `node_port` is the one on every node, 0 without one."""

    port: int
    target: int | str
    name: str = ""
    protocol: Protocol = Protocol.TCP
    node_port: int = 0
    app_protocol: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """`selector` is None where endpoints are kept by someone else; `external_name` is empty unless the
    type is ExternalName. `external_ips` are those of its spec, `balancer_ips` those of its load balancer at
    which the nodes answer themselves."""

    ref: ObjectRef
    ports: tuple[ServicePort, ...] = ()
    selector: Mapping[str, str] | None = None
    type: str = "ClusterIP"
    cluster_ips: tuple[str, ...] = ()
    external_name: str = ""
    labels: Labels = field(default_factory=dict)
    called_by: str = ""
    external_ips: tuple[Address, ...] = ()
    balancer_ips: tuple[Address, ...] = ()

    @property
    def namespace(self) -> str:
        return self.ref.namespace

    @property
    def name(self) -> str:
        return self.ref.name

    @property
    def is_headless(self) -> bool:
        return "None" in self.cluster_ips


@dataclass(frozen=True, slots=True)
class EndpointPort:
    """A port of endpoints; `name` ties it to the Service's port of that name."""

    port: int
    name: str = ""
    protocol: Protocol = Protocol.TCP


@dataclass(frozen=True, slots=True)
class EndpointAddress:
    """One endpoint's addresses; `pod` is the name of the pod behind it in the same namespace, if it says
    so."""

    addresses: tuple[Address, ...]
    pod: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class EndpointSlice:
    """An EndpointSlice, or one subset of an Endpoints object (which becomes the same value)."""

    ref: ObjectRef
    service: str
    endpoints: tuple[EndpointAddress, ...] = ()
    ports: tuple[EndpointPort, ...] = ()
