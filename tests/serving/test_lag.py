"""How far decisions are behind the cluster: known at any time, and told where it is too much."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from tests.admission.objects import deployment
from tests.admission.state import Answers
from tests.kube.following import CONFIG_NAMESPACE, pod, wait_until
from tests.kube.told import Told
from tests.serving.reviews import review

from istio_netpol.flows.table import FlowTable
from istio_netpol.kube.cluster import Cluster, ClusterChanges
from istio_netpol.kube.limited_store import LimitedStore
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.server.app import create_app
from istio_netpol.server.cluster_watch import ClusterWatch
from istio_netpol.server.metrics import Metrics
from istio_netpol.server.readiness import Readiness
from istio_netpol.server.reviewer import Reviewer


class Stumbling(Reviewer):
    """Fails to take a table while it is told to, and has a review under way while it is told to."""

    is_broken = False
    is_busy = False
    holds_up: threading.Event | None = None

    def take(self, table: FlowTable) -> None:
        if self.holds_up is not None:
            self.holds_up.wait(60)
        if self.is_broken:
            raise ZeroDivisionError("as if we had miscalculated")
        super().take(table)


class Webhook:
    """A webhook that takes in what it was told when a test has it look, by a clock of the test's own."""

    def __init__(self, api: Told) -> None:
        self.now = 1000.0
        self.over = threading.Event()
        self.cluster = Cluster(api, [CONFIG_NAMESPACE], clock=self._clock)
        self.metrics = Metrics(self.cluster.state, lambda: 0.0)
        store = LimitedStore(SimpleNamespace(), Settings().admission, lambda _: False)
        self.reviewer = Stumbling(store, Answers({}))
        self.watch = ClusterWatch(self.cluster, self.reviewer, store, Settings(), self.metrics, self._clock)
        readiness = Readiness(
            self.cluster.state,
            lambda: self.reviewer.is_ready,
            lambda: self.watch.failure,
            lambda: self.watch.lag,
            str,
            str,
            60.0,
        )
        self.client = create_app(self.reviewer, readiness, self.metrics).test_client()

    def _clock(self) -> float:
        if self.over.is_set() and threading.current_thread().name == "watch":
            threading.Event().wait()  # a thread that ends with the process
        return self.now

    def look_until_ready(self) -> None:
        def is_ready() -> bool:
            self.watch.look()
            return self.reviewer.is_ready

        wait_until(is_ready)

    def sample(self, metric: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"istio_netpol_{metric}", labels)


@pytest.fixture
def api() -> Told:
    return Told(shown("web"))


@pytest.fixture
def webhook(api: Told) -> Iterator[Webhook]:
    webhook = Webhook(api)
    webhook.cluster.start()
    webhook.look_until_ready()
    yield webhook
    webhook.cluster.stop()


def shown(name: str, **labels: str) -> dict[str, Any]:
    manifest = pod(name, **labels)
    manifest["metadata"]["namespace"] = "shop"
    return manifest


def test_the_lag_is_the_age_of_the_oldest_change_that_decisions_do_not_go_by(
    api: Told, webhook: Webhook
) -> None:
    """It ends with the look that takes it in, which the histogram counts."""
    assert webhook.watch.lag == 0
    api.say("ADDED", shown("one"))
    wait_until(lambda: webhook.cluster.waiting_since is not None)
    webhook.now += 3
    api.say("ADDED", shown("two"))
    assert webhook.watch.lag == 3
    wait_until(lambda: webhook.cluster.heard_of == 3)  # the list before them
    webhook.watch.look()
    assert webhook.sample("change_delay_seconds_bucket", le="2.5") == 0
    assert webhook.sample("change_delay_seconds_bucket", le="5.0") == 1
    assert webhook.watch.lag == 0


def test_readiness_ends_where_changes_wait_for_too_long(api: Told, webhook: Webhook) -> None:
    """Reviews are answered by the last good table; all is well once the change was taken in."""
    assert webhook.client.get("/readyz").json == {"status": "ready", "reasons": []}
    api.say("ADDED", shown("one"))
    wait_until(lambda: webhook.cluster.waiting_since is not None)
    webhook.now += 61
    told = webhook.client.get("/readyz")
    reason = "a change of the source has waited for 61 s to be taken in"
    assert (told.status_code, told.json) == (503, {"status": "not ready", "reasons": [reason]})
    asked = webhook.client.post(
        "/validate", data=review(deployment("shop/cart")), content_type="application/json"
    )
    assert asked.status_code == 200
    webhook.watch.look()
    assert webhook.client.get("/readyz").status_code == 200


def test_a_change_that_fails_to_be_taken_in_goes_on_waiting(api: Told, webhook: Webhook) -> None:
    """The lag counts from when it was heard of until some look succeeds."""
    webhook.reviewer.is_broken = True
    api.say("ADDED", shown("one"))
    wait_until(lambda: webhook.cluster.waiting_since is not None)
    webhook.now += 3
    with pytest.raises(ZeroDivisionError):
        webhook.watch.look()
    webhook.now += 4
    assert webhook.watch.lag == 7
    webhook.reviewer.is_broken = False
    api.say("ADDED", shown("two"))
    wait_until(lambda: webhook.cluster.waiting_since is not None)
    webhook.watch.look()
    assert webhook.watch.lag == 0


def test_changes_that_wait_for_reviews_are_taken_in_once_somebody_asks(api: Told) -> None:
    """By the stopped clock, the review that is under way never ends, and no bound is ever reached."""
    webhook = Webhook(api)
    webhook.reviewer.is_busy = True
    webhook.watch.start()

    def pods() -> set[str]:
        webhook.watch.catch_up(60)
        table = webhook.reviewer.table()
        return {found.ref.name for found in table.stored.of_type(Workload, "shop")} if table else set()

    try:
        wait_until(lambda: pods() == {"web"})
        api.say("ADDED", shown("one"))
        wait_until(lambda: webhook.watch.lag == 0 and webhook.cluster.waiting_since is not None)
        assert pods() == {"web", "one"}
        assert webhook.cluster.waiting_since is None
    finally:
        webhook.over.set()
        webhook.cluster.stop()


def test_whoever_asks_during_a_look_waits_for_its_end(api: Told, webhook: Webhook) -> None:
    """And not for a look after it, which nothing would begin."""
    webhook.reviewer.holds_up = threading.Event()
    api.say("ADDED", shown("one"))
    wait_until(lambda: webhook.cluster.waiting_since is not None)
    look = threading.Thread(target=webhook.watch.look)
    look.start()
    wait_until(lambda: webhook.cluster.waiting_since is None)
    asked = threading.Thread(target=webhook.watch.catch_up, args=[60])
    asked.start()
    asked.join(0.05)
    assert asked.is_alive()
    webhook.reviewer.holds_up.set()
    asked.join(60)
    look.join(60)
    assert not asked.is_alive()


def test_what_is_known_when_a_look_takes_it_keeps_nobody_waiting(
    api: Told, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks after a look began and before it took what waits waits for that look alone."""
    api.say("ADDED", shown("one"))
    wait_until(lambda: webhook.cluster.waiting_since is not None)
    take, asked = webhook.cluster.take, threading.Thread(target=webhook.watch.catch_up, args=[60])

    def take_later() -> ClusterChanges | None:
        asked.start()
        time.sleep(0.05)
        return take()

    monkeypatch.setattr(webhook.cluster, "take", take_later)
    webhook.watch.look()
    asked.join(60)
    assert not asked.is_alive()


def test_a_look_that_fails_is_not_taken_for_one_that_succeeded(api: Told, webhook: Webhook) -> None:
    """Whoever asks goes on waiting for the next one."""
    webhook.reviewer.is_broken = True
    api.say("ADDED", shown("one"))
    wait_until(lambda: webhook.cluster.waiting_since is not None)
    asked = threading.Thread(target=webhook.watch.catch_up, args=[60])
    asked.start()
    with pytest.raises(ZeroDivisionError):
        webhook.watch.look()
    asked.join(0.05)
    assert asked.is_alive()
    webhook.reviewer.is_broken = False
    api.say("ADDED", shown("two"))
    wait_until(lambda: webhook.cluster.waiting_since is not None)
    webhook.watch.look()
    asked.join(60)
    assert not asked.is_alive()


def test_whoever_asks_waits_for_so_long_and_no_longer(api: Told, webhook: Webhook) -> None:
    """Here nobody takes anything in."""
    api.say("ADDED", shown("one"))
    wait_until(lambda: webhook.cluster.waiting_since is not None)
    webhook.watch.catch_up(0.05)
    assert webhook.cluster.waiting_since is not None
