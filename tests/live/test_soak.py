"""Hundreds of applies with churn: nothing is missing at the end, nothing is over, and memory stays flat."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kube.manifests import deployment
from tests.live.live_cluster import Live
from tests.live.tenant import NEEDED, Tenant

APPLIES = int(os.environ.get("SOAK_APPLIES", "500"))
SECONDS = float(os.environ.get("SOAK_SECONDS", "120"))
WARM_UP = 0.3
"""The share of all applies after which memory counts: caches are filled, and the allocator has its pools."""

MORE_MIB = 12.0
"""By how much resident memory may differ afterwards; a leak of 50 KiB an apply would be twice that."""

TENANTS, NAMES = 3, 8
DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"


def resident_mib(pid: int) -> float:
    """Resident memory of a process and its children, from /proc."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20 + sum(resident_mib(int(child)) for child in children)


class Churn:
    """Deployments that come, change and go in some namespaces; `there` are those that should be there."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.tenants = [Tenant(live, "augment") for _ in range(TENANTS)]
        self.there: set[tuple[str, str]] = set()

    def steps(self) -> Iterator[None]:
        """One apply or deletion a step, in an order that leaves every name in every state."""
        api = self.live.plane.api()
        for number in range(APPLIES):
            tenant = self.tenants[number % TENANTS]
            name = f"app-{number // TENANTS % NAMES}"
            path = DEPLOYMENTS.format(tenant.namespace)
            manifest = deployment(name, tenant.namespace)
            manifest["spec"]["replicas"] = number % 2
            manifest["spec"]["template"]["metadata"]["annotations"] = {"step": str(number)}
            if (tenant.namespace, name) not in self.there:
                answer = api.request("POST", path, manifest)
                self.there.add((tenant.namespace, name))
            elif number % 5 == 0:
                answer = api.request("DELETE", f"{path}/{name}")
                self.there.remove((tenant.namespace, name))
            else:
                answer = api.request("PUT", f"{path}/{name}", manifest)
            assert answer.status in {200, 201}, json.dumps(answer.object)
            yield

    def expected(self, tenant: Tenant) -> list[str]:
        """The flow kinds of the policies that a namespace should have."""
        count = sum(namespace == tenant.namespace for namespace, _ in self.there)
        return sorted([*NEEDED] * count)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_hundreds_of_applies_leave_nothing_missing_nothing_over_and_no_memory_taken(live: Live) -> None:
    """Webhook and controller are as large at the end as after the first third, and each Deployment that is
    there has its policies, and no other has."""
    churn = Churn(live)
    pids = {"webhook": live.webhook.pid, "controller": live.controller.pid}
    started, warm, done = time.monotonic(), {}, 0
    for done, _ in enumerate(churn.steps(), 1):
        if done == int(APPLIES * WARM_UP):
            warm = {name: resident_mib(pid) for name, pid in pids.items()}
        if time.monotonic() - started > SECONDS:
            break
    assert done > APPLIES * WARM_UP, f"only {done} applies in {SECONDS:g} s"
    for tenant in churn.tenants:
        live.plane.wait_until(
            "policies are as they should be",
            lambda tenant=tenant: tenant.kinds() == churn.expected(tenant),
            90,
        )
    memory = {name: resident_mib(pid) for name, pid in pids.items()}
    told = ", ".join(f"{name} {warm[name]:.0f} to {memory[name]:.0f} MiB" for name in pids)
    print(f"{done} applies in {time.monotonic() - started:.0f} s: {told}")
    assert all(memory[name] - warm[name] < MORE_MIB for name in pids), told
