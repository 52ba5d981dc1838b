"""NetworkPolicy (networking.k8s.io/v1) as a value, with absent fields resolved as the API server would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from istio_netpol.model.addresses import IpBlock
from istio_netpol.model.connections import Protocol
from istio_netpol.model.labels import Selector
from istio_netpol.model.references import ObjectRef


class Direction(StrEnum):
    """The two sides of a connection that policies govern."""

    EGRESS = "Egress"
    INGRESS = "Ingress"


@dataclass(frozen=True, slots=True)
class PolicyPort:
    """One entry of `ports`. `port` is a number, a container port's name, or None for all ports of the
    protocol."""

    protocol: Protocol = Protocol.TCP
    port: int | str | None = None
    end_port: int | None = None


@dataclass(frozen=True, slots=True)
class PolicyPeer:
    """One entry of `from` or `to`: either `ip_block`, or selectors of which at least one is present."""

    pod_selector: Selector | None = None
    namespace_selector: Selector | None = None
    ip_block: IpBlock | None = None


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One ingress or egress rule. No peers: every peer. No ports: every port."""

    peers: tuple[PolicyPeer, ...] = ()
    ports: tuple[PolicyPort, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class NetworkPolicy:
    """One policy; `policy_types` is never empty once read (the API server fills it in)."""

    ref: ObjectRef
    pod_selector: Selector
    policy_types: frozenset[Direction]
    ingress: tuple[PolicyRule, ...] = ()
    egress: tuple[PolicyRule, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        return self.ref.namespace

    @property
    def name(self) -> str:
        return self.ref.name

    @property
    def key(self) -> str:
        """`namespace/name`, as reports print it."""
        return f"{self.ref.namespace}/{self.ref.name}"

    def rules(self, direction: Direction) -> tuple[PolicyRule, ...]:
        return self.ingress if direction is Direction.INGRESS else self.egress
