"""Decisions keep up with the cluster, however many reviews are under way."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.cluster.control_plane import ControlPlane
from tests.kube.following import pod, pods_path, wait_until
from tests.kube.manifests import DENY_ALL, deployment
from tests.serving.process import WebhookProcess, read_reply
from tests.serving.reviews import review

from istio_netpol.model.own_names import MODE_LABEL

PODS, CLIENTS, STREAMS = 150, 4, 3
LATE_SECONDS = "30.0"
"""Three hundred times the bound: the machine of a test has other things to do."""


def sample(webhook: WebhookProcess, name: str) -> float:
    """A sample of a metric, its labels in the name."""
    found = re.search(rf"^istio_netpol_{re.escape(name)} (\S+)$", webhook.metrics(), re.MULTILINE)
    assert found, name
    return float(found[1])


@contextmanager
def stream_of_reviews(webhook: WebhookProcess, namespaces: list[str]) -> Iterator[None]:
    """Reviews without a break until the block ends, on a connection for each namespace."""
    ended = threading.Event()
    statuses: set[int] = set()

    def ask(namespace: str) -> None:
        body, connection = review(deployment("web", namespace)), webhook.connect()
        while not ended.is_set():
            connection.request("POST", "/validate", body, {"Content-Type": "application/json"})
            statuses.add(read_reply(connection).status)
        connection.close()

    with ThreadPoolExecutor(len(namespaces)) as pool:
        asked = [pool.submit(ask, namespace) for namespace in namespaces]
        try:
            yield
        finally:
            ended.set()
        for answer in asked:
            answer.result()
    assert statuses == {200}


def test_a_burst_of_pods_is_taken_in_by_batches_while_reviews_go_on(
    control_plane: ControlPlane, webhook: WebhookProcess
) -> None:
    """No change waits for reviews to end, and a policy that comes meanwhile decides soon after."""
    homes = [control_plane.namespace({MODE_LABEL: "reject"}) for _ in range(STREAMS)]
    quiet = control_plane.namespace()
    judged = control_plane.namespace({MODE_LABEL: "reject", "istio-injection": "enabled"})
    objects = sample(webhook, "objects")
    batches = sample(webhook, "change_delay_seconds_count")
    with stream_of_reviews(webhook, homes), ThreadPoolExecutor(CLIENTS) as clients:

        def create(number: int) -> None:
            control_plane.create(pods_path(quiet), pod(f"web-{number}", app="web"))

        list(clients.map(create, range(PODS)))
        wait_until(lambda: sample(webhook, "objects") >= objects + PODS)
        assert webhook.review("validate", review(deployment("web", judged)))["allowed"]
        path = f"/apis/networking.k8s.io/v1/namespaces/{judged}/networkpolicies"
        control_plane.create(path, DENY_ALL)
        wait_until(lambda: not webhook.review("validate", review(deployment("web", judged)))["allowed"])
        assert webhook.request("GET", "/readyz").status == 200
    taken = sample(webhook, "change_delay_seconds_count")
    assert batches < taken < batches + PODS
    assert sample(webhook, f'change_delay_seconds_bucket{{le="{LATE_SECONDS}"}}') == taken
    wait_until(lambda: sample(webhook, "source_lag_seconds") == 0)
