"""Whose generated policies there are: nobody can use up another namespace's."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.values import EGRESS, policy

from istio_netpol.model.own_names import MANAGED_BY, OWNER, REQUIRED_BY
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.remedies.quota import Account, Usage, usage_of


def generated(key: str, *required_by: str) -> NetworkPolicy:
    """A policy with our label, which says that these objects need it."""
    found = policy(key, types=(EGRESS,))
    return replace(found, labels={MANAGED_BY: OWNER}, annotations={REQUIRED_BY: ", ".join(required_by)})


def for_team_a(number: int, place: str = "istio-system") -> NetworkPolicy:
    return generated(f"{place}/a-{number}", f"VirtualService/team-a/shop-{number}")


def usage(*policies: NetworkPolicy) -> Usage:
    return usage_of(policies, lambda name: name == "istio-system")


@pytest.mark.parametrize(
    ("found", "accounts"),
    [
        (for_team_a(1), {Account("team-a")}),
        (for_team_a(1, "team-a"), {Account("team-a")}),
        (for_team_a(1, "team-b"), {Account("team-a", "team-b")}),
        (
            generated("istio-system/both", "VirtualService/team-a/x", "VirtualService/team-b/y"),
            {Account("team-a"), Account("team-b")},
        ),
        (generated("team-a/nobody"), {Account("team-a")}),
        (generated("team-a/odd", "who, knows/that", "a/b/c/d"), {Account("team-a")}),
        (generated("team-a/many", *(f"Pod/ns-{i}/x" for i in range(5000))), {Account("team-a")}),
    ],
)
def test_a_policy_counts_for_who_asks_for_it(found: NetworkPolicy, accounts: set[Account]) -> None:
    """Wherever it lies; for the namespace that it lies in where the annotation does not tell."""
    assert usage().accounts(found) == accounts


def test_one_tenant_does_not_use_up_a_shared_namespace() -> None:
    """Five hundred routes of one tenant leave another's route at the same gateway its policy."""
    found = usage(*map(for_team_a, range(500)))
    assert found.full(for_team_a(500), 500) == Account("team-a")
    assert found.full(for_team_a(0), 500) is None, "it is there, and may change"
    assert found.full(generated("istio-system/b", "VirtualService/team-b/x"), 500) is None


def test_a_policy_that_two_need_is_written_for_the_one_that_has_room() -> None:
    """Who is over the limit takes nobody along."""
    found = usage(*map(for_team_a, range(2)))
    both = generated("istio-system/both", "VirtualService/team-a/x", "VirtualService/team-b/y")
    assert found.full(both, 2) is None
    found.put(both)
    assert found.full(for_team_a(3), 2) == Account("team-a")


def test_forged_policies_use_up_nobodys_quota() -> None:
    """A tenant who writes our label and another's name on policies of its own takes up none of the victim's
    room, neither there nor at the gateways; nor does a caller whom the victim has let in."""
    forged = [generated(f"team-a/f-{i}", "Deployment/team-b/cart") for i in range(10)]
    let_in = [generated(f"team-b/c-{i}", "Deployment/team-a/x") for i in range(10)]
    found = usage(*forged, *let_in)
    for place in ("team-b", "istio-system"):
        assert found.full(generated(f"{place}/real", "Deployment/team-b/cart"), 10) is None
    assert found.full(generated("team-a/real", "Deployment/team-a/x"), 10) is None


def test_the_count_follows_what_happens() -> None:
    """Deleted policies make room, and so does one whose label was taken off or that asks for another."""
    found = usage(for_team_a(1), for_team_a(2))
    more = for_team_a(3)
    assert found.full(more, 2)
    found.put(replace(for_team_a(1), labels={}))
    assert found.full(more, 2) is None
    found.put(for_team_a(1))
    found.put(generated("istio-system/a-1", "VirtualService/team-b/x"))
    assert found.full(more, 2) is None
    found.put(for_team_a(1))
    found.remove(("istio-system", "a-1"))
    found.remove(("istio-system", "a-1"))
    assert found.full(more, 2) is None
    assert found.full(more, 1)
