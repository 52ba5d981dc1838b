"""A tenant that does its worst holds up no review of another one, and none of its policies.

Times are bounded generously, as the machine may be busy; `python -m benchmarks neighbours` measures them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.kube.neighbours import (
    Neighbours,
    keys_at_an_address,
    keys_of_a_silent_host,
    neighbours,
    workload,
)

from istio_netpol.model.own_names import REQUIRED_BY

LIMIT = 40


@pytest.fixture(scope="module")
def world(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neighbours]:
    admission = {"maxPoliciesPerNamespace": LIMIT, "writesPerSecond": 5}
    with neighbours(control_plane, tmp_path_factory.mktemp("neighbours"), admission) as found:
        yield found


def test_sixty_four_reviews_with_silent_hosts_hold_up_nobody(world: Neighbours) -> None:
    """The victim's own reviews are answered in between, those that name a host within the time for one."""
    with world.attacked(keys_of_a_silent_host, 64):
        victim = world.reviewed(world.victim, workload, count(), 0.05, 4.0)
        named = world.reviewed(world.victim, keys_of_a_silent_host, count(), 0.05, 2.0)
    times = sorted(victim.milliseconds)
    assert times[len(times) // 2] < 5000, "one after the other, those with silent hosts take half a minute"
    assert victim.withheld == []
    assert max(named.milliseconds) < 15_000


def test_one_tenants_policies_leave_the_others_theirs(world: Neighbours) -> None:
    """The attacker has as many policies of istiod written as one namespace may, as fast as it can; the victim
    gets each of its own at once."""
    with world.attacked(keys_at_an_address, 4) as attack:
        victim = world.reviewed(world.victim, keys_at_an_address, count(), 0.5, 12.0)
    assert victim.withheld == []
    refused = " ".join(reason for fared in attack for reason in fared.withheld)
    assert "admission.writesPerSecond" in refused or "admission.maxPoliciesPerNamespace" in refused
    needs = [policy["metadata"]["annotations"][REQUIRED_BY] for policy in world.generated()]
    assert sum(f"/{world.victim}/" in need for need in needs) == len(victim.milliseconds)
    assert sum(f"/{world.attacker}/" in need for need in needs) <= LIMIT
