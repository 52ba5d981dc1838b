"""A workload of one of Kyma's modules: its labels, what it needs, and whether policies come with it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field

from istio_netpol.model.labels import Labels, Selector

KYMA_NAMESPACE = "kyma-system"


class OwnPolicies(StrEnum):
    """Whether a module brings NetworkPolicies of its own."""

    NONE = "none"
    OFF = "off unless switched on"
    ON = "on"


class KymaNeed(StrEnum):
    """What a policy has to open for a workload under a default-deny."""

    API_SERVER = "the API server"
    DNS = "cluster DNS"
    ISTIOD = "istiod"
    WEBHOOK = "calls of its webhook"
    METRICS = "its metrics"
    CALLS = "what it calls, and who calls it"


class KymaCall(Struct, frozen=True):
    """A connection to another workload of the table, by its name, and to a port of its pods."""

    to: str
    port: int
    why: str


class OutsideCall(Struct, frozen=True):
    """A connection out of the cluster, to whom nobody can name by address.

    With `any_port` on other ports than the usual one, too; `only_beside` are labels of pods in Kyma's
    namespace without which nobody makes it.
    """

    to: str
    port: int
    why: str
    any_port: bool = False
    only_beside: Labels = field(default_factory=dict)


class Subscribers(Struct, frozen=True):
    """Pods of any namespace that a workload calls, on ports that users choose; `port` is the usual one."""

    who: str
    port: int
    why: str


class KymaWorkload(Struct, frozen=True):
    """A workload of a module, and what is known of its connections.

    `labels` are all that its pods are known to have. `watches` completes "it needs the API server because";
    empty where it does not call it. `webhook_port` is the one that the API server calls, 0 where there is
    none, and `fails_closed` says that what it is asked about fails without an answer. `for_pods` are ports
    that pods of every namespace call, `for_gateway` those that the ingress gateway calls. `own` is about
    policies that the module brings, `gaps` says what those leave closed though they are on, and why.
    """

    module: str
    name: str
    selector: Selector
    sources: tuple[str, ...]
    labels: Labels
    kind: str = "Deployment"
    sidecar: bool = False
    watches: str = ""
    webhook_port: int = 0
    fails_closed: bool = False
    metrics: tuple[int, ...] = ()
    for_pods: tuple[int, ...] = ()
    for_gateway: tuple[int, ...] = ()
    calls: tuple[KymaCall, ...] = ()
    outside: tuple[OutsideCall, ...] = ()
    subscribers: Subscribers | None = None
    own: OwnPolicies = OwnPolicies.NONE
    gaps: Mapping[KymaNeed, str] = field(default_factory=dict)

    def lacks(self, need: KymaNeed) -> bool:
        """Whether no policy of the module's own opens this, as the module comes."""
        return self.own is not OwnPolicies.ON or need in self.gaps

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports on which its pods are called, sorted."""
        called = (*self.metrics, *self.for_pods, *self.for_gateway, self.webhook_port)
        return tuple(sorted({port for port in called if port}))
