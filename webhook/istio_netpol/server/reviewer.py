"""Answers AdmissionReviews from the newest table of required flows, and stores what a decision writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cache, partial

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.admission import request_warnings
from istio_netpol.admission.cleared import Cleared
from istio_netpol.admission.decision import Decision
from istio_netpol.admission.opt_in import patch_of
from istio_netpol.admission.review import change_of, decide
from istio_netpol.admission.reviews import AdmissionRequest, BadRequest, encode, parse
from istio_netpol.admission.scope import namespace_of
from istio_netpol.dns.budget import Budget
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.failures import Deadline
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.policy_store import PolicyReader, PolicyStore, StoreResult
from istio_netpol.model.resolution import Resolver
from istio_netpol.remedies.quota import is_generated
from istio_netpol.server.expected import ExpectedPolicies
from istio_netpol.server.turnstile import Turnstile, WaitingAside
from istio_netpol.state.contents import say_the_same

LOOKUP_SECONDS = 0.5
"""How long one review waits for DNS in all: ten times what a good answer takes, and a tenth of what the API
server allows the chart's webhooks. What comes later is known to the next review, and to the controller."""

AT_ONCE, AT_ONCE_EACH = 4, 1
"""How many reviews are worked out at a time, in all and of one namespace; those that wait for DNS or the API
server don't count. The namespaces take turns: one whose reviews come by the hundred makes its own wait for
each other. More at a time would not be faster, since the interpreter runs one thread at a time."""

CATCH_UP_SECONDS = 0.5
"""How long a denial, and a review that has policies written, waits for changes that were heard of and not
taken in yet."""

MOST_READS = 4
"""In how many namespaces a denial has policies read anew: the two ends of a connection, for most."""


class ReviewResponse(Struct, frozen=True):
    """The HTTP status and body for the API server; `request` and `decision` are for logs and metrics."""

    status: int
    body: bytes
    request: AdmissionRequest | None = None
    decision: Decision | None = None
    stored: tuple[StoreResult, ...] = ()
    reason: str = ""


Decide = Callable[..., Decision]
"""Decides on the request of one review by a table: `decide` with everything else given."""

ANSWER_SECONDS = 0.5
"""How long before the API server stops waiting an answer has to be under way."""

PoliciesByNamespace = dict[str, tuple[NetworkPolicy, ...]]
"""Policies by namespace."""

NEWS = "istio-netpol will add right after it what it needs because of a change of this moment"
NOT_READY = "the cluster was not read yet, or not without errors; see /readyz"


class Reviewer:
    """Holds the table that decisions go by. Every method may be called from any thread."""

    def __init__(
        self,
        store: PolicyStore,
        resolver: Resolver,
        clock: Callable[[], float] = time.monotonic,
        live: PolicyReader | None = None,
    ) -> None:
        self._store = store
        self._resolver = resolver
        self._live = live
        self._clock = clock
        self._cleared = Cleared()
        self._expected = ExpectedPolicies(clock)
        self._turnstile = Turnstile(AT_ONCE, AT_ONCE_EACH)
        self._catch_up: Callable[[float], None] = lambda seconds: None
        self._is_behind: Callable[[], bool] = lambda: False

    @property
    def is_ready(self) -> bool:
        """Whether there is a table to decide by."""
        return self._expected.table() is not None

    @property
    def is_busy(self) -> bool:
        """Whether a review is being worked out."""
        return self._turnstile.is_busy

    def table(self) -> FlowTable | None:
        """The table that decisions go by now; None before there is one."""
        return self._expected.table()

    def take(self, table: FlowTable) -> None:
        """Goes by a new table from now on, with what was just written and is not in it yet."""
        self._expected.take(table)

    def catch_up_by(
        self, catch_up: Callable[[float], None], is_behind: Callable[[], bool] = lambda: True
    ) -> None:
        """Has changes that were heard of taken in by this before anything is refused or written; it is told
        for how many seconds it may wait, and is called only where decisions are behind what was heard of."""
        self._catch_up, self._is_behind = catch_up, is_behind

    def review(
        self,
        body: bytes,
        *,
        mutating: bool,
        may_write: bool = True,
        seconds: float | None = None,
        give_way: Callable[[], None] = lambda: None,
    ) -> ReviewResponse:
        """The answer to one review; a body that is not a review gets an error instead. Where it `may_write`
        nothing, missing policies are left to whoever may. `seconds` is how long the answer is waited for, and
        `give_way` is called before this thread waits for anything."""
        started = self._clock()
        request = parse(body)
        if isinstance(request, BadRequest):
            return ReviewResponse(request.status, b"", reason=request.reason)
        with self._turnstile.turn(namespace_of(request), give_way):
            return self._answered(request, started, seconds, mutating=mutating, may_write=may_write)

    def _answered(
        self,
        request: AdmissionRequest,
        started: float,
        seconds: float | None,
        *,
        mutating: bool,
        may_write: bool,
    ) -> ReviewResponse:
        """The answer to a request whose turn it is."""
        table = self._expected.table()
        if table is None:
            return ReviewResponse(503, b"", request, reason=NOT_READY)
        resolver = Budget(WaitingAside(self._resolver, self._turnstile), LOOKUP_SECONDS)
        ends = started + _time_left(table, seconds)
        deadline, change = Deadline(lambda: self._clock() > ends), cache(partial(change_of, request))
        decide_by = partial(decide, request, resolver=resolver, deadline=deadline, change=change, impacts={})
        decision = decide_by(table, mutating=mutating, cleared=self._cleared)
        matters = not decision.allowed or (may_write and decision.write)
        if matters and (newer := self._newer(table, ends)) is not None:
            table, again = newer, decide_by(newer, mutating=mutating, cleared=self._cleared)
            decision = _in_time(again, decision, deadline)
        writing = decision.write if may_write else ()
        stored = self.store(writing, namespace_of(request)) if writing else ()
        if not decision.allowed and decision.missed:
            again, stored = self._decided_anew(request, decision, table, decide_by, may_write=may_write)
            decision = _in_time(again, decision, deadline)
        if self._live is None and may_write:
            # A folder has nobody else to ask. Where an API server tells before each denial what is stored,
            # a policy that it was only about to store is not believed in.
            self._expected.add(decision.admitted)
        if stored:
            decision = replace(decision, warnings=(*decision.warnings, *_told(stored)))
        patch = patch_of(request, decision.labels)
        encoded = encode(
            request.uid, decision.allowed, decision.message, decision.causes, decision.warnings, patch
        )
        return ReviewResponse(200, encoded, request, decision, stored)

    def _newer(self, table: FlowTable, ends: float) -> FlowTable | None:
        """The table with what was heard of by now, where that is another one: who put right what a denial
        names is not refused for it once more, and what a policy of theirs makes needless is not written."""
        if self._is_behind():  # or the turn would be given away, and the lead of the loop with it
            with self._turnstile.aside():
                self._catch_up(max(0.0, min(CATCH_UP_SECONDS, ends - self._clock())))
        newer = self._expected.table()
        return None if newer is table else newer

    def _decided_anew(
        self,
        request: AdmissionRequest,
        denial: Decision,
        table: FlowTable,
        decide_by: Decide,
        *,
        may_write: bool,
    ) -> tuple[Decision, tuple[StoreResult, ...]]:
        """A denial once more, by what is stored at this moment and what can be added now: in mode augment,
        what became known since `/mutate` was asked needs policies that nobody has written."""
        found = self._read(denial.missed)
        fresh = _with_policies(table, found) or table
        missing = decide_by(fresh, mutating=True).write
        if missing and not may_write:
            return self._excused(request, denial, fresh, found, decide_by), ()
        stored = self.store(missing, namespace_of(request)) if missing else ()
        written = [result.policy for result in stored if result.written]
        if fresh is table and not written:
            return denial, stored
        return decide_by(fresh.with_objects(written), mutating=False), stored

    def _excused(
        self,
        request: AdmissionRequest,
        denial: Decision,
        fresh: FlowTable,
        found: PoliciesByNamespace,
        decide_by: Decide,
    ) -> Decision:
        """A denial in mode augment once more, where nothing is written on the review's word: what only became
        known after `/mutate` may have been asked refuses nobody, and is added once the object is stored: a
        need that came, or a policy that went. What was known all the while was not written for a reason."""
        decision = decide_by(fresh, mutating=False)
        if decision.allowed:
            return decision
        ours = [policy for policies in found.values() for policy in policies if is_generated(policy)]
        for earlier in self._expected.earlier():
            before = decide_by(earlier.with_objects(ours), mutating=False)
            if before.allowed:
                warnings = request_warnings.of_sentences([NEWS, *before.warnings])
                return replace(before, warnings=warnings, rules=decision.rules)
        return decision

    def _read(self, namespaces: Sequence[str]) -> PoliciesByNamespace:
        """The policies that a few namespaces have at this moment, without those of which nobody can tell."""
        if self._live is None:
            return {}
        with self._turnstile.aside():
            found = {namespace: self._live.read(namespace) for namespace in namespaces[:MOST_READS]}
        return {namespace: policies for namespace, policies in found.items() if policies is not None}

    def store(self, policies: Sequence[NetworkPolicy], asker: str = "") -> tuple[StoreResult, ...]:
        """Stores policies and counts the written ones as there at once; `asker` as in `PolicyStore`."""
        with self._turnstile.aside():
            results = self._store.write(policies, asker)
        self._expected.add([result.policy for result in results if result.written])
        return results


def _in_time(again: Decision, first: Decision, deadline: Deadline) -> Decision:
    """What was decided again, unless time ran out before it was: the first decision says what is missing,
    which is of more use than that there was no time."""
    return first if deadline.is_over() and (first.write or not again.allowed) else again


def _with_policies(table: FlowTable, found: PoliciesByNamespace) -> FlowTable | None:
    """The table with the policies that were found; None where it has them already. A table that lags behind
    must not deny what is allowed."""
    put: list[NetworkPolicy] = []
    remove: list[NetworkPolicy] = []
    for namespace, policies in found.items():
        known = {policy.name: policy for policy in table.snapshot.of_type(NetworkPolicy, namespace)}
        put += [policy for policy in policies if not say_the_same(known.pop(policy.name, None), policy)]
        remove += known.values()
    return table.with_changes(put, remove) if put or remove else None


def _time_left(table: FlowTable, seconds: float | None) -> float:
    """For how many seconds a review may be worked on."""
    most = float(table.settings.limits.review_seconds)
    return most if seconds is None else min(most, max(0.0, seconds - ANSWER_SECONDS))


def _told(stored: Sequence[StoreResult]) -> tuple[str, ...]:
    """What could not be written before what was, within the limits of the API for all together."""
    refused = [
        f"istio-netpol could not add NetworkPolicy {result.policy.key}: {result.refused}"
        for result in stored
        if not result.written
    ]
    return request_warnings.of_sentences(
        [*refused, *request_warnings.wrote([result.policy for result in stored if result.written])]
    )
