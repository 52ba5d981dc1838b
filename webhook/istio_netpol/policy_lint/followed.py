"""The policies of a snapshot as they would be after a reader followed all advice given so far."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.model.flows import RequiredFlow
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.policy_lint.coverage import opens_within
from istio_netpol.policy_lint.narrower import as_meant
from istio_netpol.policy_lint.uses import RuleUses, rejudged
from istio_netpol.state.snapshot import Snapshot


class Followed:
    """Takes policies in the place of others one by one, each judged beside those before it: so all of them
    may be followed, or any."""

    def __init__(self, uses: RuleUses) -> None:
        self.uses = uses
        self.snapshot = uses.snapshot

    def lost(self, policy: NetworkPolicy, snapshot: Snapshot) -> Iterator[tuple[Direction, RequiredFlow]]:
        """The flows through a policy that would be denied in a snapshot with other policies, and on which
        side."""
        for direction in sorted(policy.policy_types):
            for index in range(len(policy.rules(direction))):
                for judged in self.uses.of(policy, direction, index):
                    if not rejudged(judged, snapshot).side(direction).allowed:
                        yield direction, judged.flow

    def takes(self, policy: NetworkPolicy, other: NetworkPolicy) -> bool:
        """Whether another policy may stand in the place of this one, which it then does: it opens nothing
        more, and every flow that passed is still allowed."""
        if other.does_the_same(policy) or not opens_within(other, as_meant(policy, self.uses)):
            return False
        after = self.snapshot.with_changes(put=[other])
        if any(True for _ in self.lost(policy, after)):
            return False
        self.snapshot = after
        return True
