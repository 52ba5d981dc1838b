"""The bundle beside the policies that Kyma and Istio bring along: policies add up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.bundle.istio_manifests import rendered
from tests.bundle.kyma_policies import KYMA
from tests.bundle.overlays import objects_of, policies, standard, with_components
from tests.bundle.uses import USES
from tests.values import TCP, deployment

from istio_netpol.analysis.listing import connections
from istio_netpol.model.flows import PodsPeer
from istio_netpol.model.labels import Selector
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.settings import Settings
from istio_netpol.netpol.evaluate import judge
from istio_netpol.state.snapshot import Snapshot

BROUGHT = ("--set", "profile=default", "--set", "values.global.networkPolicy.enabled=true")


def istios() -> list[NetworkPolicy]:
    """What Istio's charts write with `global.networkPolicy.enabled`."""
    parts = rendered(*BROUGHT).split("\n---\n")
    found = policies(objects_of("\n---\n".join(part for part in parts if "\nkind: NetworkPolicy\n" in part)))
    assert {policy.key for policy in found} == {"istio-system/istiod", "istio-system/istio-ingressgateway"}
    return found


def lines(objects: Sequence[Any]) -> set[str]:
    """Every connection that is allowed, as text."""
    return {str(connection) for connection in connections(Snapshot.of(objects), Settings())}


def test_kyma_s_labels_open_no_more_than_kyma_s_own_policies(tree: Path) -> None:
    """Beside them the component changes nothing, so either may be switched on first, or off."""
    cluster = USES["kyma-module-labels"]
    plain, bundle = cluster.built(tree), cluster.built(tree, "kyma-module-labels")
    running = [*cluster.control_plane(), *KYMA]
    assert lines([*running, *bundle.objects]) == lines([*running, *plain.objects])
    assert lines([*cluster.control_plane(), *bundle.objects]) != lines(
        [*cluster.control_plane(), *plain.objects]
    )


def test_a_tenant_s_label_opens_no_metrics(tree: Path) -> None:
    """Kyma's label for scraping counts in kyma-system, and on the pod of a tenant it opens nothing."""
    cluster = USES["kyma-module-labels"]
    bundle = cluster.built(tree, "kyma-module-labels")
    tenant = deployment("shop/rma", **{"networking.kyma-project.io/metrics-scraping": "allowed"})
    snapshot = Snapshot.of([*cluster.control_plane(), tenant, *bundle.objects])
    (istiod,) = snapshot.select_anywhere(Selector.of({"app": "istiod"}))
    (module,) = snapshot.select("kyma-system", Selector.of(dict(tenant.labels)))
    assert judge(snapshot, PodsPeer(module), PodsPeer(istiod), TCP, 15014).allowed
    assert not judge(snapshot, PodsPeer(tenant), PodsPeer(istiod), TCP, 15014).allowed


@pytest.mark.parametrize("others", ["Kyma's", "Istio's"])
@pytest.mark.parametrize("components", [[], ["kyma-module-labels"]], ids=["plain", "with Kyma's labels"])
def test_nothing_breaks_beside_them(tree: Path, others: str, components: list[str]) -> None:
    """Whatever the bundle allows stays allowed: they add to it and isolate nobody besides."""
    brought = KYMA if others == "Kyma's" else istios()
    bundle = with_components(tree, "kind", ["kyma", *components])
    assert bundle.complaints(standard(), [*bundle.objects, *brought]) == []
