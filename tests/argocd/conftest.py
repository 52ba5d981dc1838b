"""The fleet, which all tests of this folder share, and what is done to it first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.argocd.fleet import Fleet
from tests.argocd.team import TEAM, WORKLOADS, application, project
from tests.controller.process import ControllerProcess

NAMESPACE = "istio-netpol"
NARROW = ("      cidr: 172.16.0.0/12\n", "      cidr: 172.18.0.0/16\n")
KYMA = ("components:\n", "components:\n- ../../components/kyma\n- ../../components/egress-gateway\n")
RINGS = ("- ../objects/clusters ", "- ../objects/rings ")
VALUES = "augment: {enabled: true}\nconfig: {admission: {exemptUsers: [admin]}}\n"
"""Policies may be written. No pod runs a webhook here: it is not asked about what the tests do themselves."""


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two clusters under Argo CD, bootstrapped; a team's application runs on `edge`."""
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    try:
        fleet.start()
        fleet.repository.edit("kustomize/overlays/k3d/values.yaml", *NARROW)
        fleet.repository.edit("kustomize/overlays/kind/kustomization.yaml", *KYMA)
        fleet.repository.edit("argocd/applications/kustomization.yaml", *RINGS)
        fleet.repository.write("argocd/webhook/kind.yaml", VALUES)
        fleet.repository.write(f"{TEAM}/workloads.yaml", WORKLOADS)
        fleet.repository.push("Set up two clusters")
        fleet.argocd.apply(project(fleet), application(fleet))
        fleet.wait_until_synced(TEAM)
        fleet.bootstrap()
        yield fleet
    finally:
        fleet.stop()


@pytest.fixture(scope="session")
def controller(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControllerProcess]:
    """`istio-netpol controller` on `edge`, with the rights, settings and options that the chart gives it."""
    fleet.wait_until_synced("istio-netpol-webhook-edge")
    folder, kubectl = tmp_path_factory.mktemp("controller"), fleet.edge.kubectl()
    name = f"{NAMESPACE}-controller"
    token = kubectl("create", "token", name, "--namespace", NAMESPACE)
    assert token.code == 0, token.stderr
    fleet.edge.users.tokens[name] = token.stdout.strip()
    found = kubectl("get", "configmap", NAMESPACE, "--namespace", NAMESPACE, "--output", "json").json
    settings = Path(folder, "config.yaml")
    settings.write_text(found["data"]["config.yaml"])
    stored = kubectl("get", "deployment", name, "--namespace", NAMESPACE, "--output", "json").json
    (container,) = stored["spec"]["template"]["spec"]["containers"]
    ours = ("--lease", "--certificate-secret", "--webhook-service", "--webhook-configuration")
    options = [arg for arg in container["args"] if arg.startswith(ours)]
    kubeconfig = fleet.edge.kubeconfig(name)
    with ControllerProcess(kubeconfig, NAMESPACE, settings, *options) as process:
        process.wait_for("leading")
        yield process
