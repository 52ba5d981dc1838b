"""Argo CD and the controller on one cluster: neither undoes what the other does, and Git wins over hands."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.argocd.fleet import Fleet
from tests.argocd.team import TEAM

from istio_netpol.certs.review_paths import SECRET_PATH

pytestmark = [pytest.mark.xdist_group("argocd"), pytest.mark.usefixtures("controller")]

BASELINE, WEBHOOK = "istio-netpol-baseline-edge", "istio-netpol-webhook-edge"
ALL, PARENT = "istio-netpol", "istio-netpol-of-edge"
CONFIGURATIONS = ("validatingwebhookconfiguration", "mutatingwebhookconfiguration")
GENERATED = ("--selector", "app.kubernetes.io/managed-by=istio-netpol")
OVERLAY = "kustomize/overlays/kind/kustomization.yaml"


def clients(fleet: Fleet) -> list[tuple[str, str]]:
    """The caBundle of every webhook, decoded, and the path under which it is called."""
    webhooks: list[Any] = []
    for kind in CONFIGURATIONS:
        webhooks += fleet.edge.kubectl()("get", kind, "istio-netpol", "--output", "json").json["webhooks"]
    configs = [webhook["clientConfig"] for webhook in webhooks]
    return [
        (base64.b64decode(config.get("caBundle", "")).decode(), config["service"].get("path", ""))
        for config in configs
    ]


def are_kept(fleet: Fleet) -> bool:
    """Whether the controller wrote all of them."""
    return all(
        bundle.startswith("-----BEGIN") and SECRET_PATH.fullmatch(path) for bundle, path in clients(fleet)
    )


def generated(fleet: Fleet) -> dict[str, Any]:
    """The team's generated policies by name."""
    listed = ("get", "networkpolicies", "--namespace", TEAM, *GENERATED, "--output", "json")
    return {item["metadata"]["name"]: item for item in fleet.edge.kubectl()(*listed).json["items"]}


def policies_in(fleet: Fleet, namespace: str) -> str:
    """The names of the policies in a namespace."""
    return fleet.edge.kubectl()("get", "networkpolicies", "--namespace", namespace, "--output", "name").stdout


def wait_for_the_controller(fleet: Fleet) -> None:
    """Until it wrote all that it has to write."""

    def done() -> bool:
        return len(generated(fleet)) == 2 and are_kept(fleet)

    fleet.wait_until("the controller wrote its policies, the caBundle and the paths", done, WEBHOOK)


def compare_anew(fleet: Fleet, name: str) -> dict[str, Any]:
    """Has Argo CD render and compare without its caches; the Application afterwards."""
    fleet.refresh(name, "hard")

    def compared() -> bool:
        return "argocd.argoproj.io/refresh" not in fleet.application(name)["metadata"].get("annotations", {})

    fleet.wait_until(f"{name} was compared", compared, name)
    return fleet.application(name)


@contextlib.contextmanager
def committed(fleet: Fleet, subject: str) -> Iterator[str]:
    """A commit of what was edited, and its revision; it is taken back at the end."""
    revision = fleet.repository.push(subject)
    fleet.refresh(ALL)
    try:
        yield revision
    finally:
        reverted = fleet.repository.revert()
    fleet.refresh(ALL)
    fleet.wait_until_synced(BASELINE, reverted)


def test_what_the_controller_writes_is_no_drift(fleet: Fleet) -> None:
    """Every Application stays in sync and healthy, and nothing is synced again because of it."""
    wait_for_the_controller(fleet)
    before = {name: fleet.wait_until_synced(name) for name in (BASELINE, WEBHOOK, TEAM)}
    written = clients(fleet)
    for name, earlier in before.items():
        status = compare_anew(fleet, name)["status"]
        assert (status["sync"]["status"], status["health"]["status"]) == ("Synced", "Healthy")
        assert [resource for resource in status["resources"] if resource["status"] != "Synced"] == []
        assert status["operationState"]["startedAt"] == earlier["status"]["operationState"]["startedAt"]
    assert clients(fleet) == written


def test_paths_that_change_are_no_drift(fleet: Fleet) -> None:
    """They change every day: nothing is synced because of it, and nothing puts the old ones back."""
    wait_for_the_controller(fleet)
    before, started = (
        clients(fleet),
        fleet.wait_until_synced(WEBHOOK)["status"]["operationState"]["startedAt"],
    )
    taken = ("annotate", ",".join(CONFIGURATIONS), "istio-netpol", "istio-netpol.io/review-paths-")
    assert fleet.edge.kubectl()(*taken).code == 0

    def changed() -> bool:
        old = {path for _, path in before}
        return are_kept(fleet) and not old & {path for _, path in clients(fleet)}

    fleet.wait_until("the controller has drawn new paths", changed, WEBHOOK)
    now = clients(fleet)
    status = compare_anew(fleet, WEBHOOK)["status"]
    assert (status["sync"]["status"], status["health"]["status"]) == ("Synced", "Healthy")
    assert status["operationState"]["startedAt"] == started
    assert clients(fleet) == now


def test_generated_policies_are_not_argo_cds(fleet: Fleet) -> None:
    """No tracking mark is copied to them, so no Application claims or prunes them."""
    wait_for_the_controller(fleet)
    for policy in generated(fleet).values():
        metadata = policy["metadata"]
        assert not [
            annotation
            for annotation in metadata.get("annotations", {})
            if annotation.startswith("argocd.argoproj.io/")
        ]
        assert "app.kubernetes.io/instance" not in metadata["labels"]
    managed = {resource["name"] for resource in fleet.application(TEAM)["status"]["resources"]}
    assert managed == {"cart", "default-deny"}


def test_only_policies_that_nobody_made_on_purpose_are_orphans(fleet: Fleet) -> None:
    """A team that monitors orphaned resources is warned of a forgotten policy, and not of generated ones."""
    wait_for_the_controller(fleet)
    kubectl = fleet.edge.kubectl()

    def warnings() -> list[str]:
        conditions = fleet.application(TEAM)["status"].get("conditions", [])
        return [
            condition["message"] for condition in conditions if condition["type"] == "OrphanedResourceWarning"
        ]

    copies = []
    for number, policy in enumerate(generated(fleet).values()):
        # Without its owner, as where the objects that need a policy live in several namespaces.
        prefix = f"{policy['metadata']['labels']['istio-netpol.io/flow']}-other"
        names = (f"{prefix}-{number:08x}", prefix + 4 * f"-{number:08x}")
        copies += [{**policy, "metadata": {"name": name, "namespace": TEAM}} for name in names]
    assert kubectl.apply(*copies).code == 0
    compare_anew(fleet, TEAM)
    assert warnings() == []
    forgotten = {**copies[0], "metadata": {"name": "allow-everything-for-now", "namespace": TEAM}}
    assert kubectl.apply(forgotten).code == 0
    fleet.wait_until("the team is warned", lambda: bool(compare_anew(fleet, TEAM) and warnings()), TEAM)
    assert warnings() == ["Application has 1 orphaned resources"]
    assert kubectl("delete", "networkpolicy", "--namespace", TEAM, forgotten["metadata"]["name"]).code == 0


def test_an_edit_by_hand_is_undone(fleet: Fleet) -> None:
    """Whoever opens a policy or loosens a webhook finds it as it was, with caBundle and paths in place."""
    wait_for_the_controller(fleet)
    kubectl, written = fleet.edge.kubectl(), clients(fleet)
    policy = ("networkpolicy", "istiod-to-dns", "--namespace", "istio-system")
    webhook = ("validatingwebhookconfiguration", "istio-netpol")
    before = [kubectl("get", *named, "--output", "json").json for named in (policy, webhook)]
    opened = json.dumps({"spec": {"egress": [{}]}})
    loosened = json.dumps([{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}])
    assert kubectl("patch", *policy, "--type=merge", "--patch", opened).code == 0
    assert kubectl("patch", *webhook, "--type=json", "--patch", loosened).code == 0
    assert kubectl("delete", "networkpolicy", "zz-default-deny", "--namespace", "kyma-system").code == 0

    def healed() -> bool:
        gone = kubectl("get", "networkpolicy", "zz-default-deny", "--namespace", "kyma-system").code
        now = [kubectl("get", *named, "--output", "json").json for named in (policy, webhook)]
        same = now[0]["spec"] == before[0]["spec"] and now[1]["webhooks"] == before[1]["webhooks"]
        return gone == 0 and same

    fleet.wait_until("it is as it was", healed, BASELINE, WEBHOOK)
    assert clients(fleet) == written


def test_a_removed_policy_is_pruned_and_generated_ones_stay(fleet: Fleet) -> None:
    """What leaves the repository leaves the cluster, and nothing else does."""
    wait_for_the_controller(fleet)
    before = {name: policy["metadata"]["uid"] for name, policy in generated(fleet).items()}
    fleet.repository.edit(OVERLAY, "- ../../components/egress-gateway\n", "")
    with committed(fleet, "Leave out the egress gateway") as revision:
        fleet.wait_until_synced(BASELINE, revision)
        policies = policies_in(fleet, "istio-system")
        assert "egressgateway" not in policies
        assert "istio-ingressgateway-to-istiod" in policies
        assert {name: policy["metadata"]["uid"] for name, policy in generated(fleet).items()} == before


def test_a_policy_that_is_renamed_is_never_missing(fleet: Fleet) -> None:
    """The new one is there before the old one goes."""
    text = (fleet.repository.work / OVERLAY).read_text()
    fleet.repository.write(OVERLAY, text + RENAMING)
    with committed(fleet, "Rename a policy") as revision:
        fleet.wait_until_synced(BASELINE, revision)
        added = fleet.chronicle.first("ADDED", "NetworkPolicy", "istiod-to-cluster-dns", "istio-system")
        assert added < fleet.chronicle.first("DELETED", "NetworkPolicy", "istiod-to-dns", "istio-system")


def test_a_commit_that_cant_be_built_changes_nothing(fleet: Fleet) -> None:
    """The cluster keeps its policies, and the Application names the mistake."""
    fleet.wait_until_synced(BASELINE)
    listed = ("get", "networkpolicies", "--all-namespaces", "--output", "jsonpath={.items[*].metadata.uid}")
    before = fleet.edge.kubectl()(*listed).stdout

    def told() -> bool:
        conditions = fleet.application(BASELINE)["status"].get("conditions", [])
        return any("kymma" in condition["message"] for condition in conditions)

    fleet.repository.edit(OVERLAY, "- ../../components/kyma\n", "- ../../components/kymma\n")
    with committed(fleet, "Break the overlay"):
        fleet.wait_until("the Application names the mistake", told, BASELINE)
        fleet.wait_until("its parent is degraded", lambda: fleet.health(PARENT) == "Degraded", PARENT)
        assert fleet.edge.kubectl()(*listed).stdout == before


def test_a_policy_that_is_refused_keeps_the_next_deny_away(fleet: Fleet) -> None:
    """An allow that the API server does not take stops the sync before anything is denied."""

    def refused() -> bool:
        return "SCTPS" in json.dumps(fleet.application(BASELINE)["status"].get("operationState"))

    fleet.repository.edit(OVERLAY, "- values.yaml\n", "- values.yaml\n- wrong.yaml\n")
    fleet.repository.write("kustomize/overlays/kind/wrong.yaml", WRONG)
    with committed(fleet, "Deny more, and allow a protocol that there is not"):
        fleet.wait_until("the policy is refused", refused, BASELINE)
        assert "default-deny-too" not in policies_in(fleet, "kyma-system")


RENAMING = """\
patches:
- target:
    kind: NetworkPolicy
    name: istiod-to-dns
  options:
    allowNameChange: true
  patch: |-
    - op: replace
      path: /metadata/name
      value: istiod-to-cluster-dns
"""

WRONG = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: allow-too
  namespace: kyma-system
spec:
  podSelector: {}
  egress:
  - ports:
    - protocol: SCTPS
      port: 53
  policyTypes:
  - Egress
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: default-deny-too
  namespace: kyma-system
  annotations:
    argocd.argoproj.io/sync-wave: "1"
spec:
  podSelector: {}
  policyTypes:
  - Egress
"""
