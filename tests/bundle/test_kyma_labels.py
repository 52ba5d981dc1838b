"""Kyma's labels mean under the bundle what they mean under Kyma's own, but for what is named here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.bundle.kyma_policies import KYMA
from tests.bundle.overlays import policies, with_components
from tests.values import TCP, deny_all, deployment

from istio_netpol.model.flows import PodsPeer
from istio_netpol.model.policies import Direction
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.evaluate import judge
from istio_netpol.state.snapshot import Snapshot

OPT_IN = "networking.kyma-project.io"
MODULE = "kyma-project.io/module"
PORTS = (
    80,
    443,
    8080,
    8443,
    9443,
    14999,
    15000,
    15012,
    15014,
    15017,
    15020,
    15021,
    15090,
    15091,
    15443,
    65535,
)

DENIES = ("istio-system", "kyma-system")
ISTIOD = deployment("istio-system/istiod", app="istiod", istio="pilot")
INGRESS = deployment("istio-system/istio-ingressgateway", istio="ingressgateway")
EGRESS = deployment("istio-system/istio-egressgateway", istio="egressgateway")
OPERATOR = deployment(
    "kyma-system/api-gateway", **{"app.kubernetes.io/name": "api-gateway-operator", MODULE: "api-gateway"}
)
OATHKEEPER = deployment(
    "kyma-system/oathkeeper", **{"app.kubernetes.io/name": "oathkeeper", MODULE: "api-gateway"}
)
CALLED = (ISTIOD, INGRESS, EGRESS, OPERATOR, OATHKEEPER)
CALLERS = tuple(
    deployment(f"{namespace}/{name}", **labels)
    for namespace in ("kyma-system", "shop")
    for name, labels in {
        "module": {MODULE: "telemetry"},
        "istio-metrics": {f"{OPT_IN}/istio-metrics": "allowed"},
        "metrics-scraping": {f"{OPT_IN}/metrics-scraping": "allowed"},
        "to-egressgateway": {f"{OPT_IN}/to-egressgateway": "allowed"},
        "denied": {f"{OPT_IN}/to-egressgateway": "denied"},
        "plain": {"app": "plain"},
    }.items()
)
OPTED_IN = deployment("shop/cart", **{f"{OPT_IN}/from-ingressgateway": "allowed"})
ELSEWHERE = deployment("shop/other", app="other")


@dataclass(frozen=True, slots=True)
class Way:
    """A connection into or out of Kyma's and Istio's pods."""

    caller: Workload
    called: Workload
    port: int
    direction: Direction

    @property
    def is_of_a_tenant(self) -> bool:
        """Whether the caller is out of the namespaces in which only administrators write."""
        return self.caller.namespace not in DENIES


METRICS = {ISTIOD.name: (15014,), INGRESS.name: (15020, 15021, 15090), EGRESS.name: (15020, 15021, 15090)}


def is_tenants_scraping(way: Way) -> bool:
    """Kyma takes the labels of scrapers in every namespace, where any tenant can write them."""
    scrapes = way.port in METRICS.get(way.called.name, ()) or (way.called, way.port) == (OPERATOR, 8080)
    return way.is_of_a_tenant and scrapes


def is_istios_own_port(way: Way) -> bool:
    """Kyma lets pods that opted in for egress at metrics and whatever else Istio has on its own ports."""
    return way.called == EGRESS and "to-egressgateway" in way.caller.name and 15000 <= way.port <= 15090


def is_oathkeeper(way: Way) -> bool:
    """Kyma's policy is for all pods of the module; the component `kyma-oathkeeper` has Oathkeeper's own."""
    return way.called == OATHKEEPER


def is_any_proxy(way: Way) -> bool:
    """Kyma asks proxies for a label that ztunnel, waypoints and gateways elsewhere don't have."""
    return (way.called, way.port) == (ISTIOD, 15012)


def is_egress_of_the_egress_gateway(way: Way) -> bool:
    """Kyma opens all of it, by no label; the webhook and `generate` open what routes name."""
    return way.caller == EGRESS and way.direction is Direction.EGRESS


KYMA_OPENS_MORE: tuple[Callable[[Way], bool], ...] = (
    is_tenants_scraping,
    is_istios_own_port,
    is_oathkeeper,
    is_egress_of_the_egress_gateway,
)
BUNDLE_OPENS_MORE: tuple[Callable[[Way], bool], ...] = (is_any_proxy,)


def ways() -> Iterator[Way]:
    """Into each pod that the policies are about, and out of the gateways to pods of a tenant."""
    for port in PORTS:
        for called in CALLED:
            for caller in CALLERS:
                yield Way(caller, called, port, Direction.INGRESS)
        for caller in (INGRESS, EGRESS):
            for called in (OPTED_IN, ELSEWHERE):
                yield Way(caller, called, port, Direction.EGRESS)


def opened(snapshot: Snapshot) -> set[Way]:
    """Those ways that the policies on that side leave open."""
    return {
        way
        for way in ways()
        if judge(snapshot, PodsPeer(way.caller), PodsPeer(way.called), TCP, way.port)
        .side(way.direction)
        .allowed
    }


@pytest.fixture(scope="module")
def differences(tree: Path) -> tuple[set[Way], set[Way]]:
    """What Kyma's policies open and the bundle does not, and the other way round, each under a deny-all."""
    bundle = with_components(tree, "kind", ["kyma", "egress-gateway", "kyma-module-labels"])
    running = [*CALLED, *CALLERS, OPTED_IN, ELSEWHERE]
    of_kyma = opened(Snapshot.of([*running, *map(deny_all, DENIES), *KYMA]))
    of_bundle = opened(Snapshot.of([*running, *policies(bundle.objects)]))
    assert len(of_kyma & of_bundle) > 20
    return of_kyma - of_bundle, of_bundle - of_kyma


def test_each_difference_is_deliberate(differences: tuple[set[Way], set[Way]]) -> None:
    """What Kyma opens besides has a reason to be closed here, and the reverse."""
    for found, reasons in zip(differences, (KYMA_OPENS_MORE, BUNDLE_OPENS_MORE), strict=True):
        unexplained = {way for way in found if not any(is_reason(way) for is_reason in reasons)}
        assert {
            f"{way.caller.ref} -> {way.called.ref} {way.port} {way.direction}" for way in unexplained
        } == set()


@pytest.mark.parametrize(
    "is_reason", [*KYMA_OPENS_MORE, *BUNDLE_OPENS_MORE], ids=lambda reason: reason.__name__
)
def test_each_reason_explains_a_difference(
    differences: tuple[set[Way], set[Way]], is_reason: Callable[[Way], bool]
) -> None:
    """None of them hides that the two have become alike."""
    assert any(map(is_reason, set.union(*differences)))
