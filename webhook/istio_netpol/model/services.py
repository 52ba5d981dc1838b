"""Services and their endpoints, by which a name and a port become pods and a target port; and the
addresses at which clients dial them."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from istio_netpol.model.addresses import Address, parse_address
from istio_netpol.model.connections import Protocol
from istio_netpol.model.labels import Labels
from istio_netpol.model.references import ObjectRef


class ServicePort(Struct, frozen=True):
    """`target` is a number or a container port's name; the API server sets it to `port` where it is
    absent. `node_port` is the one on every node, 0 without one."""

    port: int
    target: int | str
    name: str = ""
    protocol: Protocol = Protocol.TCP
    node_port: int = 0
    app_protocol: str = ""


class Service(Struct, frozen=True, eq=False):
    """`selector` is None where endpoints are kept by someone else; `external_name` is empty unless the
    type is ExternalName. `external_ips` are those of its spec, `balancer_ips` those of its load balancer at
    which the nodes answer themselves. `source_ranges` are the only clients of that, `is_internal` says that
    it is not on the internet, `keeps_client_addresses` that no node stands for them
    (`externalTrafficPolicy: Local`)."""

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
    source_ranges: tuple[str, ...] = ()
    keeps_client_addresses: bool = False
    is_internal: bool = False

    @property
    def namespace(self) -> str:
        return self.ref.namespace

    @property
    def name(self) -> str:
        return self.ref.name

    @property
    def is_headless(self) -> bool:
        return "None" in self.cluster_ips


INTERNAL_LOAD_BALANCERS = {
    "networking.gke.io/load-balancer-type": "internal",
    "cloud.google.com/load-balancer-type": "internal",
    "service.beta.kubernetes.io/aws-load-balancer-internal": "true",
    "service.beta.kubernetes.io/aws-load-balancer-scheme": "internal",
    "service.beta.kubernetes.io/azure-load-balancer-internal": "true",
    "service.kubernetes.io/ibm-load-balancer-cloud-provider-ip-type": "private",
    "service.beta.kubernetes.io/openstack-internal-load-balancer": "true",
    "service.beta.kubernetes.io/cce-load-balancer-internal-vpc": "true",
    "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type": "intranet",
    "service.beta.kubernetes.io/oci-load-balancer-internal": "true",
}
"""The annotations by which clouds make an internal load balancer, with their values in lower case
(kubernetes.io/docs/concepts/services-networking/service/#internal-load-balancer, Kubernetes 1.36)."""


def has_internal_load_balancer(annotations: Mapping[str, str]) -> bool:
    """Whether annotations of a Service ask for a load balancer that is not on the internet."""
    return any(annotations.get(key, "").lower() == value for key, value in INTERNAL_LOAD_BALANCERS.items())


class EndpointPort(Struct, frozen=True):
    """A port of endpoints; `name` ties it to the Service's port of that name."""

    port: int
    name: str = ""
    protocol: Protocol = Protocol.TCP


class EndpointAddress(Struct, frozen=True):
    """One endpoint's addresses; `pod` is the name of the pod behind it, if it says so, and `pod_namespace`
    where that is, empty for the endpoint's own."""

    addresses: tuple[Address, ...]
    pod: str = ""
    pod_namespace: str = ""


class EndpointSlice(Struct, frozen=True, eq=False):
    """An EndpointSlice, or one subset of an Endpoints object (which becomes the same value)."""

    ref: ObjectRef
    service: str
    endpoints: tuple[EndpointAddress, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


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
