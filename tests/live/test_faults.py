"""What tenants notice when something goes wrong: nothing, or what was promised, and soon all is well."""

from __future__ import annotations

import json
import os
import signal
import threading

import pytest
from tests.cluster.clients import Outcome
from tests.cluster.users import TENANT
from tests.kube.following import wait_until
from tests.live.live_cluster import Live
from tests.live.tenant import NEEDED, Tenant
from tests.serving.process import READY, WebhookProcess

BOTH = sorted(NEEDED)


def is_ready(webhook: WebhookProcess) -> bool:
    return webhook.request("GET", "/readyz").status == 200


def leads(live: Live) -> bool:
    return "istio_netpol_controller_leading 1.0" in live.controller.get("/metrics")[1]


@pytest.fixture
def shop(live: Live) -> Tenant:
    """A namespace of mode augment with one workload, and its policies."""
    shop = Tenant(live, "augment")
    done = shop.deploy("cart")
    assert done.code == 0, done.stderr
    assert shop.kinds() == BOTH, done.stderr
    return shop


def test_policies_that_a_tenant_deletes_or_edits_come_back(shop: Tenant) -> None:
    """The rights of the chart suffice for that."""
    before = shop.generated()
    shop.delete("networkpolicy", *before)
    shop.wait_for(before)
    opened = json.dumps({"spec": {"egress": [{}]}})
    patch = ("patch", "networkpolicy", min(before), "--type=merge", "--patch", opened)
    done = shop.plane.kubectl(TENANT)("--namespace", shop.namespace, *patch)
    assert done.code == 0, done.stderr
    shop.wait_for(before)


def test_a_killed_api_server_is_followed_as_soon_as_it_is_back(live: Live, shop: Tenant) -> None:
    """The first `kubectl apply` afterwards is augmented, and what is deleted by hand comes back."""
    live.plane.restart(signal.SIGKILL)
    done = shop.deploy("till")
    assert done.code == 0, done.stderr
    assert shop.kinds() == sorted(BOTH * 2), done.stderr
    before = shop.generated()
    shop.delete("networkpolicy", *before)
    shop.wait_for(before)


def test_an_api_server_that_is_away_for_long_is_waited_for(live: Live, shop: Tenant) -> None:
    """Meanwhile the webhook is not ready and nobody leads, and etcd forgets the past. Once it is back, all
    three recover, and nothing was lost."""
    before = shop.generated()
    live.plane.api_server.stop()
    wait_until(lambda: not is_ready(live.webhook))
    wait_until(lambda: "istio_netpol_controller_stale 1.0" in live.controller.get("/metrics")[1])
    wait_until(lambda: not leads(live))
    live.plane.compact()
    live.plane.start()
    wait_until(lambda: is_ready(live.webhook))
    wait_until(lambda: leads(live))
    assert shop.generated() == before
    shop.delete("networkpolicy", *before)
    shop.wait_for(before)
    assert shop.deploy("till").code == 0
    assert shop.kinds() == sorted(BOTH * 2)


def test_a_webhook_that_is_killed_in_mid_request_does_what_its_failure_policy_says(live: Live) -> None:
    """Where a namespace asked for reject, the object is refused and kubectl names the webhook; elsewhere it
    is admitted. The replacement takes over, and the cluster is as it was."""
    closed, open_ = Tenant(live, "reject"), Tenant(live, "")
    with live.installation.webhook() as doomed:
        doomed.wait_for(READY)
        live.installation.behind_the_service(doomed)
        live.plane.wait_until("calls reach it", lambda: reaches(doomed, open_))
        pids = (doomed.worker, doomed.pid)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        outcomes: dict[str, Outcome] = {}
        callers = [threading.Thread(target=keep, args=(outcomes, tenant)) for tenant in (closed, open_)]
        for caller in callers:
            sent = live.installation.network.sent
            caller.start()
            # A whole request has more bytes; what two have together may be one alone, on a busy machine.
            live.plane.wait_until(
                "its request is in flight", lambda before=sent: live.installation.network.sent > before + 1000
            )
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        live.installation.behind_the_service(live.webhook)
        for caller in callers:
            caller.join()
    refused, admitted = outcomes[closed.namespace], outcomes[open_.namespace]
    assert refused.code == 1
    assert 'failed calling webhook "opted-in.istio-netpol.io"' in refused.stderr
    assert admitted.code == 0, admitted.stderr
    live.plane.wait_until("the replacement answers", lambda: "is refused" in closed.deploy("cart").stderr)


def keep(outcomes: dict[str, Outcome], tenant: Tenant) -> None:
    outcomes[tenant.namespace] = tenant.deploy("cart")


def reaches(webhook: WebhookProcess, tenant: Tenant) -> bool:
    """Whether a Deployment, tried without effect, is reviewed by this very process."""
    before = webhook.metrics()
    dry = ("--namespace", tenant.namespace, "--dry-run=server")
    tenant.plane.kubectl()("create", "deployment", "tried", "--image=app", *dry)
    return webhook.metrics() != before and 'result="allowed"' in webhook.metrics()


def test_a_deleted_namespace_goes(live: Live, shop: Tenant) -> None:
    """Neither webhooks nor controller hold it up, and nothing is written again in what is on its way out."""
    doomed = Tenant(live, "augment")
    assert doomed.deploy("cart").code == 0
    done = live.plane.kubectl()("delete", "namespace", doomed.namespace)
    assert done.code == 0, done.stderr
    assert live.plane.api().request("GET", f"/api/v1/namespaces/{doomed.namespace}").status == 404
    before = shop.generated()
    shop.delete("networkpolicy", *before)
    shop.wait_for(before)


def test_policies_go_with_what_needed_them(live: Live, shop: Tenant) -> None:
    """Once the controller has named it as their owner, Kubernetes collects them; those of others stay."""
    before = shop.generated()
    assert shop.deploy("till").code == 0
    live.plane.wait_until("the controller has made it the owner", lambda: owners(shop) == {"cart", "till"})
    shop.delete("deployment", "till")
    shop.wait_for(before)


def owners(tenant: Tenant) -> set[str]:
    path = f"/apis/networking.k8s.io/v1/namespaces/{tenant.namespace}/networkpolicies"
    items = tenant.plane.api().request("GET", path).object["items"]
    return {owner["name"] for policy in items for owner in policy["metadata"].get("ownerReferences", ())}
