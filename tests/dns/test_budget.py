"""All lookups of one analysis share a budget of time."""

from __future__ import annotations

from istio_netpol.dns.budget import Budget
from istio_netpol.model.resolution import Resolution, ResolutionStatus


class SlowAnswers:
    """A resolver that takes a second for every host, by a clock of its own."""

    def __init__(self) -> None:
        self.now = 100.0
        self.asked: list[str] = []

    def clock(self) -> float:
        return self.now

    def resolve(self, host: str, asker: str = "", seconds: float = 0.0) -> Resolution:
        self.now += 1.0
        self.asked.append(host)
        return Resolution(host, (), ResolutionStatus.RESOLVED)


def test_slow_hosts_are_looked_up_only_while_there_is_time() -> None:
    """Five hundred slow hosts in one object hold up the API server no longer than three do."""
    slow = SlowAnswers()
    budget = Budget(slow, 2.5, slow.clock)
    answers = [budget.resolve(f"host-{number}", "team-a") for number in range(500)]
    assert slow.asked == ["host-0", "host-1", "host-2"]
    assert [each.status for each in answers[:4]] == [ResolutionStatus.RESOLVED] * 3 + [
        ResolutionStatus.TIMEOUT
    ]
    assert answers[3].reason == "it was not looked up, since other hosts took more than 2.5 s"


def test_time_that_passes_between_lookups_does_not_count() -> None:
    """Only waiting for DNS uses up the budget."""
    slow = SlowAnswers()
    budget = Budget(slow, 2.5, slow.clock)
    for host in ("a", "b"):
        slow.now += 60.0
        budget.resolve(host, "team-a")
    assert budget.resolve("c", "team-a").status is ResolutionStatus.RESOLVED
