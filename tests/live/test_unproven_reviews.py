"""Only the API server's reviews are judged: what a pod posts is not, and none of the real ones gets lost."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from tests.certs.test_rotating_under_load import Background
from tests.certs.webhook_cluster import connection
from tests.chart.rendering import NAMESPACE, RELEASE
from tests.cluster.users import TENANT
from tests.kube.manifests import deployment
from tests.live.live_cluster import Live
from tests.live.tenant import NEEDED, Tenant
from tests.serving.process import READY, WebhookProcess
from tests.serving.reviews import review

from istio_netpol.certs.path_reconciler import PathReconciler
from istio_netpol.certs.review_paths import SECRET_PATH, PathTimes

FAILED_OPEN = re.compile(r"^apiserver_admission_webhook_fail_open_count\{.* (\d+)$", re.MULTILINE)
UNPROVEN = re.compile(r"^istio_netpol_unproven_reviews_total\{.* ([\d.]+)$", re.MULTILINE)
SERVICE = {
    "app.kubernetes.io/name": "istio-netpol",
    "app.kubernetes.io/instance": RELEASE,
    "app.kubernetes.io/component": "webhook",
}


@pytest.fixture
def shop(live: Live) -> Tenant:
    """A namespace of mode augment under a deny-all."""
    return Tenant(live, "augment")


def paths(live: Live) -> set[str]:
    """Those that are registered."""
    return {client["service"].get("path", "") for client in live.installation.clients().values()}


def are_secret(live: Live) -> bool:
    return all(map(SECRET_PATH.fullmatch, paths(live)))


def lost(live: Live, *webhooks: WebhookProcess) -> float:
    """How many reviews the API server did without, or these webhooks refused."""
    by_server = FAILED_OPEN.findall(live.plane.kubectl()("get", "--raw", "/metrics").stdout)
    refused = [count for webhook in webhooks for count in UNPROVEN.findall(webhook.metrics())]
    return sum(map(float, by_server + refused))


class Calls:
    """Deployments that a tenant tries out, one after the other."""

    def __init__(self, shop: Tenant) -> None:
        self._api = shop.plane.api(TENANT)
        self._namespace = shop.namespace
        self._numbers = itertools.count()

    def __call__(self) -> str:
        """One more; what went wrong."""
        path = f"/apis/apps/v1/namespaces/{self._namespace}/deployments?dryRun=All"
        answer = self._api.request("POST", path, deployment(f"try-{next(self._numbers)}", self._namespace))
        return "" if answer.status == 201 else str(answer.object.get("message"))


@contextlib.contextmanager
def no_call_fails(live: Live, shop: Tenant, *webhooks: WebhookProcess) -> Iterator[None]:
    """A tenant's requests are judged, one and all, while the block runs."""
    before = lost(live, *webhooks)
    with Background(Calls(shop), 0.02) as calls:
        yield
        live.plane.wait_until("some calls were made", lambda: len(calls.results) > 20)
    assert [result for result in calls.results if result != ""] == []
    assert lost(live, *webhooks) == before


@pytest.mark.parametrize(
    "path", ["/mutate", "/validate", f"/mutate/{'0' * 64}", f"/validate/{'0' * 64}", "/"]
)
def test_a_review_that_a_pod_posts_writes_nothing(live: Live, shop: Tenant, path: str) -> None:
    """It is not judged, and the kubelet's probes are answered."""
    reply = live.webhook.request("POST", path, review(deployment("ghost", shop.namespace)))
    assert reply.status == 403
    assert "API server" in reply.json["error"]
    assert shop.generated() == {}
    assert live.webhook.request("GET", "/readyz").status == 200
    assert "istio_netpol_unproven_reviews_total" in live.webhook.metrics()


def test_the_path_that_users_are_shown_lets_nothing_be_written(live: Live, shop: Tenant) -> None:
    """The API server tells a tenant the URL of a call that failed; with that, a pod can ask and no more.
    When it answers again, what the tenant applies is augmented."""
    live.installation.behind_the_service()
    try:
        told = shop.deploy("cart").stderr
    finally:
        live.installation.behind_the_service(live.webhook)
    shown = re.findall(r"https://[^/]+(/[a-z]+/[0-9a-f]{64})", told)
    client = live.installation.clients()["opted-in.istio-netpol.io"]
    assert set(shown) == {client["service"]["path"]}, told

    def is_refused() -> bool:
        judged = live.webhook.request("POST", shown[0], review(deployment("ghost", shop.namespace)))
        return judged.json["response"]["allowed"] is False

    live.plane.wait_until("its namespace is no news any more", is_refused)
    assert shop.generated() == {}
    live.plane.wait_until("it is called again", lambda: shop.deploy("cart").code == 0)
    assert set(shop.kinds()) == NEEDED


def test_no_role_of_a_namespace_shows_a_path(live: Live, shop: Tenant) -> None:
    """Webhook configurations belong to no namespace: `view`, `edit` and `admin` hold no right on them."""
    del shop
    assert are_secret(live)
    asked = ("auth", "can-i", "get", "validatingwebhookconfigurations")
    assert live.plane.kubectl(TENANT)(*asked).stdout.strip() == "no"


def test_no_review_is_lost_while_paths_change(live: Live, shop: Tenant) -> None:
    """Every few seconds, while a tenant goes on working; in the logs of both there is no path."""
    times = PathTimes(life=timedelta(seconds=2), settle=timedelta(seconds=1))
    reconciler = PathReconciler(connection(live.plane), RELEASE, times)
    seen = [paths(live)]
    live.plane.wait_until("the webhook is called", lambda: Calls(shop)() == "")

    def have_changed() -> bool:
        reconciler.reconcile()
        found = paths(live)
        if found != seen[-1]:
            seen.append(found)
        return len(seen) > 3

    with no_call_fails(live, shop, live.webhook):
        live.plane.wait_until("paths have changed three times", have_changed, every=0.2)
    assert not set.intersection(*seen)
    logged = f"{live.webhook.logged}{live.controller.logged}"
    assert not any(path in logged for registered in seen for path in registered)


def test_no_review_is_lost_by_a_rollback_and_an_upgrade(live: Live, shop: Tenant) -> None:
    """While a pod of a version that knows no secret paths stands behind the Service, plain ones are
    registered, and both versions take them."""
    labels = {"labels": SERVICE, "name": "of-an-older-version", "namespace": NAMESPACE}
    container = {"name": "webhook", "image": "older", "args": ["serve", "--source=cluster"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": labels, "spec": {"containers": [container]}}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods"
    secrets = paths(live)
    with live.installation.webhook(knows_secret_paths=False) as older:
        older.wait_for(READY)
        with no_call_fails(live, shop, live.webhook):
            live.plane.create(path, pod)
            live.plane.wait_until("plain paths", lambda: paths(live) == {"/validate", "/mutate"})
        live.installation.behind_the_service(older)
        live.plane.wait_until("the older one is called", lambda: Calls(shop)() == "")
        with no_call_fails(live, shop, live.webhook):
            assert not are_secret(live)
        live.installation.behind_the_service(live.webhook)
        live.plane.wait_until("the newer one is called", lambda: Calls(shop)() == "")
    with no_call_fails(live, shop, live.webhook):
        deleted = live.plane.kubectl()("delete", "pod", "--namespace", NAMESPACE, labels["name"], "--now")
        assert deleted.code == 0, deleted.stderr
        live.plane.wait_until("secret paths", lambda: are_secret(live))
    assert not paths(live) & secrets
