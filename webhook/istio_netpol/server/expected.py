"""Policies that count as stored before the source shows them, each for a few seconds and no longer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from math import ceil, inf

from istio_netpol.flows.table import FlowTable
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.state.contents import say_the_same

EXPECTED_SECONDS = 5.0
"""How long a policy that was written, or admitted, counts as stored before the source has shown it: who
applies what a denial shows and repeats the request at once is through. Those of half a second end together,
since the rest is then laid over the table anew."""
TOGETHER_SECONDS = 0.5

NEWS_SECONDS = 2.0
"""What came so recently may have come between the two reviews of one request."""

STEP_SECONDS = 0.5
"""How far apart the tables are, at least every other one, that are kept for that, but for the newest two."""


class ExpectedPolicies:
    """Holds the newest table of the source, with what is expected laid over it. Every method may be called
    from any thread.

    An expectation ends when the source shows the policy, and by time alone: what is never stored counts for
    nobody afterwards, also where nothing else happens in the cluster.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._source: FlowTable | None = None
        self._table: FlowTable | None = None
        self._expected: dict[tuple[str, str], tuple[NetworkPolicy, float]] = {}
        self._next_end = inf
        self._history: list[tuple[float, FlowTable]] = []

    def take(self, table: FlowTable) -> None:
        """Goes by a new table of the source from now on."""
        with self._lock:
            self._source = table
            now = self._clock()
            if len(self._history) > 2 and self._history[-1][0] - self._history[-3][0] < STEP_SECONDS:
                self._history.pop(-2)
            self._history.append((now, table))
            self._forget()
            found = self._expected.items()
            self._lay(
                {key: policy for key, policy in found if table.snapshot.find(NetworkPolicy, *key) is None}
            )

    def add(self, policies: Sequence[NetworkPolicy]) -> None:
        """Counts policies as there for `EXPECTED_SECONDS` from now, and at most `TOGETHER_SECONDS` longer."""
        if not policies:
            return
        until = ceil((self._clock() + EXPECTED_SECONDS) / TOGETHER_SECONDS) * TOGETHER_SECONDS
        with self._lock:
            found = [self._known(policy) for policy in policies]
            self._expected.update({(policy.namespace, policy.name): (policy, until) for policy in found})
            self._next_end = min(self._next_end, until)
            if self._table is not None:
                self._table = self._table.with_objects(found)

    def _known(self, policy: NetworkPolicy) -> NetworkPolicy:
        """The policy that is expected already, where it says the same: what was found by it holds on."""
        found = self._expected.get((policy.namespace, policy.name))
        return found[0] if found and say_the_same(found[0], policy) else policy

    def table(self) -> FlowTable | None:
        """What to decide by at this moment; None before the source was read."""
        with self._lock:
            now = self._clock()
            if self._next_end <= now:
                self._lay(self._expected)
            self._forget()
            return self._table

    def earlier(self) -> tuple[FlowTable, ...]:
        """Tables of the last `NEWS_SECONDS` by which the first review of a request may have gone, the newest
        first: that is the one before. The last is the one of then, or of at most a step before, or the first
        where the source was read later than that: what came after it is news to everybody."""
        with self._lock:
            self._forget()
            return tuple(table for _, table in reversed(self._history))

    def _forget(self) -> None:
        """Lets tables go that were replaced before `NEWS_SECONDS` ago."""
        until = self._clock() - NEWS_SECONDS
        while len(self._history) > 1 and self._history[1][0] <= until:
            self._history.pop(0)

    def _lay(self, expected: dict[tuple[str, str], tuple[NetworkPolicy, float]]) -> None:
        """Lays what is still to be expected over the table of the source."""
        now = self._clock()
        self._expected = {key: entry for key, entry in expected.items() if entry[1] > now}
        self._next_end = min((until for _, until in self._expected.values()), default=inf)
        unseen = [policy for policy, _ in self._expected.values()]
        self._table = self._source.with_objects(unseen) if self._source and unseen else self._source
