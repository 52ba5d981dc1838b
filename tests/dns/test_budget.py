"""All lookups of one analysis share a budget of time."""

from __future__ import annotations

import math

from istio_netpol.dns.budget import Budget
from istio_netpol.model.resolution import Resolution, ResolutionStatus


class SlowAnswers:
    """A resolver that takes a second for every host, by a clock of its own, and is waited for no longer than
    it is told."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waited: list[float] = []

    def clock(self) -> float:
        return self.now

    def resolve(self, host: str, asker: str, seconds: float = math.inf) -> Resolution:
        self.waited.append(seconds)
        self.now += min(1.0, seconds)
        return Resolution(host, (), ResolutionStatus.RESOLVED if seconds >= 1 else ResolutionStatus.PENDING)


def test_slow_hosts_are_waited_for_only_while_there_is_time() -> None:
    """Five hundred slow hosts in one object hold up the API server no longer than three do; what is known of
    the others costs no time."""
    slow = SlowAnswers()
    budget = Budget(slow, 2.5, clock=slow.clock)
    answers = [budget.resolve(f"host-{number}", "team-a") for number in range(500)]
    assert slow.now == 102.5
    assert slow.waited == [2.5, 1.5, 0.5] + [0.0] * 497
    assert [answer.status for answer in answers[:2]] == [ResolutionStatus.RESOLVED] * 2
    assert not budget.is_complete


def test_one_namespace_does_not_use_up_the_time_of_all() -> None:
    """Hosts of one tenant that never answer leave the others' their own time."""
    slow = SlowAnswers()
    budget = Budget(slow, 5.0, 1.0, slow.clock)
    for number in range(50):
        budget.resolve(f"host-{number}", "team-a")
    assert slow.now == 101.0
    assert budget.resolve("keys", "team-b").status is ResolutionStatus.RESOLVED


def test_time_that_passes_between_lookups_does_not_count() -> None:
    """Only waiting for DNS uses up the budget."""
    slow = SlowAnswers()
    budget = Budget(slow, 2.5, clock=slow.clock)
    for host in ("a", "b"):
        slow.now += 60.0
        budget.resolve(host, "team-a")
    assert budget.is_complete
    assert budget.resolve("c", "team-a").status is ResolutionStatus.PENDING
