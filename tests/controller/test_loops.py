"""No loop of the controller ends by an error of ours, whatever part of it raises, and certificates are kept
meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.certs.webhook_cluster import WebhookCluster, configured
from tests.cluster.control_plane import ControlPlane
from tests.controller.test_plan import keys_at
from tests.kube.following import connection, wait_until

from istio_netpol.controller.evaluation import Evaluation
from istio_netpol.controller.leadership import Duty
from istio_netpol.controller.lease import Lease
from istio_netpol.controller.loop import ReconcileLoop
from istio_netpol.controller.metrics import ControllerMetrics
from istio_netpol.controller.plan import Apply, PlannedWrite
from istio_netpol.controller.policy_writer import PacedWriter
from istio_netpol.controller.reconciler import PolicyReconciler, staleness
from istio_netpol.controller.reporter import OVERDUE_SECONDS, TELL_SECONDS, Reporter
from istio_netpol.controller.run import at_work
from istio_netpol.errors import ApiError
from istio_netpol.kube.cluster import Cluster
from istio_netpol.model.settings import Settings
from istio_netpol.runtime.guarded import Guarded

LEADS = SimpleNamespace(is_held=True)


class Broken:
    """Fails a few times, and works then."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.done = 0

    def __call__(self) -> None:
        if self.left:
            self.left -= 1
            raise ZeroDivisionError("as if we had miscalculated")
        self.done += 1


class Reconciler:
    """Follows and reconciles what a test says."""

    def __init__(self, follow: Broken, reconcile: Broken) -> None:
        self._follow, self._reconcile = follow, reconcile

    def follow(self) -> bool:
        self._follow()
        return False

    def reconcile(self, stopped: threading.Event) -> float:
        self._reconcile()
        return 0.05


class Feed:
    def wait(self, seconds: float) -> None:
        time.sleep(0.01)


def errors(metrics: ControllerMetrics) -> dict[str, float]:
    """What the metric counts, by the loops that had errors."""
    (family,) = metrics.errors.collect()
    return {
        sample.labels["loop"]: sample.value
        for sample in family.samples
        if sample.name.endswith("_total") and sample.value
    }


@contextmanager
def running(work: Callable[[threading.Event], None]) -> Iterator[threading.Thread]:
    stopped = threading.Event()
    thread = threading.Thread(target=work, args=(stopped,))
    thread.start()
    try:
        yield thread
    finally:
        stopped.set()
        thread.join(30)


@pytest.mark.parametrize("part", ["follow", "reconcile"])
def test_the_loop_goes_on_after_an_error_of_any_part(part: str) -> None:
    """It is counted and told of until the part works again."""
    parts = {"follow": Broken(0), "reconcile": Broken(0)}
    parts[part] = broken = Broken(2)
    metrics = ControllerMetrics()
    loop = ReconcileLoop(Feed(), Reconciler(**parts), LEADS, metrics.errored)
    with running(loop.run) as thread:
        wait_until(lambda: bool(loop.problems))
        assert loop.problems[0].endswith("; the log has the details")
        wait_until(lambda: broken.done > 1 and not loop.problems)
        assert thread.is_alive()
    assert errors(metrics) == {part: 2.0}


def test_a_chore_goes_on_after_an_error() -> None:
    """What keeps the certificates is tried again."""
    chore, metrics, stopped = Broken(2), ControllerMetrics(), threading.Event()

    def reconcile() -> float:
        chore()
        return 0.05

    duty = Duty(SimpleNamespace(name="certificates", reconcile=reconcile), LEADS, stopped, metrics.errored)
    duty.start()
    wait_until(lambda: chore.done > 1)
    stopped.set()
    duty.join()
    assert errors(metrics) == {"certificates": 2.0}


def test_the_lease_is_renewed_after_an_error() -> None:
    """An answer that nobody expected does not leave the cluster without a leader; one at the end neither."""
    renewal, metrics, stopped = Broken(2), ControllerMetrics(), threading.Event()
    lease = SimpleNamespace(is_held=True, keep=renewal, release=Broken(1))
    with at_work(lease, [], stopped, metrics):
        wait_until(lambda: renewal.done > 1)
    assert errors(metrics) == {"lease": 2.0}


def test_findings_are_told_after_an_error() -> None:
    """What can't be told keeps no policy from being written."""
    now, publisher, metrics = [0.0], Broken(1), ControllerMetrics()

    def publish(findings: object) -> bool:
        publisher()
        return True

    evaluation: Any = SimpleNamespace(findings=list)
    reporter = Reporter(SimpleNamespace(publish=publish), evaluation, metrics, lambda: now[0])
    reporter.tell()
    assert errors(metrics) == {"tell": 1.0}
    now[0] += TELL_SECONDS
    reporter.tell()
    assert (publisher.done, reporter.due_in) == (1, float("inf"))


def test_findings_are_told_though_policies_never_come_to_rest() -> None:
    """A tenant whose objects change all the time keeps nobody's findings back."""
    now = [0.0]
    reporter = Reporter(SimpleNamespace(), SimpleNamespace(), ControllerMetrics(), lambda: now[0])
    for _ in range(4):
        reporter.wait()
        assert not reporter.is_overdue
        now[0] += OVERDUE_SECONDS / 4
    now[0] += 1
    assert reporter.is_overdue


class Cabinet:
    """Carries out what it was not told to refuse."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.tried: list[str] = []

    def carry_out(self, action: PlannedWrite) -> None:
        self.tried.append(action.target.name)
        if action.target.name == "bad":
            raise self.error


@pytest.mark.parametrize("error", [ZeroDivisionError(), ApiError(403, "exceeded quota")])
def test_a_write_that_fails_is_left_alone_for_longer_each_time(error: Exception) -> None:
    """The others are done at once, and round does not follow round for its sake."""
    now, cabinet = [0.0], Cabinet(error)
    writer = PacedWriter(cabinet, 10_000, ControllerMetrics(), lambda: now[0])
    actions = [Apply(keys_at("192.0.2.1/32", name=name)) for name in ("bad", "good")]
    stopped = threading.Event()
    outcome = writer.carry_out(actions, stopped)
    assert (outcome.is_complete, outcome.written, outcome.again_in) == (True, 1, 1.0)
    outcome = writer.carry_out(actions[:1], stopped)
    assert (outcome.written, cabinet.tried) == (0, ["bad", "good"])
    waits = []
    for _ in range(8):
        now[0] += outcome.again_in
        outcome = writer.carry_out(actions[:1], stopped)
        waits.append(outcome.again_in)
    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    writer.carry_out([], stopped)
    assert writer.carry_out(actions[:1], stopped).again_in == 1.0, "what was not wanted meanwhile is new"


def test_what_ends_the_process_is_not_held_up() -> None:
    """A guard is for errors, not for the order to stop."""
    guarded = Guarded("test", "trouble", lambda _: None)
    with pytest.raises(SystemExit), guarded:
        raise SystemExit(0)
    assert guarded.problem == ""


class BrokenEvaluation(Evaluation):
    """Never comes to a result."""

    def need(self, ours: object) -> Any:
        raise ZeroDivisionError("as if we had miscalculated")


@pytest.fixture
def certified(control_plane: ControlPlane, namespace: str) -> Iterator[WebhookCluster]:
    with configured(control_plane, namespace) as cluster:
        yield cluster


def test_certificates_rotate_while_every_evaluation_fails(certified: WebhookCluster, tmp_path: Path) -> None:
    """The process lives, keeps its lease, says what is wrong, and makes certificates anew."""
    plane = certified.control_plane
    found = connection(plane, tmp_path)
    lease = Lease(found, certified.namespace, "lease", "us")
    leading = found.writing_while(lambda: lease.is_held)
    cluster, settings, metrics = Cluster(found, ["istio-system"]), Settings(), ControllerMetrics()
    reconciler = PolicyReconciler(cluster, leading, BrokenEvaluation(settings, None), settings, metrics)
    loop = ReconcileLoop(cluster, reconciler, lease, metrics.errored)

    def work(stopped: threading.Event) -> None:
        with at_work(lease, [certified.reconciler()], stopped, metrics):
            loop.run(stopped)

    cluster.start()
    try:
        with running(work) as thread:
            wait_until(lambda: errors(metrics).get("reconcile", 0) > 1)
            wait_until(lambda: all(certified.bundles()))
            certified.delete_secret("certificate")
            wait_until(lambda: "certificate" in secrets(certified))
            certified.assert_serves()
            assert loop.problems == ["the policies can't be reconciled; the log has the details"]
            assert not staleness(cluster, settings)
            assert thread.is_alive()
            assert lease.is_held
    finally:
        cluster.stop()


def secrets(cluster: WebhookCluster) -> set[str]:
    answer = cluster.control_plane.api().request("GET", f"/api/v1/namespaces/{cluster.namespace}/secrets")
    return {secret["metadata"]["name"] for secret in answer.object["items"]}
