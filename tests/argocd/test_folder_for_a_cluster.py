"""An overlay for each cluster, found by its folder's name."""

from __future__ import annotations

import shutil

import pytest
import yaml
from tests.argocd.conftest import RINGS
from tests.argocd.fleet import Fleet
from tests.argocd.repository import ROOT

pytestmark = pytest.mark.xdist_group("argocd")  # what it starts is started once

SHIPPED = sorted(path.parent.name for path in (ROOT / "kustomize" / "overlays").glob("*/kustomization.yaml"))


def test_the_overlays_of_environments_are_no_clusters() -> None:
    """A new environment of this repository makes no Application for a cluster that nobody has."""
    kustomization = yaml.safe_load(
        (ROOT / "argocd" / "components" / "by-folder" / "kustomization.yaml").read_text()
    )
    (operation,) = yaml.safe_load(kustomization["patches"][0]["patch"])
    (generator,) = operation["value"]
    left_out = [
        directory["path"] for directory in generator["git"]["directories"] if directory.get("exclude")
    ]
    assert left_out == [f"kustomize/overlays/{name}" for name in SHIPPED]


def test_a_folder_is_for_the_cluster_of_its_name(fleet: Fleet) -> None:
    """Going over from labels to folders changes the overlay, and takes nothing from a cluster without one."""
    fleet.wait_until_synced("istio-netpol-webhook-edge")
    fleet.wait_until_synced("istio-netpol-baseline-in-cluster")
    overlays = fleet.repository.work / "kustomize" / "overlays"
    shutil.copytree(overlays / "kind", overlays / "edge")
    webhook = fleet.repository.work / "argocd" / "webhook"
    (webhook / "edge.yaml").write_text((webhook / "kind.yaml").read_text())
    applications = "argocd/applications/kustomization.yaml"
    fleet.repository.edit(applications, "# - ../components/by-folder", "- ../components/by-folder")
    fleet.repository.edit(applications, *reversed(RINGS))
    fleet.hub.start_controller_manager()  # collects the Applications of the ring that goes
    fleet.repository.push("Give the cluster edge an overlay of its own")

    def moved() -> bool:
        path = fleet.application("istio-netpol-baseline-edge")["spec"]["source"]["path"]
        return path == "kustomize/overlays/edge" and not fleet.application("istio-netpol-of-in-cluster")

    fleet.wait_until("the folder is found", moved, "istio-netpol-of-edge", "istio-netpol")
    fleet.wait_until_synced("istio-netpol-baseline-edge")
    fleet.wait_until_synced("istio-netpol")
    kept = fleet.hub.kubectl()("get", "networkpolicy", "zz-default-deny", "--namespace", "istio-system")
    assert kept.code == 0, kept.stderr
