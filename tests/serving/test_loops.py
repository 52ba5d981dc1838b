"""No loop of the webhook ends by an error of ours; the last good state stays."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

from tests.admission.objects import CONTROL_PLANE, deny_all, deployment, namespace
from tests.admission.state import Answers, State
from tests.kube.following import wait_until
from tests.serving.reviews import review

from istio_netpol.dns.pool import LookupPool
from istio_netpol.kube.cluster import ClusterChanges
from istio_netpol.kube.limited_store import LimitedStore
from istio_netpol.model.resolution import Resolution, ResolutionStatus
from istio_netpol.model.settings import Settings
from istio_netpol.server.cluster_watch import ClusterWatch
from istio_netpol.server.folder_watch import Watch
from istio_netpol.server.metrics import Metrics
from istio_netpol.server.reviewer import Reviewer
from istio_netpol.state.source import SourceState


class Source:
    """A cluster and a folder that fail when told to, and hold their watch up when the test is over."""

    def __init__(self) -> None:
        self.snapshot = State([*CONTROL_PLANE, namespace("shop", "reject"), deny_all("shop")]).table.stored
        self.is_broken = False
        self.looks = 0
        self.over = threading.Event()

    def start(self) -> None:
        """Nothing to start."""

    def wait(self, seconds: float) -> None:
        if self.over.is_set():
            threading.Event().wait()  # a thread that ends with the process
        time.sleep(0.01)

    def _look(self) -> None:
        self.wait(0)
        self.looks += 1
        if self.is_broken:
            raise ZeroDivisionError("as if we had miscalculated")

    def take(self) -> ClusterChanges | None:
        self._look()
        return ClusterChanges(self.snapshot, whole=True)

    def refresh(self) -> bool:
        self._look()
        return True

    is_settling = False
    waiting_since = None
    heard_of = taken = 0

    def wake(self) -> None:
        """Nobody waits for long."""

    def state(self) -> SourceState:
        return SourceState(self.snapshot, synced=True, age=0.0)


def goes_on(source: Source, reviewer: Reviewer, watch: Any, metrics: Metrics) -> None:
    """Breaks the source for a while, and mends it."""
    watch.start()
    try:
        wait_until(lambda: reviewer.is_ready)
        source.is_broken = True
        wait_until(lambda: bool(watch.failure))
        assert watch.failure.endswith("could not be taken in; the log has the details")
        answer = reviewer.review(review(deployment("shop/cart")), mutating=False)
        assert answer.decision is not None
        assert not answer.decision.allowed, "by the last good state"
        looks = source.looks
        source.is_broken = False
        wait_until(lambda: not watch.failure)
        assert source.looks > looks
    finally:
        source.over.set()
    assert metrics.registry.get_sample_value("istio_netpol_errors_total", {"loop": "source"}) >= 1


def test_the_watch_of_a_cluster_goes_on_after_an_error() -> None:
    """It says so in /readyz meanwhile, and decides by what it knew."""
    source = Source()
    metrics = Metrics(source.state, lambda: 0.0)
    store = LimitedStore(SimpleNamespace(), Settings().admission, lambda _: False)
    reviewer = Reviewer(store, Answers({}))
    goes_on(source, reviewer, ClusterWatch(source, reviewer, store, Settings(), metrics), metrics)


def test_the_watch_of_a_folder_goes_on_after_an_error() -> None:
    """So does that of a folder."""
    source = Source()
    metrics = Metrics(source.state, lambda: 0.0)
    reviewer = Reviewer(SimpleNamespace(write=lambda policies, asker: ()), Answers({}))
    goes_on(source, reviewer, Watch(source, reviewer, Answers({}), Settings(), metrics), metrics)


def test_a_lookup_that_breaks_is_an_answer_and_ends_no_thread() -> None:
    """Who waits is told, and the next host is looked up."""

    def lookup(host: str, _: str) -> Resolution:
        if host == "bad":
            raise ZeroDivisionError("as if we had miscalculated")
        return Resolution(host, (), ResolutionStatus.NOT_FOUND)

    pool = LookupPool(lookup)
    for host, status in (("bad", ResolutionStatus.FAILED), ("good", ResolutionStatus.NOT_FOUND)) * 40:
        promised = pool.ask(host, "team-a")
        assert promised is not None
        assert promised.result(60).status is status
