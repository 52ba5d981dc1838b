"""Each overlay is proved against the charts of Istio's last minor versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.bundle.gateway_folders import EXPOSED, beside, checked
from tests.bundle.istio_charts import (
    CNI,
    EGRESS,
    INGRESS,
    VERSIONS,
    ZTUNNEL,
    Chart,
    gateway,
    istiod,
    manifests,
    rendered,
)
from tests.bundle.overlays import OVERLAYS, Built, objects_of
from tests.cluster.fixtures import require
from tests.tools.programs import located

from istio_netpol.cli.main import program

CANARY = Chart("istiod-canary", "istio-control/istio-discovery", values=("revision=canary",))
AMBIENT = (istiod("profile=ambient"), Chart("istio-cni", "istio-cni", values=("profile=ambient",)), ZTUNNEL)
EAST_WEST = gateway("istio-eastwestgateway", "istio-system", "networkGateway=network1")


@dataclass(frozen=True, slots=True)
class Mesh:
    """What is installed, and which components and gateway folders of the bundle it takes."""

    charts: tuple[Chart, ...]
    components: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    objects: str = ""

    def __or__(self, other: Mesh) -> Mesh:
        """Both in one cluster."""
        return Mesh(
            tuple(dict.fromkeys((*self.charts, *other.charts))),
            (*self.components, *other.components),
            (*self.gateways, *other.gateways),
            self.objects + other.objects,
        )

    def running(self, version: str) -> Sequence[Any]:
        """The objects of these charts of a version, and those beside them."""
        return [*rendered(version, self.charts), *(objects_of(self.objects) if self.objects else ())]


MESHES = {
    "default": Mesh((istiod(), INGRESS)),
    "default with the CNI agent": Mesh((istiod(), INGRESS, CNI)),
    "demo": Mesh((istiod(), INGRESS, EGRESS), ("egress-gateway",)),
    "ambient": Mesh((*AMBIENT, INGRESS), ("ambient",)),
    "a revision": Mesh((CANARY, INGRESS)),
    "gateway chart": Mesh((istiod(), gateway("istio-ingressgateway", "istio-system")), ("gateway-chart",)),
    "istio-ingress": Mesh((istiod(), gateway("istio-ingress", "istio-ingress")), (), ("istio-ingress",)),
    "istio-egress": Mesh((istiod(), gateway("istio-egress", "istio-egress")), (), ("istio-egress",)),
    "east-west": Mesh((istiod(), EAST_WEST), (), ("istio-eastwestgateway",), EXPOSED),
}
PUBLIC = """---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: a}}
"""
ALL = (
    MESHES["default with the CNI agent"]
    | MESHES["demo"]
    | Mesh((CANARY, ZTUNNEL), ("ambient",))
    | MESHES["istio-ingress"]
    | MESHES["istio-egress"]
    | Mesh((), objects=PUBLIC)
)
"""What can run side by side, in one cluster."""


@cache
def bundle(tree: Path, overlay: str, mesh: str) -> Built:
    """An overlay with what a mesh takes, built once for all versions."""
    taken = MESHES.get(mesh, ALL)
    folders = [checked(tree, overlay, name) for name in taken.gateways]
    return beside(tree, overlay, *folders, components=taken.components)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mesh", MESHES)
def test_the_bundle_fits_each_installation_of_each_version(tree: Path, mesh: str, version: str) -> None:
    """Nothing that Istio needs is denied, and no rule for what runs is wider than that."""
    running = MESHES[mesh].running(version)
    assert bundle(tree, "kind", mesh).complaints(running, warnings=True) == []
    assert bundle(tree, "kind", mesh).proof(running).report.summary.flows >= 7


@pytest.mark.parametrize("version", VERSIONS)
def test_the_command_takes_what_helm_renders(tree: Path, version: str) -> None:
    """As a user types it, with a file for each chart: nothing that is installed loses what it uses."""
    require("kustomize")
    files = [str(manifests(version, chart)) for chart in MESHES["default with the CNI agent"].charts]
    given = [part for file in files for part in ("--control-plane", file)]
    command = ["bundle", "verify", str(tree / "overlays" / "kind"), *given]
    environment = {"ISTIO_NETPOL_KUSTOMIZE": str(located("kustomize"))}
    result = CliRunner().invoke(program, command, env=environment)
    assert result.exit_code == 0, result.output
    assert "allowed client-to-gateway" in result.output
    assert "warning uncovered-workload" not in result.output


@pytest.mark.parametrize("overlay", [name for name in OVERLAYS if not name.startswith("kyma")])
@pytest.mark.parametrize("version", VERSIONS)
def test_each_overlay_fits_all_installations_of_each_version(tree: Path, overlay: str, version: str) -> None:
    """Side by side, as they are during an upgrade or a move to ambient mode. Kyma's overlays are proved with
    Kyma's pods, which Istio's charts don't bring."""
    assert bundle(tree, overlay, "all").complaints(ALL.running(version), warnings=True) == []
