"""Required flows: which connection an object needs, between whom, and why."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.connections import Protocol
from istio_netpol.model.policies import Direction
from istio_netpol.model.references import ASSUMED, ObjectKey, ObjectRef
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload


class FlowKind(StrEnum):
    """The kinds of required flows; the values are rule ids of findings and labels of generated policies."""

    PROXY_TO_ISTIOD = "proxy-to-istiod"
    GATEWAY_TO_ISTIOD = "gateway-to-istiod"
    DNS = "dns"
    CLIENT_TO_GATEWAY = "client-to-gateway"
    GATEWAY_TO_WORKLOAD = "gateway-to-workload"
    ISTIOD_TO_JWKS = "istiod-to-jwks"
    WORKLOAD_TO_WORKLOAD = "workload-to-workload"
    WORKLOAD_TO_EXTERNAL = "workload-to-external"
    TO_APISERVER = "to-apiserver"
    WEBHOOK_FROM_APISERVER = "webhook-from-apiserver"
    EXT_AUTHZ = "ext-authz"
    TRACING = "tracing"
    SCRAPE = "scrape"
    HBONE = "hbone"


class PodsPeer(Struct, frozen=True):
    """The pods of one workload. Two are equal if they stand for the same one of the same snapshot."""

    workload: Workload

    @property
    def key(self) -> str:
        return self.workload.peer_name

    def __str__(self) -> str:
        ref = self.workload.ref
        return f"{ref} {ASSUMED}" if ref.is_assumed else f"{ref}"


class AddressPeer(Struct, frozen=True):
    """Addresses outside the cluster. `host` is the name that they were resolved from, if any."""

    addresses: AddressSet
    host: str = ""

    @property
    def key(self) -> str:
        return f"{self.host}|{self.text}"

    @property
    def text(self) -> str:
        return ", ".join(self.addresses.cidrs())

    def __str__(self) -> str:
        return f"{self.host} ({self.text})" if self.host else self.text


class HostPeer(Struct, frozen=True):
    """A DNS name outside the cluster that is not resolved yet."""

    host: str

    @property
    def key(self) -> str:
        return f"host|{self.host}"

    def __str__(self) -> str:
        return self.host


class AnyPeer(Struct, frozen=True):
    """A peer that no policy can name: clients of a gateway, an API server at an unknown address.

    The flow counts as allowed where a rule admits every peer, or any address outside the cluster: an
    administrator may narrow who they are. `description` says who, for people. Those `in_cluster` are pods,
    and any that a rule admits may be they. Others come from `within` some addresses, where those are known.
    With `any_port` they choose the port, too, and that of the flow is the usual one. Others again come out of
    `pods`, and nobody knows whether with the pods' addresses or with those of their nodes: rules that admit
    these pods admit them, and so do ipBlocks that hold some of either addresses.
    """

    description: str = "anywhere"
    in_cluster: bool = False
    within: AddressSet | None = None
    any_port: bool = False
    pods: tuple[Workload, ...] = ()

    @property
    def key(self) -> str:
        return f"any|{self.description}"

    def __str__(self) -> str:
        return self.description


API_SERVER = AnyPeer("the API server")
"""The API server where nobody says at which addresses it is."""

API_SERVER_SERVICE = AnyPeer("the API server's Service")
"""Its Service, where policies see that and nobody says at which address it is."""

Peer = PodsPeer | AddressPeer | HostPeer | AnyPeer
FlowKey = tuple[str, ObjectKey, str, str, str, int]


class Via(Struct, frozen=True, eq=False):
    """How an object leads to the destination of its flow: what agreement rests on besides the two ends.

    - `service`: the Service through which it is called.
    - `choosers`: the namespaces of the objects that decide who is behind the name: Services, ServiceEntries,
      VirtualServices.
    - `delegate`: the namespace of the delegate that names the destination, if another VirtualService has one.
    - `granted`: an object of the destination's namespace names the object's namespace or the client: a
      ReferenceGrant, the waypoint that a Service chose.
    - `admitted`: a Gateway of the gateway pods' own namespace admits the object's namespace.
    - `taken_in`: a waypoint receives, whose Gateway admits the namespace of the host that is called.
    - `administered`: settings or mesh config name the far end.
    - `meant`, `meant_port`: where a tunnel or a waypoint receives, the pods that are called and their own
    port."""

    service: Service | None = None
    choosers: tuple[str, ...] = ()
    delegate: str = ""
    granted: bool = False
    admitted: bool = False
    administered: bool = False
    taken_in: bool = False
    meant: Workload | None = None
    meant_port: int = 0

    @property
    def leaders(self) -> tuple[str, ...]:
        """Every namespace but the object's own that decides where the flow leads."""
        return (*self.choosers, self.delegate) if self.delegate else self.choosers


DIRECTLY = Via()


class Agreement(Struct, frozen=True):
    """The namespaces on whose word each end of a flow may be opened: the end's own, or one in which only
    administrators write. Empty where only an administrator may open it; None where nobody agrees, so that the
    end stays closed."""

    egress: frozenset[str] | None = None
    ingress: frozenset[str] | None = None

    def of(self, direction: Direction) -> frozenset[str] | None:
        """The words for one end."""
        return self.egress if direction is Direction.EGRESS else self.ingress


NOBODY = Agreement()


class RequiredFlow(Struct, frozen=True, eq=False):
    """One connection that `object` needs.

    `port` is the one on the wire: the pod's, after a Service translated it. `reason` completes the sentence
    "this connection is needed because …". `shared` marks destinations that serve every pod of the cluster
    (istiod, DNS), whose own policy admits all of them at once. `field` is the path within `object` that asks
    for the flow, if one does. `via` is how the object leads to the destination, and `agreement` what follows
    from it (see `trust/agreement.py`): an end without agreement is never opened. `dispensable` says that
    whoever connects goes on without it.
    """

    kind: FlowKind
    object: ObjectRef
    source: Peer
    destination: Peer
    protocol: Protocol
    port: int
    reason: str
    shared: bool = False
    field: str = ""
    via: Via = DIRECTLY
    agreement: Agreement = NOBODY
    dispensable: bool = False

    def with_agreement(self, agreement: Agreement) -> RequiredFlow:
        """The same flow with the words on which its ends may be opened."""
        return replace(self, agreement=agreement)

    @property
    def key(self) -> FlowKey:
        """Equal for the same flow before and after a change."""
        return (self.kind, self.object.key, self.source.key, self.destination.key, self.protocol, self.port)

    @property
    def sort_key(self) -> tuple[str, str, str, str, str, str, str, int]:
        """A total order that does not depend on the order of input."""
        ref = self.object
        return (
            ref.namespace,
            ref.kind,
            ref.name,
            self.kind,
            self.source.key,
            self.destination.key,
            self.protocol,
            self.port,
        )
