"""What reviews may write: counted by the namespace whose object asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace
from tests.values import EGRESS, policy

from istio_netpol.kube import write_rate
from istio_netpol.kube.limited_store import LimitedStore
from istio_netpol.kube.write_rate import WriteRate
from istio_netpol.model.own_names import MANAGED_BY, OWNER, REQUIRED_BY
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.policy_store import StoreResult
from istio_netpol.model.settings import AdmissionSettings

GENEROUS = AdmissionSettings(writes_per_second=1000)


@dataclass
class Shelf:
    """A store that takes everything but what it was told to refuse."""

    refused: set[str] = field(default_factory=set)
    taken: list[str] = field(default_factory=list)

    def write(self, policies: Sequence[NetworkPolicy], asker: str = "") -> tuple[StoreResult, ...]:
        written = [policy.name not in self.refused for policy in policies]
        self.taken += [policy.name for policy in policies]
        return tuple(
            StoreResult(policy, good, "" if good else "no")
            for policy, good in zip(policies, written, strict=True)
        )


def route(number: int, team: str = "team-a") -> NetworkPolicy:
    """What opens the gateway's way to a workload of a team."""
    return replace(
        policy(f"istio-system/{team}-{number}", types=(EGRESS,)),
        labels={MANAGED_BY: OWNER},
        annotations={REQUIRED_BY: f"VirtualService/{team}/shop-{number}"},
    )


def limited(settings: AdmissionSettings, shelf: Shelf | None = None, now: list[float] | None = None):
    clock = (lambda: now[0]) if now else (lambda: 0.0)
    return LimitedStore(shelf or Shelf(), settings, lambda name: name == "istio-system", clock)


def write(store: LimitedStore, found: NetworkPolicy) -> StoreResult:
    (result,) = store.write([found], found.annotations[REQUIRED_BY].split("/")[1])
    return result


def test_an_object_that_needs_too_many_policies_gets_none() -> None:
    """The limit of one object holds for all of its policies together, and is named."""
    shelf = Shelf()
    store = limited(AdmissionSettings(max_policies_per_object=2), shelf)
    results = store.write([route(number) for number in range(3)], "team-a")
    assert [result.written for result in results] == [False] * 3
    assert "admission.maxPoliciesPerObject is 2" in results[0].refused
    assert shelf.taken == []


def test_one_tenants_routes_leave_the_gateways_open_to_another() -> None:
    """The limit is reached by what was just written, before any watch shows it, and by what is there."""
    store = limited(replace(GENEROUS, max_policies_per_namespace=50))
    store.restart(route(number) for number in range(30))
    results = [write(store, route(number)) for number in range(60)]
    assert [result.written for result in results] == [True] * 50 + [False] * 10
    assert results[-1].refused == (
        "namespace team-a has asked for 50 generated policies, as many as "
        "admission.maxPoliciesPerNamespace allows"
    )
    assert write(store, route(1, "team-b")).written


def test_what_is_collected_makes_room() -> None:
    """The count follows the cluster, and what could not be stored does not count."""
    shelf = Shelf({"team-a-1"})
    store = limited(replace(GENEROUS, max_policies_per_namespace=1), shelf)
    assert not write(store, route(1)).written
    assert write(store, route(2)).written
    assert not write(store, route(3)).written
    store.follow([], [route(2)])
    assert write(store, route(3)).written
    store.follow([route(4)], [route(3)])
    assert not write(store, route(5)).written


def test_a_tenant_that_writes_fast_waits_and_others_do_not() -> None:
    """Ten seconds' worth may come at once; then the asking namespace's own rate holds, though all policies
    lie beside one gateway."""
    now = [1.0]
    store = limited(AdmissionSettings(writes_per_second=1), now=now)
    results = [write(store, route(number)) for number in range(11)]
    assert [result.written for result in results] == [True] * 10 + [False]
    assert "namespace team-a" in results[-1].refused
    assert "admission.writesPerSecond is 1" in results[-1].refused
    assert write(store, route(1, "team-b")).written
    now[0] += 1
    assert write(store, route(11)).written


def test_many_namespaces_do_not_make_a_busy_ones_rate_anew() -> None:
    """Whoever could make namespaces would otherwise write as fast as it likes."""
    rate = WriteRate(1, lambda: 0.0)
    assert [rate.take("team-a") for _ in range(11)] == [True] * 10 + [False]
    for number in range(write_rate.MOST_NAMESPACES + 10):
        rate.take(f"other-{number}")
    assert not rate.take("team-a")
