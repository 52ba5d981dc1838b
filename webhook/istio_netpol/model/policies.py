"""NetworkPolicy (networking.k8s.io/v1) as a value, with absent fields resolved as the API server would."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from functools import cached_property
from itertools import chain

from msgspec import Struct, field

from istio_netpol.model.addresses import AddressSet, IpBlock
from istio_netpol.model.connections import Protocol
from istio_netpol.model.labels import EVERYTHING, Labels, Selector
from istio_netpol.model.references import ObjectRef

PolicyKey = tuple[str, str]
"""Namespace and name of a policy."""


class Direction(StrEnum):
    """The two sides of a connection that policies govern."""

    EGRESS = "Egress"
    INGRESS = "Ingress"


class PolicyPort(Struct, frozen=True):
    """One entry of `ports`. `port` is a number, a container port's name, or None for all ports of the
    protocol."""

    protocol: Protocol = Protocol.TCP
    port: int | str | None = None
    end_port: int | None = None


class PolicyPeer(Struct, frozen=True):
    """One entry of `from` or `to`: either `ip_block`, or selectors of which at least one is present."""

    pod_selector: Selector | None = None
    namespace_selector: Selector | None = None
    ip_block: IpBlock | None = None


class PolicyRule(Struct, frozen=True, dict=True):
    """One ingress or egress rule. No peers: every peer. No ports: every port.

    A rule may hold thousands of peers and is asked about many connections: its two kinds of peers are told
    apart once.
    """

    peers: tuple[PolicyPeer, ...] = ()
    ports: tuple[PolicyPort, ...] = ()

    @cached_property
    def selectors(self) -> tuple[PolicyPeer, ...]:
        """The peers that name pods by what they are."""
        return tuple(peer for peer in self.peers if peer.ip_block is None)

    def naming(self, labels: Labels, of_namespace: Callable[[], Labels]) -> Iterable[PolicyPeer]:
        """Those of the selectors that may name pods with these labels, their own and their namespace's."""
        if len(self.selectors) <= _FEW:
            return self.selectors
        pairs = (None, *labels.items(), *of_namespace().items())
        return chain.from_iterable(self._by_pair.get(pair, ()) for pair in pairs)

    @cached_property
    def _by_pair(self) -> dict[tuple[str, str] | None, list[PolicyPeer]]:
        """The selectors by one label that pods or their namespace need; None where they need none."""
        found: dict[tuple[str, str] | None, list[PolicyPeer]] = {}
        for peer in self.selectors:
            selectors = (peer.pod_selector or EVERYTHING, peer.namespace_selector or EVERYTHING)
            pairs = (pair for selector in selectors for pair in selector.match_labels)
            found.setdefault(next(pairs, None), []).append(peer)
        return found

    @cached_property
    def addresses(self) -> AddressSet:
        """What the ipBlocks name together: "combined using a logical OR operation"."""
        return AddressSet.union(block.addresses for block in self.blocks)

    @cached_property
    def blocks(self) -> tuple[IpBlock, ...]:
        """The ipBlocks among the peers."""
        return tuple(peer.ip_block for peer in self.peers if peer.ip_block is not None)


_FEW = 16
"""So many selectors are compared one by one."""


class NetworkPolicy(Struct, frozen=True, eq=False):
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

    def does_the_same(self, other: NetworkPolicy) -> bool:
        """Whether both select and allow the same. Rules of a direction that is not among a policy's types do
        nothing."""
        return (
            self.pod_selector == other.pod_selector
            and self.policy_types == other.policy_types
            and all(self.rules(direction) == other.rules(direction) for direction in self.policy_types)
        )
