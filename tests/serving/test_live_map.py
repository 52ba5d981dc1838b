"""When the live map is worked out, and what is sent of it."""

from __future__ import annotations

from tests.admission.objects import CONTROL_PLANE, deny_all, deployment, namespace
from tests.admission.state import Manifest, State

from istio_netpol.flows.table import FlowTable
from istio_netpol.server.live_map import LEAST_REST_SECONDS, MapOnDemand
from istio_netpol.web.live import Published

SHOP = [
    *CONTROL_PLANE,
    namespace("shop"),
    deployment("shop/cart"),
    namespace("bank"),
    deployment("bank/till"),
]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Cluster:
    """What decisions go by, as a test changes it."""

    def __init__(self, *objects: Manifest) -> None:
        self.state = State(objects)
        self.is_read = True
        self.clock = Clock()
        self.map = MapOnDemand(self.table, self.state.resolver, "test", self.clock)

    def table(self) -> FlowTable | None:
        return self.state.table if self.is_read else None

    def published(self) -> Published:
        found = self.map.newest()
        assert found is not None
        return found


def denied(published: Published) -> int:
    return int(published.document["states"]["now"]["summary"]["denied"])


def test_there_is_no_map_before_the_cluster_was_read() -> None:
    """Nothing stands for everything."""
    cluster = Cluster(*SHOP)
    cluster.is_read = False
    assert cluster.map.newest() is None
    assert cluster.map.namespaces() == ()


def test_the_map_follows_the_cluster_with_a_rest_between() -> None:
    """However fast objects change, reviews have the interpreter most of the time."""
    cluster = Cluster(*SHOP)
    first = cluster.published()
    assert denied(first) == 0
    assert {"shop", "bank", "istio-system"} <= set(cluster.map.namespaces())
    cluster.state = cluster.state.after(deny_all("shop"))
    assert cluster.published() is first, "it rests"
    cluster.clock.now += LEAST_REST_SECONDS + 0.1
    second = cluster.published()
    assert denied(second) > 0
    assert second.sent.tag != first.sent.tag
    cluster.clock.now += 1000
    assert cluster.published() is second, "nothing changed"


def test_whoever_comes_while_it_is_worked_out_gets_the_last_one() -> None:
    """A page that is open never waits for a large cluster."""
    cluster = Cluster(*SHOP)
    first = cluster.published()
    cluster.state = cluster.state.after(deny_all("shop"))
    cluster.clock.now += LEAST_REST_SECONDS + 0.1
    with cluster.map._working:
        assert cluster.published() is first
    assert cluster.published() is not first
