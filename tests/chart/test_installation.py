"""The chart on a real API server: installed as people install it, checked strictly, and taken away again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart.rendering import CHART, NAMESPACE, RELEASE, Manifest, of_kind, render, run_helm
from tests.cluster.control_plane import ControlPlane
from tests.cluster.crds import CERT_MANAGER, PROMETHEUS_OPERATOR, defined
from tests.cluster.fixtures import require, require_go

pytestmark = pytest.mark.xdist_group("installation")  # what it starts is started once

SETS = sorted((Path(__file__).parent / "sets").glob("*.yaml"))
REGISTERED = "validatingwebhookconfigurations,mutatingwebhookconfigurations"


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """A cluster with the namespaces that the chart needs, under the restricted Pod Security Standard."""
    require("helm")
    require_go()
    kubectl = control_plane.kubectl()
    for name in (NAMESPACE, "istio-system", "shop", "pay"):
        kubectl("create", "namespace", name)
    kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted", "--overwrite")
    with defined(control_plane, CERT_MANAGER, PROMETHEUS_OPERATOR):
        yield control_plane


def test_every_value_set_is_accepted_strictly(cluster: ControlPlane) -> None:
    """The API server knows every field that any value set renders, and refuses no object."""
    for path in SETS:
        text = render(yaml.safe_load(path.read_text()))
        options = ("--server-side", "--dry-run=server", "--validate=strict", "--filename", "-")
        outcome = cluster.kubectl()("apply", *options, stdin=text)
        assert outcome.code == 0, f"{path.stem}: {outcome.stderr}"
        assert "Warning" not in outcome.stderr, f"{path.stem}: {outcome.stderr}"


@pytest.mark.parametrize("values", ["default", "openshift"])
def test_pods_are_admitted_where_pod_security_is_restricted(cluster: ControlPlane, values: str) -> None:
    """What Deployments and Job ask for runs in a namespace that enforces the restricted standard, with ids of
    ours and without."""
    kubectl = cluster.kubectl()
    kubectl("create", "serviceaccount", "default", "--namespace", NAMESPACE)
    given = yaml.safe_load((Path(__file__).parent / "sets" / f"{values}.yaml").read_text())
    rendered = [*yaml.safe_load_all(render(given))]
    for deployment in [*of_kind(rendered, "Deployment"), *of_kind(rendered, "Job")]:
        pod: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", **deployment["spec"]["template"]}
        pod["metadata"] = {**pod["metadata"], "name": "one", "namespace": NAMESPACE}
        pod["spec"] = {**pod["spec"], "serviceAccountName": "default"}
        outcome = kubectl.apply(pod, options=("--dry-run=server",))
        assert outcome.code == 0, outcome.stderr
        pod["spec"]["hostNetwork"] = True
        outcome = kubectl.apply(pod, options=("--dry-run=server",))
        assert "violates PodSecurity" in outcome.stderr


def registered(cluster: ControlPlane) -> set[str]:
    """The webhook configurations that there are."""
    outcome = cluster.kubectl()("get", REGISTERED, "--output", "name")
    assert outcome.code == 0, outcome.stderr
    return set(outcome.stdout.split())


def test_uninstalling_leaves_no_webhook_registered(cluster: ControlPlane, tmp_path: Path) -> None:
    """After `helm uninstall` nothing is reviewed any more, and no right stays granted."""
    before = registered(cluster)
    common = ("--namespace", NAMESPACE, "--kubeconfig", cluster.kubeconfig())
    installed = run_helm("install", RELEASE, CHART, "--wait=false", *common, home=tmp_path)
    assert installed.returncode == 0, installed.stderr
    assert (
        f"kubectl --namespace {NAMESPACE} rollout status deployment/istio-netpol-webhook" in installed.stdout
    )
    assert len(registered(cluster) - before) == 2
    removed = run_helm("uninstall", RELEASE, "--wait=false", *common, home=tmp_path)
    assert removed.returncode == 0, removed.stderr
    assert registered(cluster) == before
    kinds = "clusterroles,clusterrolebindings,roles,rolebindings,networkpolicies,services,deployments"
    selected = ("--selector", f"app.kubernetes.io/instance={RELEASE}", "--output", "name")

    def is_empty() -> bool:
        left = cluster.kubectl()("get", kinds, "--all-namespaces", *selected)
        assert left.code == 0, left.stderr
        return left.stdout == ""

    cluster.wait_until("nothing is left", is_empty)


def test_an_upgrade_keeps_the_certificate_authority(cluster: ControlPlane, tmp_path: Path) -> None:
    """The caBundle of the controller survives `helm upgrade` and `kubectl apply` of the same chart."""
    common = ("--namespace", NAMESPACE, "--kubeconfig", cluster.kubeconfig())
    kubectl = cluster.kubectl()
    configuration = ("validatingwebhookconfiguration", RELEASE)
    try:
        done = run_helm("install", RELEASE, CHART, "--wait=false", *common, home=tmp_path)
        assert done.returncode == 0, done.stderr
        patch = '[{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": "Y2E="}]'
        assert kubectl("patch", *configuration, "--type=json", "--patch", patch).code == 0
        more = ("--set", "webhook.replicas=3", "--wait=false")
        done = run_helm("upgrade", RELEASE, CHART, *more, *common, home=tmp_path)
        assert done.returncode == 0, done.stderr
        stored: Manifest = kubectl("get", *configuration, "--output", "json").json
        assert stored["webhooks"][0]["clientConfig"]["caBundle"] == "Y2E="
        applied = kubectl("apply", "--filename", "-", stdin=render())
        assert applied.code == 0, applied.stderr
        stored = kubectl("get", *configuration, "--output", "json").json
        assert stored["webhooks"][0]["clientConfig"]["caBundle"] == "Y2E="
    finally:
        run_helm("uninstall", RELEASE, "--wait=false", *common, home=tmp_path)
