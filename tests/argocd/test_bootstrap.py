"""What an operator sees of two clusters that Argo CD keeps from this repository."""

from __future__ import annotations

import pytest
from tests.argocd.chronicle import Event
from tests.argocd.fleet import Fleet
from tests.cluster.control_plane import ControlPlane

pytestmark = pytest.mark.xdist_group("argocd")  # what it starts is started once

BASELINE, WEBHOOK = "istio-netpol-baseline", "istio-netpol-webhook"
NAMESPACES = ("istio-system", "kyma-system")
CONFIGURATIONS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")


def api_server_peer(plane: ControlPlane) -> str:
    """The address that istiod may reach the API server at."""
    policy = ("get", "networkpolicy", "istiod-to-apiserver", "--namespace", "istio-system")
    path = "jsonpath={.spec.egress[0].to[0].ipBlock.cidr}"
    return plane.kubectl()(*policy, "--output", path).stdout


def replicas_answer(event: Event) -> bool:
    """Whether this is the webhook's Deployment with all its pods available."""
    if (event.kind, event.name) != ("Deployment", "istio-netpol-webhook"):
        return False
    return bool(event.manifest["status"].get("availableReplicas", 0) == event.manifest["spec"]["replicas"])


@pytest.mark.parametrize("folder", ["applications", "bootstrap", "cluster"])
def test_every_manifest_is_accepted_strictly(fleet: Fleet, folder: str) -> None:
    """The API server knows every field, as Argo CD's CustomResourceDefinitions have them."""
    path = str(fleet.repository.work / "argocd" / folder)
    options = ("--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts")
    outcome = fleet.hub.kubectl()("apply", "-k", path, *options)
    assert (outcome.code, outcome.stderr) == (0, "")


def test_each_cluster_gets_the_overlay_that_its_label_names(fleet: Fleet) -> None:
    """One bootstrap, and every registered cluster has the policies of its own environment."""
    for cluster, environment in (("in-cluster", "k3d"), ("edge", "kind")):
        stored = fleet.wait_until_synced(f"{BASELINE}-{cluster}")
        assert stored["spec"]["source"]["path"] == f"kustomize/overlays/{environment}"
    assert (api_server_peer(fleet.hub), api_server_peer(fleet.edge)) == ("172.18.0.0/16", "172.16.0.0/12")


def test_nothing_is_denied_before_what_is_allowed_is_there(fleet: Fleet) -> None:
    """The namespaces come first and default-deny last, so that no connection is cut in between."""
    fleet.wait_until_synced(f"{BASELINE}-edge")
    added = {
        (event.namespace, event.name): event.number
        for event in fleet.chronicle.events()
        if (event.change, event.kind) == ("ADDED", "NetworkPolicy") and event.namespace in NAMESPACES
    }
    denies = {key: number for key, number in added.items() if key[1] == "zz-default-deny"}
    assert set(denies) == {(namespace, "zz-default-deny") for namespace in NAMESPACES}
    allows = [number for key, number in added.items() if key not in denies]
    namespaces = [fleet.chronicle.first("ADDED", "Namespace", name) for name in NAMESPACES]
    assert len(allows) > 10
    assert max(namespaces) < min(allows)
    assert max(allows) < min(denies.values())


def test_the_webhook_follows_the_baseline_and_is_registered_last(fleet: Fleet) -> None:
    """The API server asks nobody before there are pods that answer."""
    fleet.wait_until_synced(f"{WEBHOOK}-edge")
    fleet.wait_until_synced("istio-netpol-of-edge")
    first = fleet.chronicle.first
    denied = max(first("ADDED", "NetworkPolicy", "zz-default-deny", namespace) for namespace in NAMESPACES)
    deployed = first("ADDED", "Deployment", "istio-netpol-webhook", "istio-netpol")
    registered = [first("ADDED", kind, "istio-netpol") for kind in CONFIGURATIONS]
    answering = next(event.number for event in fleet.chronicle.events() if replicas_answer(event))
    assert denied < deployed < answering < min(registered)


def test_no_webhook_is_registered_where_no_pod_answers(fleet: Fleet) -> None:
    """A chart whose pods never become ready stays without effect on the cluster's API."""
    kubectl = fleet.hub.kubectl()
    deployment = ("get", "deployment", "istio-netpol-webhook", "--namespace", "istio-netpol")
    fleet.wait_until("the chart is there", lambda: kubectl(*deployment).code == 0, f"{WEBHOOK}-in-cluster")
    fleet.wait_until_synced("istio-netpol-webhook-edge")
    registered = "validatingwebhookconfigurations,mutatingwebhookconfigurations"
    assert kubectl("get", registered, "--output", "name").stdout == ""
