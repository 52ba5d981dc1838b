"""Verdicts of NetworkPolicies, and of the tiers before and behind them, on one connection."""

from __future__ import annotations

from msgspec import Struct

from istio_netpol.model.flows import RequiredFlow
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyRule
from istio_netpol.model.services import Dialled
from istio_netpol.model.tiers import TierPolicy, TierRule
from istio_netpol.model.unread import UnreadPolicy


class RuleRef(Struct, frozen=True):
    """The rule at `index` of a policy's ingress or egress list."""

    policy: NetworkPolicy
    direction: Direction
    index: int

    @property
    def rule(self) -> PolicyRule:
        return self.policy.rules(self.direction)[self.index]

    def __str__(self) -> str:
        return f"{self.policy.key} {self.direction.lower()}[{self.index}]"


class TierRuleRef(Struct, frozen=True):
    """The rule at `index` of the ingress or egress list of a policy of the Admin or Baseline tier."""

    policy: TierPolicy
    direction: Direction
    index: int

    @property
    def rule(self) -> TierRule:
        return self.policy.rules(self.direction)[self.index]

    def __str__(self) -> str:
        return f"{self.policy.ref} {self.direction.lower()}[{self.index}] ({self.policy.tier} tier)"


class SideVerdict(Struct, frozen=True):
    """One side of a connection: open where nothing isolates it, else allowed where some rule allows, unless a
    tier decides.

    `allowed_by` holds the rules that allow. `by_ip_block` says that every one of them names pods by
    `ipBlock`, on which network plugins differ. `accepted_by` and `denied_by` are the rules of the Admin and
    Baseline tiers that decide; of `undecided` it can't be told whether they match, and the verdict, which
    takes them for not matching, depends on it. `dialled` is there where the side was judged at what the
    client dials, and `closed` has what of that is denied. Whether a denied side is open nevertheless by
    `perhaps_opened_by`, can't be told, since those are not read."""

    isolated_by: tuple[NetworkPolicy, ...] = ()
    allowed_by: tuple[RuleRef, ...] = ()
    by_ip_block: bool = False
    accepted_by: tuple[TierRuleRef, ...] = ()
    denied_by: tuple[TierRuleRef, ...] = ()
    undecided: tuple[TierRuleRef, ...] = ()
    dialled: Dialled | None = None
    closed: Dialled | None = None
    perhaps_opened_by: tuple[UnreadPolicy, ...] = ()

    @property
    def allowed(self) -> bool:
        if self.denied_by:
            return False
        return not self.isolated_by or bool(self.allowed_by or self.accepted_by)

    @property
    def is_uncertain(self) -> bool:
        """Whether nobody can tell if the side is open."""
        return bool(self.undecided or self.perhaps_opened_by)

    @property
    def is_denied(self) -> bool:
        """Whether the side is surely closed."""
        return not self.allowed and not self.is_uncertain


OPEN = SideVerdict()


class Verdict(Struct, frozen=True):
    """Both sides of a connection; it is allowed where both are."""

    egress: SideVerdict = OPEN
    ingress: SideVerdict = OPEN

    @property
    def allowed(self) -> bool:
        return self.egress.allowed and self.ingress.allowed

    @property
    def is_undecided(self) -> bool:
        """Whether nobody can tell: a rule of a tier may or may not match, or a policy that is not read may
        open it, and no side is surely denied."""
        sides = (self.egress, self.ingress)
        return any(side.is_uncertain for side in sides) and not any(side.is_denied for side in sides)

    def side(self, direction: Direction) -> SideVerdict:
        return self.egress if direction is Direction.EGRESS else self.ingress


class Judged(Struct, frozen=True):
    """A required flow and what the policies say of it."""

    flow: RequiredFlow
    verdict: Verdict
