"""On each platform, as its network plugin sees it: the overlay suffices, and all of it is needed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.bundle.overlays import OVERLAYS, policies
from tests.platforms.clusters import BY_NAME, CLUSTERS, FOLDER, SHARED

from istio_netpol.model.flows import FlowKind


@pytest.mark.parametrize("name", BY_NAME)
def test_the_overlay_suffices(tmp_path: Path, name: str) -> None:
    """Istio, the health checks of its gateway and istio-netpol work under the deny-all."""
    cluster = BY_NAME[name]
    bundle = cluster.bundle(tmp_path)
    assert bundle.complaints(cluster.objects) == []
    proof = bundle.proof(cluster.objects)
    kinds = {judged.flow.kind for judged in proof.flows}
    assert {FlowKind.DNS, FlowKind.TO_APISERVER, FlowKind.WEBHOOK_FROM_APISERVER} <= kinds
    ours = {judged.flow.object.namespace for judged in proof.flows}
    assert {"istio-system", "istio-netpol"} <= ours


@pytest.mark.parametrize("overlay", sorted({cluster.overlay for cluster in CLUSTERS}))
def test_every_part_of_the_overlay_is_needed(tmp_path: Path, overlay: str) -> None:
    """In one of the platform's clusters, for each policy, rule, port and peer."""
    needless: set[str] | None = None
    for cluster in (cluster for cluster in CLUSTERS if cluster.overlay == overlay):
        bundle = cluster.bundle(tmp_path / cluster.name)
        found = set(bundle.unnoticed(cluster.objects, policies(bundle.objects)))
        needless = found if needless is None else needless & found
    assert needless == set()


def test_every_overlay_has_a_cluster_and_every_dump_is_judged() -> None:
    """A new environment comes with the dump of a cluster."""
    plain = {name for name in OVERLAYS if not name.startswith("kyma")}
    assert {cluster.overlay for cluster in CLUSTERS} == plain
    dumps = {file.stem for file in FOLDER.glob("*.yaml")} - {SHARED}
    assert {name for name in dumps if not name.startswith("kyma")} == set(BY_NAME)
