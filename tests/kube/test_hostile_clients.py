"""A real API server asks the webhook while somebody else does what he can to its port."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.kube.manifests import deployment
from tests.serving.attacks import Target, attacking
from tests.serving.process import WebhookProcess
from tests.waiting import wait_until

from istio_netpol.model.own_names import MODE_LABEL

ATTACKS = ("silent", "idle_after_answer", "slow_headers", "handshakes")
CREATES = 200
AT_ONCE = 48
"""More than the idle connections that the API server keeps: it opens and closes some for each round."""


@pytest.mark.parametrize("round_", ["from a new API server", "from one that is known"])
def test_no_review_fails(control_plane: ControlPlane, webhook: WebhookProcess, round_: str) -> None:
    """All creates of a burst are judged, though the webhook fails closed."""
    namespace = control_plane.namespace({MODE_LABEL: "reject"})
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments?dryRun=All"

    def create(number: int) -> str:
        answer = control_plane.api().request("POST", path, deployment(f"web-{number}", namespace))
        return "" if answer.status == 201 else str(answer.object)

    with contextlib.ExitStack() as attacks, ThreadPoolExecutor(AT_ONCE) as pool:
        for number, name in enumerate(ATTACKS, 1):
            target = Target(webhook.url.port or 0, str(webhook.ca), source=f"127.0.1.{number}")
            attacks.enter_context(attacking(name, target))
        time.sleep(1.0)
        assert {answer for answer in pool.map(create, range(CREATES)) if answer} == set(), round_
        unpaced = 'istio_netpol_connections_refused_total{reason="rate"} 0.0'
        wait_until("the attackers are paced", lambda: unpaced not in webhook.metrics())
    assert not [line for line in webhook.logged if line.get("client") == "127.0.0.1"]
