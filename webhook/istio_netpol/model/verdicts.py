"""What NetworkPolicies say of one connection."""

from __future__ import annotations

from dataclasses import dataclass

from istio_netpol.model.flows import RequiredFlow
from istio_netpol.model.policies import Direction, NetworkPolicy


@dataclass(frozen=True, slots=True)
class RuleRef:
    """The rule at `index` of a policy's ingress or egress list."""

    policy: NetworkPolicy
    direction: Direction
    index: int

    def __str__(self) -> str:
        return f"{self.policy.key} {self.direction.lower()}[{self.index}]"


@dataclass(frozen=True, slots=True)
class SideVerdict:
    """One side of a connection: open where nothing isolates it, else allowed where some rule allows.

    `allowed_by` holds the rules that allow. `by_ip_block` says that every one of them names pods by
    `ipBlock`, on which network plugins differ.
    """

    isolated_by: tuple[NetworkPolicy, ...] = ()
    allowed_by: tuple[RuleRef, ...] = ()
    by_ip_block: bool = False

    @property
    def allowed(self) -> bool:
        return not self.isolated_by or bool(self.allowed_by)


OPEN = SideVerdict()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Both sides of a connection; it is allowed where both are."""

    egress: SideVerdict = OPEN
    ingress: SideVerdict = OPEN

    @property
    def allowed(self) -> bool:
        return self.egress.allowed and self.ingress.allowed

    def side(self, direction: Direction) -> SideVerdict:
        return self.egress if direction is Direction.EGRESS else self.ingress


@dataclass(frozen=True, slots=True)
class Judged:
    """A required flow and what the policies say of it."""

    flow: RequiredFlow
    verdict: Verdict
