"""Policies with the peers that their rules mean."""

from __future__ import annotations

from msgspec import Struct

from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPort
from istio_netpol.netpol.masks import Mask


class ResolvedRule(Struct, frozen=True):
    """One rule: `peers` are the workloads and outside peers that it admits, by number; all of them where it
    names none (`anybody`). It means nobody where it names peers and `peers` is empty and no `addresses` are
    named."""

    peers: Mask
    anybody: bool
    addresses: AddressSet
    ports: tuple[PolicyPort, ...]

    @property
    def matches_nobody(self) -> bool:
        """Whether the rule names peers of which none is in the input."""
        return not (self.anybody or self.peers or self.addresses)


class ResolvedPolicy(Struct, frozen=True):
    """A policy, and its rules by direction as far as its types say that they count."""

    policy: NetworkPolicy
    egress: tuple[ResolvedRule, ...] = ()
    ingress: tuple[ResolvedRule, ...] = ()

    def rules(self, direction: Direction) -> tuple[ResolvedRule, ...]:
        return self.ingress if direction is Direction.INGRESS else self.egress
