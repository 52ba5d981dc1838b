"""The component that installs istio-netpol itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.bundle.overlays import (
    KUSTOMIZE,
    OVERLAYS,
    filled_tree,
    policies,
    standard,
    standard_for,
    with_components,
)
from tests.chart.rendering import NAMESPACE, RELEASE, render
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import require
from tests.conftest import Golden

COMPONENT = KUSTOMIZE / "components" / "webhook"
HEADER = """\
# Rendered from charts/istio-netpol with chart-values.yaml by `pytest tests/bundle --update`. Policies serve
# - API server -> webhook: admission reviews. No portable peer names the API server;
# - webhook, controller -> API server: they follow the cluster, and write policies and certificates;
# - webhook, controller -> cluster DNS: the hosts that tenants name.
# Source: charts/istio-netpol/templates/network-policies.yaml
"""


def test_the_component_is_what_the_chart_renders(golden: Golden) -> None:
    """Kustomize users run what Helm users run."""
    require("helm")
    values = yaml.safe_load((COMPONENT / "chart-values.yaml").read_text())
    golden(COMPONENT / "istio-netpol.yaml", HEADER + render(values))


@pytest.mark.parametrize("overlay", [name for name in OVERLAYS if name != "kyma-btp"])
def test_the_webhook_works_under_the_bundle(tree: Path, overlay: str) -> None:
    """It is reviewed like the rest of the control plane: nothing denied, nothing wider than its connections,
    no rule that could be missing; and its namespace denies the rest."""
    bundle = with_components(tree, overlay, ["webhook"])
    control_plane = standard_for(bundle)
    assert bundle.complaints(control_plane, warnings=True) == []
    own = [policy for policy in policies(bundle.objects) if policy.namespace == NAMESPACE]
    assert {policy.name for policy in own} == {
        "zz-default-deny",
        "istio-netpol-controller",
        "istio-netpol-webhook",
    }
    assert bundle.unnoticed(control_plane, own) == []


def test_dns_set_before_the_webhook_is_an_error(tree: Path) -> None:
    """Components change what stands before them: the proof tells when the webhook is listed too late."""
    late = "- ../../components/dns-8053\n- ../../components/webhook\n"
    file = tree / "overlays" / "gardener" / "kustomization.yaml"
    text = file.read_text()
    try:
        file.write_text(text.replace("- ../../components/dns-8053\n", late))
        bundle = with_components(tree, "gardener", [])
    finally:
        file.write_text(text)
    complaints = bundle.complaints(standard())
    assert any("TCP 8053" in complaint for complaint in complaints)
    assert all("istio-netpol/istio-netpol-" in complaint for complaint in complaints)


@pytest.fixture
def applied(control_plane: ControlPlane, tmp_path: Path) -> Iterator[tuple[ControlPlane, Path]]:
    """A cluster to which an overlay with the webhook was applied, and the overlay's folder."""
    require("kubectl")
    folder = filled_tree(tmp_path) / "overlays" / "kind"
    file = folder / "kustomization.yaml"
    file.write_text(file.read_text().replace("components:\n", "components:\n- ../../components/webhook\n"))
    kubectl = control_plane.kubectl()
    try:
        yield control_plane, folder
    finally:
        ours = ("-l", f"app.kubernetes.io/instance={RELEASE}", "-A")
        kubectl("delete", "mutatingwebhookconfigurations,validatingwebhookconfigurations", *ours[:2])
        kubectl("delete", "clusterroles,clusterrolebindings", *ours[:2])
        kubectl("delete", "deployments,services,serviceaccounts,configmaps,roles,rolebindings,pdb", *ours)
        kubectl("delete", "networkpolicies", "--all", "--wait=false", "-A")
        kubectl("delete", "secrets", "--all", "-n", NAMESPACE)


def test_certificates_of_ours_survive_the_next_apply(applied: tuple[ControlPlane, Path]) -> None:
    """`kubectl apply -k` installs it strictly, certificates find everything in place, and applying it again
    changes neither the caBundle nor anything else."""
    plane, folder = applied
    kubectl = plane.kubectl()
    apply = ("apply", "-k", str(folder), "--server-side", "--validate=strict")
    first = kubectl(*apply)
    assert (first.code, first.stderr) == (0, "")
    command = [sys.executable, "-m", "istio_netpol", "certs", "--namespace", NAMESPACE]
    command += ["--secret", f"{RELEASE}-certificate", "--service", f"{RELEASE}-webhook"]
    command += ["--webhook-configuration", RELEASE, "--context", context_of(plane)]
    environment = {**os.environ, "KUBECONFIG": str(plane.kubeconfig())}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    versions = "jsonpath={.items[*].metadata.resourceVersion}"
    before = kubectl("get", "-k", str(folder), "-o", versions).stdout
    assert kubectl(*apply).code == 0
    assert kubectl("get", "-k", str(folder), "-o", versions).stdout == before
    stored = kubectl("get", "validatingwebhookconfiguration", RELEASE, "--output", "json").json
    assert all(webhook["clientConfig"].get("caBundle") for webhook in stored["webhooks"])


def context_of(plane: ControlPlane) -> str:
    """The context of the cluster's kubeconfig."""
    return str(yaml.safe_load(plane.kubeconfig().read_text())["current-context"])
