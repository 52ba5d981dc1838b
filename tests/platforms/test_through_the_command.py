"""`istio-netpol bundle verify` of an overlay against the dump of a cluster, as its owner types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from tests.cluster.fixtures import require
from tests.platforms.clusters import BY_NAME, Cluster
from tests.tools.programs import located

from istio_netpol.cli.main import program


def verified(cluster: Cluster, overlay: Path, folder: Path) -> tuple[int, dict[str, Any]]:
    """Exit code and report, with the cluster's plugin in the overlay's environment."""
    require("kustomize")
    environment = overlay / "environment.yaml"
    settings = yaml.safe_load(environment.read_text())
    settings["network"] = {"plugin": cluster.plugin}
    environment.write_text(yaml.safe_dump(settings))
    dump = folder / "cluster.yaml"
    dump.write_text(cluster.dump)
    command = ["bundle", "verify", str(overlay), "--control-plane", str(dump), "-f", "json"]
    kustomize = {"ISTIO_NETPOL_KUSTOMIZE": str(located("kustomize"))}
    result = CliRunner().invoke(program, command, env=kustomize)
    assert result.exit_code in {0, 1}, result.output
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.parametrize("name", BY_NAME)
def test_an_overlay_is_proved_against_the_dump_of_a_cluster(tmp_path: Path, name: str) -> None:
    """With what the environment says besides: node-local DNS that may come, health checks that do."""
    cluster = BY_NAME[name]
    code, report = verified(cluster, cluster.filled(tmp_path), tmp_path)
    errors = [finding["message"] for finding in report["findings"] if finding["severity"] == "error"]
    assert (code, errors, report["summary"]["denied"]) == (0, [], 0)


def without(component: str, overlay: Path) -> Path:
    """The overlay after somebody took the line of a component out."""
    file = overlay / "kustomization.yaml"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.endswith(f"components/{component}\n")))
    return overlay


CUT = {
    "CoreDNS of Gardener": ("gardener", "dns-8053", "8053"),
    "the DNS Service of iptables mode": ("gardener-node-local", "dns-service", "100.104.0.10"),
    "node-local DNS of IPVS mode": ("gardener-ipvs", "node-local-dns", "169.254.20.10"),
    "node-local DNS in pods": ("gke-node-local", "node-local-dns", "node-local-dns"),
    "Cloud DNS": ("gke-cloud-dns", "dns-addresses", "169.254.169.254"),
    "Google's health checks": ("gke", "health-checks", "15021"),
    "health checks on AKS": ("aks", "health-checks", "15021"),
    "health checks on EKS": ("eks", "health-checks", "15021"),
    "LocalDNS": ("aks", "dns-addresses", "169.254.10.11"),
    "DNS of EKS Auto Mode": ("eks-auto", "dns-service-only", "10.100.0.10"),
    "DNS of OpenShift": ("openshift", "dns-openshift", "5353"),
}


@pytest.mark.parametrize(("name", "component", "told"), CUT.values(), ids=list(CUT))
def test_what_an_overlay_would_cut_without_a_component_is_told(
    tmp_path: Path, name: str, component: str, told: str
) -> None:
    """A team that takes the line out learns who is cut, before the cluster does."""
    cluster = BY_NAME[name]
    code, report = verified(cluster, without(component, cluster.filled(tmp_path)), tmp_path)
    errors = [finding["message"] for finding in report["findings"] if finding["severity"] == "error"]
    assert code == 1
    assert any(told in message and "denied" in message for message in errors)


def test_a_name_that_nothing_opens_on_gardener_is_told(tmp_path: Path) -> None:
    """What its pods dial is not among the endpoints, and nobody knows where it leads: the proof says that it
    can't tell, and names the host for each client of the API server."""
    cluster = BY_NAME["gardener"]
    _, whole = verified(cluster, cluster.filled(tmp_path / "whole"), tmp_path)
    _, cut = verified(cluster, without("api-server-host", cluster.filled(tmp_path / "cut")), tmp_path)
    assert not unresolved(whole)
    assert {name.partition(" ")[2] for name in unresolved(cut)} >= {
        "istio-netpol/istio-netpol-controller",
        "istio-netpol/istio-netpol-webhook",
        "istio-system/istio-cni-node",
        "istio-system/istiod",
    }


def unresolved(report: dict[str, Any]) -> set[str]:
    """The objects of which the proof can't tell whether they reach the API server by its name."""
    messages = (
        finding["message"] for finding in report["findings"] if finding["rule"] == "host-unresolvable"
    )
    return {text.partition(": ")[0] for text in messages if "api.dev.kyma.shoot.example.com" in text}


WRONG = {
    "an interface of the control plane on EKS": ("eks", "10.0.12.141/32"),
    "the Service's address where it is translated": ("kind", "10.96.0.1/32"),
}


@pytest.mark.parametrize(("name", "cidr"), WRONG.values(), ids=list(WRONG))
def test_an_address_that_policies_never_see_is_told(tmp_path: Path, name: str, cidr: str) -> None:
    """Which address it is depends on when the plugin judges."""
    cluster = BY_NAME[name]
    overlay = cluster.filled(tmp_path)
    file = overlay / "values.yaml"
    values = yaml.safe_load(file.read_text())
    values["apiServer"]["peers"] = [{"ipBlock": {"cidr": cidr}}]
    file.write_text(yaml.safe_dump(values))
    code, report = verified(cluster, overlay, tmp_path)
    denied = {finding["rule"] for finding in report["findings"] if finding["severity"] == "error"}
    assert (code, denied) == (1, {"to-apiserver"})
