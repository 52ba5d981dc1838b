"""The live map on a real API server: who sees what, and that whoever it does not know sees nothing."""

from __future__ import annotations

import base64
import gzip
import http.client
import itertools
import json
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.kube.conftest import native_control_plane
from tests.kube.following import wait_until
from tests.kube.manifests import DENY_ALL, deployment
from tests.serving.process import READY, WebhookProcess

RBAC = "/apis/rbac.authorization.k8s.io/v1"
READER = "map-reader"
LISTS = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["list"]},
]
"""What it takes of the ClusterRole `view`, which Kubernetes puts together where its controllers run."""


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        """The map, or what is said in its place."""
        packed = self.headers.get("content-encoding") == "gzip"
        found: dict[str, Any] = json.loads(gzip.decompress(self.body) if packed else self.body)
        return found

    @property
    def namespaces(self) -> set[str]:
        return {namespace["name"] for namespace in self.document["namespaces"]}


@dataclass(frozen=True)
class Served:
    """A map that is served, and two tenants who may view a namespace each."""

    plane: ControlPlane
    webhook: WebhookProcess
    shop: str
    bank: str

    def get(
        self, path: str = "/map.json", headers: Mapping[str, str] | None = None, method: str = "GET"
    ) -> Reply:
        """What is answered once it is this address's turn to try a token."""
        while True:
            reply = self.get_now(path, headers, method)
            if reply.status != 429:
                return reply
            time.sleep(0.5)

    def get_now(self, path: str, headers: Mapping[str, str] | None, method: str = "GET") -> Reply:
        """What is answered at once."""
        url = urlsplit(self.webhook.wait_for("serving the map")["url"])
        context = ssl.create_default_context(cafile=self.webhook.ca)
        connection = http.client.HTTPSConnection(url.hostname or "", url.port, timeout=60, context=context)
        try:
            connection.request(method, path, headers={"Accept-Encoding": "gzip", **(headers or {})})
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, told, answer.read())
        finally:
            connection.close()

    def as_reader(self, token: str, path: str = "/map.json", **headers: str) -> Reply:
        return self.get(path, {"Authorization": f"Bearer {token}", **headers})

    def token(self, namespace: str, name: str = "reader") -> str:
        """Of a ServiceAccount, as `kubectl create token` makes it."""
        done = self.plane.kubectl()("create", "token", name, "--namespace", namespace)
        assert done.code == 0, done.stderr
        return done.stdout.strip()


def tenant(plane: ControlPlane) -> str:
    """A namespace under deny-all with a workload, and a ServiceAccount that may view it."""
    name = plane.namespace({"istio-injection": "enabled"})
    plane.create(f"/apis/networking.k8s.io/v1/namespaces/{name}/networkpolicies", DENY_ALL)
    applied = plane.kubectl().apply(deployment(f"secret-of-{name}", name))
    assert applied.code == 0, applied.stderr
    account(plane, name)
    grant(plane, name, name)
    return name


def account(plane: ControlPlane, namespace: str, name: str = "reader") -> None:
    made = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
    plane.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", made)


def grant(plane: ControlPlane, home: str, namespace: str) -> None:
    """Lets the reader of one namespace view another."""
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": home}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"view-of-{home}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": READER},
        "subjects": [subject],
    }
    plane.create(f"{RBAC}/namespaces/{namespace}/rolebindings", binding)


@pytest.fixture(scope="module")
def served(control_plane: ControlPlane) -> Iterator[Served]:
    applied = control_plane.kubectl().apply(*native_control_plane())
    assert applied.code == 0, applied.stderr
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": LISTS}
    control_plane.create(f"{RBAC}/clusterroles", {**role, "metadata": {"name": READER}}, unless_there=True)
    shop, bank = tenant(control_plane), tenant(control_plane)
    environment = {"KUBECONFIG": str(control_plane.kubeconfig())}
    with WebhookProcess("cluster", "--map-listen", "127.0.0.1:0", environment=environment) as webhook:
        webhook.wait_for(READY)
        yield Served(control_plane, webhook, shop, bank)


def test_each_reader_sees_their_own_namespace_and_nothing_of_the_others(served: Served) -> None:
    """The two tenants get two documents; no byte of one names anything of the other."""
    for own, other in ((served.shop, served.bank), (served.bank, served.shop)):
        reply = served.as_reader(served.token(own))
        assert reply.status == 200, reply.body
        assert reply.namespaces == {own}
        text = json.dumps(reply.document)
        assert f"secret-of-{own}" in text
        assert other not in text
        assert "istio-system" not in text.replace("istio-system-", "")
        assert reply.document["states"]["now"]["summary"]["denied"] > 0


def test_an_administrator_sees_everything(served: Served) -> None:
    """What belongs to no namespace, and what was assumed, included."""
    admin = served.plane.kubeconfig().read_text()
    token = json.loads(admin)["users"][0]["user"]["token"]
    reply = served.as_reader(token)
    assert reply.status == 200, reply.body
    assert {served.shop, served.bank, "istio-system"} <= reply.namespaces


def test_a_right_that_is_granted_is_seen_after_a_moment(served: Served) -> None:
    """Another reader of both; what one token may see says nothing of another's."""
    home = tenant(served.plane)
    token = served.token(home)
    grant(served.plane, home, served.shop)

    def sees_both() -> bool:
        reply = served.as_reader(token)
        return reply.status == 200 and reply.namespaces == {home, served.shop}

    wait_until(sees_both)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer forged"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + base64.b64encode(b"admin").decode()},
        {"Authorization": "Digest x"},
        {"Authorization": "Bearer " + "x" * 20_000},
        {"X-Remote-User": "admin", "X-Remote-Group": "system:masters"},
    ],
)
@pytest.mark.parametrize("path", ["/", "/map.json"])
def test_without_a_token_that_the_api_server_accepts_there_is_nothing(
    served: Served, path: str, headers: dict[str, str]
) -> None:
    """A browser is asked for one; nothing of the cluster, and not even the page, is in the answer."""
    reply = served.get(path, headers)
    assert reply.status == 401, reply.body
    assert reply.document.keys() == {"error", "code"}
    assert served.shop not in reply.body.decode()
    assert reply.headers["www-authenticate"].startswith("Basic realm=")


def test_whoever_tries_tokens_is_slowed_down(served: Served) -> None:
    """The API server is not asked about each of them; a token that is known works all the while."""
    token, numbers = served.token(served.shop), itertools.count()

    def tried(_: int) -> int:
        return served.get_now("/", {"Authorization": f"Bearer forged-{next(numbers)}"}).status

    def works_while_others_are_refused() -> bool:
        assert served.as_reader(token).status == 200, "from now on it is known for half a minute"
        refused = 429 in pool.map(tried, range(40))
        answered = {served.get_now("/", {"Authorization": f"Bearer {token}"}).status for _ in range(10)}
        return refused and answered == {200}

    with ThreadPoolExecutor(4) as pool:
        wait_until(lambda: tried(0) == 401)
        wait_until(works_while_others_are_refused)


def test_who_may_see_no_namespace_is_told_which_right_it_takes(served: Served) -> None:
    """Known to the API server, and no more."""
    account(served.plane, served.shop, "stranger")
    reply = served.as_reader(served.token(served.shop, "stranger"))
    assert reply.status == 403
    assert "networkpolicies.networking.k8s.io and pods" in reply.document["error"]


def test_a_token_for_somebody_else_is_not_accepted(served: Served) -> None:
    """One whose audience is another service could have been handed over by that service."""
    done = served.plane.kubectl()(
        "create", "token", "reader", "--namespace", served.shop, "--audience", "another-service"
    )
    assert served.as_reader(done.stdout.strip()).status == 401


def test_a_browser_gets_the_page_with_the_token_as_its_password(served: Served) -> None:
    """The page holds no data, may run its own script alone, and is kept by no cache."""
    password = base64.b64encode(f"me:{served.token(served.shop)}".encode()).decode()
    reply = served.get("/", {"Authorization": f"Basic {password}"})
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'; connect-src 'self'" in reply.headers["content-security-policy"]
    assert reply.headers["cache-control"] == "no-store"
    assert served.shop not in reply.body.decode()


def test_the_document_follows_the_cluster(served: Served) -> None:
    """What a policy opens is there a few seconds later; meanwhile the tag says that nothing is new."""
    home = tenant(served.plane)
    token = served.token(home)
    wait_until(lambda: served.as_reader(token).status == 200)

    def is_settled() -> bool:
        tag = served.as_reader(token).headers["etag"]
        same = served.as_reader(token, **{"If-None-Match": tag})
        return (same.status, same.body) == (304, b"")

    wait_until(is_settled)
    first = served.as_reader(token)
    path = f"/apis/networking.k8s.io/v1/namespaces/{home}/networkpolicies"
    name = DENY_ALL["metadata"]["name"]
    served.plane.api().request("DELETE", f"{path}/{name}")

    def is_open() -> bool:
        reply = served.as_reader(token, **{"If-None-Match": first.headers["etag"]})
        return reply.status == 200 and reply.document["states"]["now"]["summary"]["denied"] == 0

    wait_until(is_open)


def test_only_reading_is_possible(served: Served) -> None:
    """A link on another site can make a browser send requests, which change nothing."""
    token = served.token(served.shop)
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        reply = served.get("/map.json", {"Authorization": f"Bearer {token}"}, method)
        assert reply.status == 405, method


def test_requests_are_counted_by_what_became_of_them(served: Served) -> None:
    """Whoever watches over it sees tries without a token."""
    served.as_reader(served.token(served.shop))
    served.get("/")
    metrics = served.webhook.metrics()
    for result in ("answered", "unauthenticated"):
        (line,) = [
            printed for printed in metrics.splitlines() if f'map_requests_total{{result="{result}"' in printed
        ]
        assert float(line.split()[-1]) > 0


def test_reviews_are_answered_while_connections_to_the_map_hang(served: Served) -> None:
    """More than it takes are closed at once; the webhook's own port has nothing to do with them."""
    url = urlsplit(served.webhook.wait_for("serving the map")["url"])
    hanging = [socket.create_connection((url.hostname, url.port), 60) for _ in range(40)]
    try:
        assert served.webhook.request("GET", "/healthz").status == 200
    finally:
        for connection in hanging:
            connection.close()
    wait_until(lambda: served.get("/").status == 401)
