"""What counts as stored between a request and the next look at the source."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from tests.admission.objects import CONTROL_PLANE, Manifest, allow, deny_all, deployment, namespace
from tests.admission.state import Answers, State, written
from tests.serving.reviews import review
from tests.values import EGRESS, policy

from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.policy_store import StoreResult
from istio_netpol.server.expected import (
    EXPECTED_SECONDS,
    NEWS_SECONDS,
    STEP_SECONDS,
    TOGETHER_SECONDS,
    ExpectedPolicies,
)
from istio_netpol.server.reviewer import CATCH_UP_SECONDS, NEWS, Reviewer

CART = deployment("shop/cart")
MESH = allow("shop/mesh", egress=[{}])


class Shelf:
    """A store that takes everything, or refuses everything."""

    def __init__(self, refusal: str = "") -> None:
        self.taken: list[str] = []
        self._refusal = refusal

    def write(self, policies: Sequence[NetworkPolicy], asker: str = "") -> tuple[StoreResult, ...]:
        self.taken += [policy.key for policy in policies]
        return tuple(StoreResult(policy, not self._refusal, self._refusal) for policy in policies)


class Desk:
    """A reviewer of a namespace under a deny-all, with a clock to turn."""

    def __init__(
        self, mode: str, refusal: str = "", *, live: bool = False, at_first: State | None = None
    ) -> None:
        self.now = 0.0
        self.shelf = Shelf(refusal)
        self.state = State([*CONTROL_PLANE, namespace("shop", mode), deny_all("shop")])
        self.there = self.state
        reader = self if live else None
        self.reviewer = Reviewer(self.shelf, Answers({}), lambda: self.now, reader)
        self.reviewer.take((at_first or self.state).table)

    def read(self, namespace: str) -> tuple[NetworkPolicy, ...]:
        """Implements `PolicyReader`: what is stored by now, though no watch has shown it."""
        return tuple(self.there.table.snapshot.of_type(NetworkPolicy, namespace))

    def ask(
        self, new: Manifest, mutating: bool = False, dry_run: bool = False, may_write: bool = True
    ) -> tuple[bool, list[str]]:
        answer = self.reviewer.review(review(new, dry_run=dry_run), mutating=mutating, may_write=may_write)
        assert answer.status == 200, answer.reason
        response = json.loads(answer.body)["response"]
        return response["allowed"], response.get("warnings", [])

    def evaluated(self, new: Manifest) -> bool:
        """Whether the validating webhook asks the rules."""
        decision = self.reviewer.review(review(new), mutating=False).decision
        return decision is not None and decision.worked_out


def test_a_denial_waits_for_what_was_heard_of_and_an_admission_for_nothing() -> None:
    """A namespace that left the mesh a moment ago, or whose mode was changed, refuses nothing any more."""
    desk, asked = Desk("reject"), list[float]()

    def catch_up(seconds: float) -> None:
        asked.append(seconds)
        desk.reviewer.take(State([*CONTROL_PLANE, namespace("shop", "off"), deny_all("shop")]).table)

    desk.reviewer.catch_up_by(catch_up)
    assert desk.ask(MESH)[0]
    assert asked == []
    desk.now += EXPECTED_SECONDS
    assert desk.ask(CART)[0]
    assert len(asked) == 1
    assert 0 < asked[0] <= CATCH_UP_SECONDS


def test_what_is_written_waits_for_what_was_heard_of_too() -> None:
    """A policy that was stored a moment ago makes those of mode augment needless. Where nothing may be
    written, nothing is waited for."""
    desk, asked = Desk("augment"), list[float]()

    def catch_up(seconds: float) -> None:
        asked.append(seconds)
        desk.reviewer.take(
            State([*CONTROL_PLANE, namespace("shop", "augment"), deny_all("shop"), MESH]).table
        )

    desk.reviewer.catch_up_by(catch_up)
    assert desk.ask(CART, mutating=True, may_write=False) == (True, [])
    assert asked == []
    assert desk.ask(CART, mutating=True) == (True, [])
    assert desk.shelf.taken == []
    assert len(asked) == 1
    assert 0 < asked[0] <= CATCH_UP_SECONDS


@pytest.mark.parametrize("live", [False, True])
def test_a_decision_that_can_not_be_made_again_in_time_stands(live: bool) -> None:
    """It names what is missing, and was made in time; so does what is written for it."""
    denied, augmented = Desk("reject", live=live), Desk("augment", live=live)
    for desk in (denied, augmented):

        def catch_up(seconds: float, desk: Desk = desk) -> None:
            desk.now += 3600
            desk.reviewer.take(State(desk.state.stored).table)

        desk.reviewer.catch_up_by(catch_up)
    decision = denied.reviewer.review(review(CART), mutating=False).decision
    assert decision is not None
    assert not decision.allowed
    assert decision.missed == ("shop",)
    assert "too much" not in decision.message
    assert augmented.ask(CART, mutating=True)[0]
    assert len(augmented.shelf.taken) == 2


def test_a_denial_stands_where_what_is_stored_is_read_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The API server took its time to say what is stored by now."""
    desk = Desk("reject", live=True)
    desk.there = State([*desk.state.stored, allow("shop/other", egress=[])])
    read = desk.read

    def read_late(namespace: str) -> tuple[NetworkPolicy, ...]:
        desk.now += 3600
        return read(namespace)

    monkeypatch.setattr(desk, "read", read_late)
    decision = desk.reviewer.review(review(CART), mutating=False).decision
    assert decision is not None
    assert decision.missed == ("shop",)


def test_a_denial_that_still_holds_is_one() -> None:
    """Whatever was heard of meanwhile, and also where nothing was."""
    desk = Desk("reject")
    desk.reviewer.catch_up_by(lambda seconds: None)
    assert not desk.ask(CART)[0]
    desk.reviewer.catch_up_by(lambda seconds: desk.reviewer.take(State(desk.state.stored).table))
    assert not desk.ask(CART)[0]


def test_policy_that_was_just_admitted_counts_at_once() -> None:
    """`kubectl apply` of the policy, then of the workload, is through though no look came between."""
    desk = Desk("reject")
    assert not desk.ask(CART)[0]
    assert desk.ask(MESH)[0]
    assert desk.ask(CART)[0]


def test_policy_of_a_dry_run_does_not_count() -> None:
    """Nothing was stored."""
    desk = Desk("reject")
    desk.ask(MESH, dry_run=True)
    assert not desk.ask(CART)[0]


def test_policy_that_the_source_never_shows_stops_counting() -> None:
    """Somebody else refused it: after a few seconds it is gone, also where nothing happens meanwhile."""
    desk = Desk("reject")
    desk.ask(MESH)
    desk.now += EXPECTED_SECONDS / 2
    desk.reviewer.take(desk.state.table)
    assert desk.ask(CART)[0]
    desk.now += EXPECTED_SECONDS / 2
    assert not desk.ask(CART)[0]


def test_what_is_expected_elsewhere_ends_no_answer() -> None:
    """A policy of another namespace was admitted: nobody in the shop is judged by it. One that closes the
    shop has its pods worked out, and when it ends, what was found before it holds again."""
    desk = Desk("off")
    open_shop = [*CONTROL_PLANE, namespace("shop", "reject"), namespace("else", "reject")]
    desk.reviewer.take(State(open_shop).table)
    assert [desk.evaluated(CART) for _ in range(2)] == [True, False]
    desk.ask(deny_all("else"))
    assert not desk.evaluated(CART)
    desk.ask(deny_all("shop"))
    assert desk.evaluated(CART)
    desk.now += EXPECTED_SECONDS + TOGETHER_SECONDS
    assert not desk.evaluated(CART)


def test_what_is_admitted_once_more_ends_no_answer() -> None:
    """Somebody else refused the policy, and its author tries again."""
    desk, ours = Desk("off"), allow("shop/more", ingress=[{}])
    desk.reviewer.take(State([*CONTROL_PLANE, namespace("shop", "reject")]).table)
    desk.ask(ours)
    assert desk.evaluated(CART)
    desk.ask(ours)
    assert not desk.evaluated(CART)
    desk.ask(allow("shop/more", ingress=[{"ports": [{"port": 80}]}]))
    assert desk.evaluated(CART)


def test_what_is_expected_ends_together_and_none_before_its_time() -> None:
    """The rest is laid over the table anew once for all that ended."""
    desk = Desk("reject")
    desk.now += 0.3
    desk.ask(MESH)
    desk.now += EXPECTED_SECONDS
    assert desk.ask(CART)[0]
    desk.now += TOGETHER_SECONDS
    assert not desk.ask(CART)[0]


def test_deny_all_that_is_never_stored_isolates_nobody_for_long() -> None:
    """What only isolates ends by the same clock as what only allows."""
    desk = Desk("reject")
    desk.reviewer.take(State([*CONTROL_PLANE, namespace("shop", "reject")]).table)
    assert desk.ask(deny_all("shop"))[0]
    assert not desk.ask(CART)[0]
    desk.now += EXPECTED_SECONDS
    assert desk.ask(CART) == (True, [])


def test_where_an_api_server_can_be_asked_a_policy_counts_once_it_is_stored() -> None:
    """An admitted policy may never be stored: a denial is left to what the API server says, not to hopes."""
    desk = Desk("reject", live=True)
    assert desk.ask(MESH)[0]
    assert not desk.ask(CART)[0]
    desk.there = desk.state.after(MESH)
    assert desk.ask(CART)[0]


def test_a_creation_that_claims_to_replace_something_clears_no_pods() -> None:
    """The API server sends no such review; judged as a change of nothing, it would speak for real pods."""
    desk = Desk("reject")
    body = json.loads(review(CART))
    body["request"]["oldObject"] = body["request"]["object"]
    forged = desk.reviewer.review(json.dumps(body).encode(), mutating=False)
    assert forged.decision is not None
    assert not forged.decision.allowed
    assert not desk.ask(CART)[0]


def test_written_policies_count_at_once() -> None:
    """The validating webhook sees what the mutating one wrote a moment ago."""
    desk = Desk("augment")
    allowed, warnings = desk.ask(CART, mutating=True)
    assert allowed
    assert [warning.rsplit("-", 4)[0] for warning in warnings] == [
        "istio-netpol added NetworkPolicy shop/dns-cart",
        "istio-netpol added NetworkPolicy shop/proxy-to-istiod-cart",
    ]
    assert desk.ask(CART) == (True, [])


def test_what_became_known_between_the_two_reviews_is_covered_too() -> None:
    """A deny-all that was admitted as the mutating webhook was asked refuses nobody in mode augment."""
    desk = Desk("augment")
    desk.reviewer.take(State([*CONTROL_PLANE, namespace("shop", "augment")]).table)
    assert desk.ask(CART, mutating=True) == (True, [])
    desk.reviewer.take(desk.state.table)
    assert desk.ask(CART, dry_run=True)[1] != []
    assert desk.shelf.taken == []
    allowed, warnings = desk.ask(CART)
    assert allowed
    assert [warning.partition("/")[2].rsplit("-", 4)[0] for warning in warnings] == [
        "dns-cart",
        "proxy-to-istiod-cart",
    ]
    assert desk.ask(CART) == (True, [])


def test_policy_that_could_not_be_written_refuses_the_workload() -> None:
    """A full disk is told, and does not start pods that can't reach istiod."""
    desk = Desk("augment", refusal="the disk is full")
    assert desk.ask(CART, mutating=True)[1][0].endswith("the disk is full")
    assert not desk.ask(CART)[0]


def test_a_look_that_does_not_show_written_policies_yet_changes_no_answer() -> None:
    """However many were written, what was worked out with them need not be worked out again."""
    desk = Desk("augment")
    for number in range(1500):
        desk.reviewer.store([policy(f"other-{number}/mesh", types=(EGRESS,))])
    assert desk.ask(CART, mutating=True)[0]
    assert desk.evaluated(CART)
    assert not desk.evaluated(CART)
    desk.reviewer.take(desk.state.table)
    assert not desk.evaluated(CART)


def test_hundreds_of_written_policies_are_no_burden() -> None:
    """One large apply between two looks keeps working to its end."""
    desk = Desk("augment")
    for number in range(500):
        desk.reviewer.store([policy(f"other-{number}/mesh", types=(EGRESS,))])
    assert desk.ask(CART, mutating=True)[0]
    assert desk.ask(CART) == (True, [])


def test_what_became_known_a_moment_ago_refuses_nobody_where_nothing_may_be_written() -> None:
    """In mode augment it is added once the object is stored. What was known before is a reason to refuse."""
    desk = Desk("augment", live=True)
    open_before = State([*CONTROL_PLANE, namespace("shop", "augment")])
    desk.reviewer.take(open_before.table)
    desk.now += NEWS_SECONDS
    desk.reviewer.take(desk.state.table)
    allowed, warnings = desk.ask(CART, may_write=False)
    assert allowed
    assert warnings == [NEWS]
    assert desk.shelf.taken == []
    desk.now += NEWS_SECONDS
    assert not desk.ask(CART, may_write=False)[0]
    assert desk.shelf.taken == []


@pytest.mark.parametrize("gone_for", [0.0, 0.3, NEWS_SECONDS - 0.1])
@pytest.mark.parametrize("there_for", [0.02, 0.8, 10.0])
def test_policies_that_went_a_moment_ago_refuse_nobody_where_nothing_may_be_written(
    there_for: float, gone_for: float
) -> None:
    """Who deletes a Deployment with its policies and creates it again: `/mutate` found nothing missing before
    the deletion was heard of. However long the policies had been there, and whatever else happens."""
    desk = Desk("augment", live=True)
    with_policies = desk.state.after(*written(desk.state.mutate(CART)))
    desk.now += NEWS_SECONDS
    desk.reviewer.take(with_policies.table)
    desk.now += there_for
    for _ in range(5):
        desk.now += 0.02
        desk.reviewer.take(desk.state.table)
    desk.now += gone_for
    assert desk.ask(CART, may_write=False) == (True, [NEWS])
    desk.now += 2 * NEWS_SECONDS
    assert not desk.ask(CART, may_write=False)[0]


def test_right_after_a_start_too_what_came_since_is_news() -> None:
    """Who has read the cluster a moment ago knows what was there then, and so what came afterwards."""
    was_there = Desk("augment", live=True)
    assert not was_there.ask(CART, may_write=False)[0]
    came = Desk("augment", live=True, at_first=State([*CONTROL_PLANE, namespace("shop", "augment")]))
    came.reviewer.take(came.state.table)
    assert came.ask(CART, may_write=False) == (True, [NEWS])


def test_in_mode_reject_news_refuse_as_everything_does() -> None:
    """Nobody adds anything there."""
    desk = Desk("reject", live=True)
    desk.reviewer.take(State([*CONTROL_PLANE, namespace("shop", "reject")]).table)
    desk.now += NEWS_SECONDS
    desk.reviewer.take(desk.state.table)
    assert not desk.ask(CART, may_write=False)[0]


def test_policies_of_the_mutating_review_count_where_nothing_may_be_written() -> None:
    """Another replica wrote them, and no watch has shown them yet."""
    desk = Desk("augment", live=True)
    needed = desk.state.mutate(CART)
    assert not desk.ask(CART, may_write=False)[0]
    desk.there = desk.state.after(*written(needed))
    assert desk.ask(CART, may_write=False) == (True, [])


def test_only_a_few_tables_are_kept_to_tell_what_is_news() -> None:
    """However often the cluster changes."""
    desk = Desk("augment")
    expected = ExpectedPolicies(lambda: desk.now)
    tables = []
    for _ in range(200):
        tables.append(State([*CONTROL_PLANE]).table if not tables else tables[-1].with_objects([]))
        expected.take(tables[-1])
        desk.now += 0.05
    earlier = expected.earlier()
    places = [next(number for number, table in enumerate(tables) if table is one) for one in earlier]
    assert places[:2] == [len(tables) - 1, len(tables) - 2]
    assert NEWS_SECONDS <= (len(tables) - places[-1]) * 0.05 <= NEWS_SECONDS + 2 * STEP_SECONDS
    assert len(earlier) <= 2 * NEWS_SECONDS / STEP_SECONDS + 3
