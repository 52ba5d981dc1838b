"""From cluster to cluster: a commit reaches the rest once the canary is well; a revert goes there alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.argocd.conftest import VALUES
from tests.argocd.fleet import Fleet
from tests.argocd.installation import NAMESPACE

pytestmark = pytest.mark.xdist_group("argocd")  # what it starts is started once

ALL, CANARY, REST = "istio-netpol", "istio-netpol-of-edge", "istio-netpol-of-in-cluster"
OVERLAY = "kustomize/overlays/kind/kustomization.yaml"
FAILING = """\
augment: {enabled: true}
config: {admission: {exemptUsers: [admin]}}
controller: {podAnnotations: {tests.istio-netpol.io/fails: "true"}}
doctor: {retries: 0}
"""
"""What is as before, and an examination that fails at once."""

REFUSED = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: refused
  namespace: istio-system
spec:
  podSelector: {}
  egress:
  - ports:
    - protocol: SCTPS
      port: 53
  policyTypes:
  - Egress
"""


def pinned(fleet: Fleet, name: str) -> set[str]:
    """The revisions that an Application of a cluster is to have."""
    spec = fleet.application(name).get("spec", {})
    return {source["targetRevision"] for source in spec.get("sources") or [spec.get("source", {})] if source}


def pushed(fleet: Fleet, push: Callable[[], str]) -> str:
    """The revision of a commit, of which Argo CD is told."""
    revision = push()
    fleet.refresh(ALL)
    return revision


def wait_until_pinned(fleet: Fleet, cluster: str, revision: str) -> None:
    """Until the baseline of a cluster is to have that revision."""
    name = f"istio-netpol-baseline-{cluster}"
    fleet.wait_until(f"{name} is told", lambda: pinned(fleet, name) == {revision}, name, CANARY, REST, ALL)


def jobs(fleet: Fleet) -> dict[str, Any]:
    """The examinations of the canary by name."""
    found = fleet.edge.kubectl()("get", "jobs", "--namespace", "istio-netpol", "--output", "json").json
    return {job["metadata"]["name"]: job for job in found["items"]}


def test_the_rest_waits_for_what_doctor_says_of_the_canary(fleet: Fleet) -> None:
    """A commit after which doctor fails on the canary goes no further; its revert goes to the canary, and to
    the rest once that is well."""
    fleet.wait_until_synced("istio-netpol-webhook-edge")
    (before,) = pinned(fleet, "istio-netpol-baseline-edge")
    wait_until_pinned(fleet, "in-cluster", before)
    fleet.repository.write("argocd/webhook/kind.yaml", FAILING)
    bad = pushed(fleet, lambda: fleet.repository.push("Break what doctor examines"))

    def failed() -> bool:
        return fleet.health("istio-netpol-webhook-edge") == fleet.health(CANARY) == "Degraded"

    fleet.wait_until("doctor failed on the canary", failed, "istio-netpol-webhook-edge", CANARY)
    assert pinned(fleet, "istio-netpol-webhook-edge") == {bad}
    assert jobs(fleet)[f"istio-netpol-doctor-{bad[:8]}"]["status"]["failed"] == 1
    for name in (REST, "istio-netpol-baseline-in-cluster", "istio-netpol-webhook-in-cluster"):
        fleet.refresh(name)
        assert pinned(fleet, name) == {before}
    good = pushed(fleet, fleet.repository.revert)
    wait_until_pinned(fleet, "in-cluster", good)
    assert pinned(fleet, "istio-netpol-webhook-edge") == {good}
    assert jobs(fleet)[f"istio-netpol-doctor-{good[:8]}"]["status"]["succeeded"] == 1
    fleet.wait_until("the examinations of earlier commits are pruned", lambda: len(jobs(fleet)) == 1)


def test_the_webhook_changes_once_the_baseline_is_well(fleet: Fleet) -> None:
    """One commit changes both, and the API server refuses a policy: the chart stays as it is until another
    commit mends that, and then follows it."""
    fleet.wait_until_synced("istio-netpol-webhook-edge")
    before = pinned(fleet, "istio-netpol-webhook-edge")
    fleet.repository.edit(OVERLAY, "- values.yaml\n", "- values.yaml\n- refused.yaml\n")
    fleet.repository.write("kustomize/overlays/kind/refused.yaml", REFUSED)
    fleet.repository.write("argocd/webhook/kind.yaml", f"{VALUES}commonLabels: {{promoted: together}}\n")
    bad = pushed(fleet, lambda: fleet.repository.push("Change baseline and webhook"))

    def refused() -> bool:
        status = fleet.application("istio-netpol-baseline-edge")["status"]
        return "SCTPS" in json.dumps(status.get("operationState"))

    fleet.wait_until("the policy is refused", refused, "istio-netpol-baseline-edge", CANARY)
    assert pinned(fleet, "istio-netpol-baseline-edge") == {bad}
    assert pinned(fleet, "istio-netpol-webhook-edge") == before
    fleet.repository.edit("kustomize/overlays/kind/refused.yaml", "SCTPS", "SCTP")
    mended = pushed(fleet, lambda: fleet.repository.push("Name a protocol that there is"))
    baseline = "istio-netpol-baseline-edge"

    def given_up() -> bool:
        # Argo CD takes the state away when it begins the next sync, until that has one of its own.
        state = fleet.application(baseline)["status"].get("operationState")
        return state is None or state["phase"] != "Running"

    fleet.wait_until("the sync of the refused commit is given up", given_up, baseline, CANARY)
    fleet.wait_until(
        "the webhook follows",
        lambda: pinned(fleet, "istio-netpol-webhook-edge") == {mended},
        "istio-netpol-baseline-edge",
        CANARY,
    )
    fleet.wait_until_synced("istio-netpol-webhook-edge", mended)
    where = ("deployment", "istio-netpol-webhook", "--namespace", "istio-netpol", "--output", "json")
    assert fleet.edge.kubectl()("get", *where).json["metadata"]["labels"]["promoted"] == "together"
    fleet.wait_until_synced(baseline)
    fleet.repository.edit(OVERLAY, "- refused.yaml\n", "")
    fleet.repository.write("argocd/webhook/kind.yaml", VALUES)
    without = pushed(fleet, lambda: fleet.repository.push("Take both away"))
    fleet.wait_until_synced(baseline, without)
    fleet.wait_until(
        "the webhook is as before", lambda: pinned(fleet, "istio-netpol-webhook-edge") == {without}, CANARY
    )
    fleet.wait_until_synced("istio-netpol-webhook-edge", without)


def test_a_cluster_can_be_kept_at_a_revision(fleet: Fleet) -> None:
    """The label istio-netpol.io/revision names a branch, tag or commit, for one cluster."""
    (followed,) = pinned(fleet, CANARY)
    fleet.wait_until("the rest follows", lambda: pinned(fleet, REST) == {followed}, REST, ALL)
    label = ("label", "secret", "cluster-in-cluster", "--namespace", NAMESPACE)
    assert fleet.hub.kubectl()(*label, "istio-netpol.io/revision=main").code == 0
    try:
        fleet.wait_until("it is kept", lambda: pinned(fleet, REST) == {"main"}, REST)
        assert pinned(fleet, CANARY) == {followed}
    finally:
        assert fleet.hub.kubectl()(*label, "istio-netpol.io/revision-").code == 0
    fleet.wait_until("it follows the others", lambda: pinned(fleet, REST) == {followed}, REST)
