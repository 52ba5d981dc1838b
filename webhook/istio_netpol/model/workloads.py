"""Namespaces, Nodes and workloads. A workload is a class of pods that no rule or policy can tell apart."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from istio_netpol.model.addresses import Address
from istio_netpol.model.connections import Protocol
from istio_netpol.model.labels import NAMESPACE_NAME_LABEL, Labels, Selector
from istio_netpol.model.references import ObjectRef


class Namespace(Struct, frozen=True, eq=False):
    """A namespace; `declared` is False where only its objects were read, and its labels are then the API
    server's own."""

    ref: ObjectRef
    labels: Labels
    annotations: Mapping[str, str] = field(default_factory=dict)
    terminating: bool = False
    declared: bool = True

    @property
    def name(self) -> str:
        return self.ref.name


def implied_namespace(name: str) -> Namespace:
    """A namespace of which only objects were read: it has the label that the API server gives every
    namespace."""
    return Namespace(ObjectRef("v1", "Namespace", "", name), {NAMESPACE_NAME_LABEL: name}, declared=False)


class ContainerPort(Struct, frozen=True):
    """A declared container port; `name` is empty where it has none."""

    number: int
    name: str = ""
    protocol: Protocol = Protocol.TCP


class Owner(Struct, frozen=True):
    """The controller that an ownerReference with `controller: true` names."""

    api_version: str
    kind: str
    name: str
    uid: str = ""


class DialledApiServer(Struct, frozen=True, order=True):
    """What KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT make a container dial instead of the Service:
    a host name in lower case or an address, and a port. `of_these_pods` says that whoever set it does so for
    single pods (AKS), so that other pods need not have it."""

    host: str
    port: int
    of_these_pods: bool = False


class Workload(Struct, frozen=True, eq=False):
    """A controller's pod template, or a pod, or the class of a controller's equal pods.

    `ref` names the object that a person would edit: the controller where there is one. `labels` and
    `annotations` are the pods'; `selector` is the controller's. `addresses` are those of the running pods,
    empty where unknown. `exists` says that the pods were created, so that what they have is all that they
    get; `has_proxy` that an `istio-proxy` container was seen. `calls` and `called_by` are the declared needs
    of the object or its template. `tracing_address` is where their own `proxy.istio.io/config` has the proxy
    send its spans, `host:port`. `probe_ports` are those that the kubelet's probes connect to,
    `node_local_addresses` those on which node-local-dns answers (its argument `-localip`), `switches`
    istiod's feature variables (`PILOT_…`). `api_servers` are what containers dial for the API server where
    they are told, `injected_api_servers` those of them that pods have and their controller's template has
    not.
    """

    ref: ObjectRef
    labels: Labels
    selector: Selector | None = None
    ports: tuple[ContainerPort, ...] = ()
    host_network: bool = False
    service_account: str = "default"
    annotations: Mapping[str, str] = field(default_factory=dict)
    owner: Owner | None = None
    addresses: tuple[Address, ...] = ()
    node_addresses: tuple[Address, ...] = ()
    exists: bool = False
    has_proxy: bool = False
    calls: str = ""
    called_by: str = ""
    tracing_address: str = ""
    probe_ports: tuple[int, ...] = ()
    node_local_addresses: tuple[Address, ...] = ()
    switches: Mapping[str, str] = field(default_factory=dict)
    api_servers: tuple[DialledApiServer, ...] = ()
    injected_api_servers: tuple[DialledApiServer, ...] = ()

    @property
    def namespace(self) -> str:
        return self.ref.namespace

    @property
    def name(self) -> str:
        return self.ref.name

    @property
    def peer_name(self) -> str:
        """`namespace/Kind/name`, as `list` prints it."""
        return f"{self.ref.namespace}/{self.ref.kind}/{self.ref.name}"

    def named_port(self, name: str, protocol: Protocol) -> tuple[int, ...]:
        """The numbers that a port name stands for on these pods; several where containers repeat the name."""
        return tuple(port.number for port in self.ports if port.name == name and port.protocol is protocol)


class NodeAddresses(Struct, frozen=True):
    """The addresses of one Node: the peers that hostNetwork pods and kubelets are seen as, within the cluster
    by the `internal` ones."""

    ref: ObjectRef
    addresses: tuple[Address, ...]
    pod_cidrs: tuple[str, ...] = ()
    labels: Labels = field(default_factory=dict)
    internal: tuple[Address, ...] = ()
