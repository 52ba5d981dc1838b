"""What a Deployment or CronJob costs the webhook with the chart's configurations, down to its pods, and what
a pod gets that only claims to be one of those."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from tests.kube.manifests import deployment
from tests.live.live_cluster import Live
from tests.live.tenant import NEEDED, Tenant

REPLICAS = 3


def reviews(live: Live) -> dict[str, int]:
    """How many reviews each webhook has answered."""
    found = re.findall(
        r'^istio_netpol_reviews_total\{.*webhook="(\w+)".*\} (\S+)$', live.webhook.metrics(), re.MULTILINE
    )
    return {
        webhook: sum(int(float(count)) for name, count in found if name == webhook)
        for webhook in ("mutate", "validate")
    }


@contextmanager
def costing(live: Live, **expected: int) -> Iterator[None]:
    """Asserts that what is done in the block costs so many reviews of each webhook."""
    before = reviews(live)
    yield
    after = reviews(live)
    assert {webhook: after[webhook] - before[webhook] for webhook in after} == expected


def wait_for_pods(tenant: Tenant, count: int, *, besides: int = 0) -> None:
    pods = f"/api/v1/namespaces/{tenant.namespace}/pods"

    def are_there() -> bool:
        return len(tenant.plane.api().request("GET", pods).object["items"]) == count + besides

    tenant.plane.wait_until("the pods are there", are_there)


def with_replicas(tenant: Tenant) -> dict[str, Any]:
    wanted = deployment("web", tenant.namespace)
    wanted["spec"]["replicas"] = REPLICAS
    return wanted


def bare_pod(tenant: Tenant, name: str, *owners: Mapping[str, Any]) -> dict[str, Any]:
    """A pod with a sidecar's needs and whatever owners its author writes down."""
    template = deployment("web", tenant.namespace)["spec"]["template"]
    metadata = {**template["metadata"], "name": name, "ownerReferences": list(owners)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


@pytest.mark.parametrize("mode", ["warn", "reject"])
def test_pods_of_a_deployment_cost_no_review(live: Live, mode: str) -> None:
    """One review, of the Deployment; and another pod in the place of one that is gone costs none."""
    tenant = Tenant(live, mode)
    opened = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "open"}}
    assert tenant.apply({**kind, "spec": opened}).code == 0
    with costing(live, mutate=0, validate=1):
        done = tenant.apply(with_replicas(tenant))
        assert done.code == 0, done.stderr
        wait_for_pods(tenant, REPLICAS)
        tenant.delete("pod", "--all", "--now", "--wait=true")
        wait_for_pods(tenant, REPLICAS)


def test_what_a_person_sees_of_a_deployment_stays(live: Live) -> None:
    """The warnings come with the answer on the Deployment itself."""
    done = Tenant(live, "warn").deploy("web")
    assert done.code == 0
    warned = re.findall(r"is denied by NetworkPolicy \S+ \[(.*?)\]", done.stderr)
    assert set(warned) == NEEDED, done.stderr


def test_pods_of_a_deployment_are_augmented_before_they_start(live: Live) -> None:
    """Where a policy may have to be written, the pods and their ReplicaSet are asked about; pods once more
    with the proxy that is injected after us."""
    tenant = Tenant(live, "augment")
    with costing(live, mutate=2 + 2 * REPLICAS, validate=1):
        done = tenant.apply(with_replicas(tenant))
        assert done.code == 0, done.stderr
        wait_for_pods(tenant, REPLICAS)
    assert set(tenant.kinds()) == NEEDED


def test_a_run_of_a_cronjob_costs_no_review(live: Live) -> None:
    """Neither its Job nor its pod, though they would lack what the namespace denies."""
    tenant = Tenant(live, "warn")
    pod = deployment("night", tenant.namespace)["spec"]["template"]
    job = {"template": {**pod, "spec": {**pod["spec"], "restartPolicy": "Never"}}}
    spec = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job}}
    cron_job = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "night"}, "spec": spec}
    missed = json.dumps({"status": {"lastScheduleTime": "2020-01-01T00:00:00Z"}})
    with costing(live, mutate=0, validate=1):
        done = tenant.apply(cron_job)
        assert done.code == 0, done.stderr
        run = ("patch", "cronjob", "night", "--subresource=status", "--type=merge", "--patch", missed)
        patched = live.plane.kubectl()("--namespace", tenant.namespace, *run)
        assert patched.code == 0, patched.stderr
        wait_for_pods(tenant, 1)


def test_a_forged_owner_gains_nothing(live: Live) -> None:
    """A tenant's pod is reviewed whatever owner it names. It is spared with a warning, as it would be without
    the chart's condition; a pod without an owner is refused."""
    tenant = Tenant(live, "reject")
    live.plane.wait_until(
        "the policies of the namespace are known",
        lambda: "is refused" in tenant.apply(bare_pod(tenant, "bare")).stderr,
    )
    nowhere = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": "web",
        "uid": "forged",
        "controller": True,
    }
    with costing(live, mutate=0, validate=1):
        forged = tenant.apply(bare_pod(tenant, "forged", nowhere))
    assert forged.code == 0, forged.stderr
    assert "is denied by NetworkPolicy" in forged.stderr
