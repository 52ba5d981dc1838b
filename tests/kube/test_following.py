"""What is known of a cluster, whatever happens to the connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.cluster.crds import ISTIO, defined
from tests.cluster.users import ADMIN, NOBODY
from tests.kube.following import connection, following, pod, pods_path, wait_until
from tests.kube.proxy import Proxy

from istio_netpol.kube import backoff
from istio_netpol.kube.cluster import Cluster
from istio_netpol.kube.connection import ApiConnection, Query, Stream
from istio_netpol.kube.objects import Received, Stored
from istio_netpol.kube.reflector import QUIET_SECONDS, Reflector, Scope
from istio_netpol.kube.resources import Resource
from istio_netpol.model.istio_networking import Gateway
from istio_netpol.model.istio_security import AuthorizationPolicy
from istio_netpol.model.workloads import Workload

PODS = Resource("", "v1", "Pod", "pods", namespaced=True)


class Heard:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.pods: set[str] = set()
        self.lists = 0
        self.signs = 0
        self.reasons: list[str] = []
        self.news = threading.Condition()

    def replaced(self, scope: Scope, objects: list[Received]) -> None:
        with self.news:
            self.lists += 1
            self.pods = {received.name[1] for received in objects}
            self.news.notify_all()

    def changed(self, scope: Scope, stored: Stored, *, deleted: bool) -> None:
        with self.news:
            (self.pods.discard if deleted else self.pods.add)(stored.name[1])
            self.news.notify_all()

    def heard(self, scope: Scope) -> None:
        with self.news:
            self.signs += 1
            self.news.notify_all()

    def failed(self, scope: Scope, reason: str) -> None:
        with self.news:
            self.reasons.append(reason)
            self.news.notify_all()

    def wait_for_watch(self) -> None:
        """The first sign of life is the list, the second that a watch is open."""
        with self.news:
            assert self.news.wait_for(lambda: self.signs >= 2, 30), self.reasons

    def wait_for_pod(self, name: str, seconds: float = 30.0) -> None:
        with self.news:
            assert self.news.wait_for(lambda: name in self.pods, seconds), self.reasons


class Watches(ApiConnection):
    """A connection that remembers from which resource version each watch began."""

    def __init__(self, found: ApiConnection) -> None:
        super().__init__(found._client)
        self.versions: list[str] = []

    def stream(self, path: str, query: Query, quiet_seconds: float) -> Stream:
        self.versions.append(dict(query)["resourceVersion"])
        return super().stream(path, query, quiet_seconds)


@contextmanager
def watching(
    found: ApiConnection, namespace: str, heard: Heard, quiet_seconds: float = QUIET_SECONDS
) -> Iterator[None]:
    """Pods are watched until the block ends."""
    reflector = Reflector(found, Scope(PODS, namespace), heard, quiet_seconds)
    reflector.start()
    try:
        yield
    finally:
        reflector.stop()
        reflector.join(30)


def test_what_is_stored_changed_and_deleted_is_known(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """A pod is known while it is there, with the labels that it has now."""
    api = control_plane.api()
    control_plane.create(pods_path(namespace), pod("early", app="x"))
    with following(connection(control_plane, tmp_path)) as known:
        assert known.pods(namespace) == {"early"}
        control_plane.create(pods_path(namespace), pod("late"))
        known.wait_until(lambda: known.pods(namespace) == {"early", "late"})
        api.request("DELETE", pods_path(namespace, "early") + "?gracePeriodSeconds=0")
        known.wait_until(lambda: known.pods(namespace) == {"late"})
        assert [value.ref.name for changes in known.changes for value in changes.put if _is_pod(value)] == [
            "late"
        ]


def test_what_no_rule_reads_makes_no_change(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """A pod's status changes often; nothing is worked out anew for it."""
    with following(connection(control_plane, tmp_path)) as known:
        control_plane.create(pods_path(namespace), pod("one"))
        known.wait_until(lambda: known.pods(namespace) == {"one"})
        seen = len(known.changes)
        stored = control_plane.api().request("GET", pods_path(namespace, "one")).object
        stored["metadata"]["annotations"] = {"nobody/reads": "this"}
        assert control_plane.api().request("PUT", pods_path(namespace, "one"), stored).status == 200
        control_plane.create(pods_path(namespace), pod("two"))
        known.wait_until(lambda: known.pods(namespace) == {"one", "two"})
        put = [value.ref.name for changes in known.changes[seen:] for value in changes.put if _is_pod(value)]
        assert put == ["two"]


def test_a_broken_connection_is_resumed_where_it_broke_off(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """After a cut the watch goes on, without reading everything anew, and has what happened meanwhile."""
    heard = Heard()
    with Proxy(control_plane.port) as proxy:
        found = connection(control_plane, tmp_path, port=proxy.port)
        with watching(found, namespace, heard):
            heard.wait_for_watch()
            control_plane.create(pods_path(namespace), pod("before"))
            heard.wait_for_pod("before")
            proxy.cut()
            control_plane.create(pods_path(namespace), pod("meanwhile"))
            heard.wait_for_pod("meanwhile")
    assert heard.reasons
    assert heard.lists == 1


def test_a_quiet_watch_resumes_from_a_bookmark(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """Where nothing happens to what is watched, the watch moves on nevertheless with what happens beside it,
    so that it never becomes too old to resume."""
    heard = Heard()
    found = Watches(connection(control_plane, tmp_path))
    beside = control_plane.namespace()
    reflector = Reflector(found, Scope(PODS, namespace), heard, watch_seconds=5)
    reflector.start()
    try:
        wait_until(lambda: len(found.versions) == 1)
        control_plane.create(pods_path(beside), pod("other"))
        wait_until(lambda: len(found.versions) == 2)
    finally:
        reflector.stop()
        reflector.join(30)
    assert int(found.versions[1]) > int(found.versions[0])
    assert (heard.lists, heard.reasons) == (1, [])


def test_an_object_that_cannot_be_read_is_told_and_the_others_are_known(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """One tenant's nonsense costs the others nothing, and is forgotten once it is put right."""

    def authorization(name: str, port: str) -> dict[str, Any]:
        return {
            "apiVersion": "security.istio.io/v1",
            "kind": "AuthorizationPolicy",
            "metadata": {"name": name},
            "spec": {"rules": [{"to": [{"operation": {"ports": [port]}}]}]},
        }

    path = f"/apis/security.istio.io/v1/namespaces/{namespace}/authorizationpolicies"
    with defined(control_plane, ISTIO):
        control_plane.create(path, authorization("broken", "http"))
        control_plane.create(path, authorization("sound", "8080"))
        with following(connection(control_plane, tmp_path)) as known:
            assert known.names(AuthorizationPolicy, namespace) == {"sound"}
            assert known.cluster.unreadable() == {f"AuthorizationPolicy/{namespace}/broken"}
            right = control_plane.api().request("GET", f"{path}/broken").object
            right["spec"] = {}
            assert control_plane.api().request("PUT", f"{path}/broken", right).status == 200
            both = {"broken", "sound"}
            known.wait_until(lambda: known.names(AuthorizationPolicy, namespace) == both)
            assert not known.cluster.unreadable()


def test_a_silent_connection_is_given_up(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    """A connection on which nothing comes any more, though nobody closed it, is replaced."""
    heard = Heard()
    with Proxy(control_plane.port) as proxy:
        found = connection(control_plane, tmp_path, port=proxy.port)
        with watching(found, namespace, heard, quiet_seconds=1.0):
            heard.wait_for_watch()
            control_plane.create(pods_path(namespace), pod("before"))
            heard.wait_for_pod("before")
            proxy.hush()
            control_plane.create(pods_path(namespace), pod("meanwhile"))
            with heard.news:
                assert heard.news.wait_for(lambda: bool(heard.reasons), 30)
            proxy.speak()
            heard.wait_for_pod("meanwhile")


def test_what_is_too_old_to_resume_is_listed_anew(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """Where etcd has forgotten where a watch broke off (410), what was deleted meanwhile is known to be
    gone."""
    api = control_plane.api()
    control_plane.create(pods_path(namespace), pod("doomed"))
    heard = Heard()
    with Proxy(control_plane.port) as proxy:
        found = connection(control_plane, tmp_path, port=proxy.port)
        with watching(found, namespace, heard):
            heard.wait_for_pod("doomed")
            proxy.hush()
            api.request("DELETE", pods_path(namespace, "doomed") + "?gracePeriodSeconds=0")
            control_plane.create(pods_path(namespace), pod("new"))
            control_plane.compact()
            control_plane.restart()
            proxy.speak()
            heard.wait_for_pod("new", 60)
    assert heard.pods == {"new"}


def test_an_api_server_that_comes_back_is_followed_again(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """While it is away the age grows; then all is as it was."""
    with following(connection(control_plane, tmp_path)) as known:
        assert known.cluster.state().age == 0
        control_plane.api_server.stop()
        known.wait_until(lambda: known.cluster.state().age > 0.5)
        assert known.cluster.state().synced
        control_plane.start()
        control_plane.create(pods_path(namespace), pod("back"))
        known.wait_until(lambda: known.pods(namespace) == {"back"}, 60)
        known.wait_until(lambda: known.cluster.state().age == 0, 60)


def test_a_long_absence_of_the_api_server_delays_nothing_once_it_is_back(
    control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long watches would wait by now before they are tried again, they are whole again within
    moments, although a restarted API server can't resume any of them."""
    with following(connection(control_plane, tmp_path)) as known:
        with monkeypatch.context() as patched:
            for limit in ("FIRST_SECONDS", "LONGEST_SECONDS"):
                patched.setattr(backoff, limit, 600.0)
            control_plane.api_server.stop()
            known.wait_until(lambda: known.cluster.state().age > 3)
        control_plane.start()
        known.wait_until(lambda: known.cluster.state().age == 0, 120)


def test_a_cluster_that_is_not_followed_any_more_leaves_no_thread(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """Where watches are silent, as nearly all are nearly always, their threads end at once nevertheless."""
    with following(connection(control_plane, tmp_path)) as known:
        wait_until(lambda: len(_followers()) == len(known.cluster.resources()) + 1)
    wait_until(lambda: not _followers(), QUIET_SECONDS / 2)


def _followers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(("reflector-", "discovery"))]


def test_missing_rights_are_told_by_verb_and_resource(control_plane: ControlPlane, tmp_path: Path) -> None:
    """A cluster that may not be read is never ready, and says which rights are missing."""
    cluster = Cluster(connection(control_plane, tmp_path, NOBODY), ["istio-system"])
    cluster.start()
    try:
        wait_until(lambda: bool(_about_pods(cluster)))
        (told,) = _about_pods(cluster)
        assert 'cannot list resource "pods"' in told
        assert not cluster.state().synced
    finally:
        cluster.stop()


def _about_pods(cluster: Cluster) -> list[str]:
    return [problem for problem in cluster.state().problems if problem.startswith("pods can't")]


def test_custom_resources_come_and_go_with_their_definitions(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """Istio that is installed later is noticed, and its objects are gone with it."""
    gateway = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "public"},
        "spec": {
            "selector": {"istio": "ingressgateway"},
            "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}],
        },
    }
    with following(connection(control_plane, tmp_path), discovery_seconds=1.0) as known:
        with defined(control_plane, ISTIO):
            path = f"/apis/networking.istio.io/v1/namespaces/{namespace}/gateways"
            control_plane.create(path, gateway)
            known.wait_until(lambda: known.names(Gateway, namespace) == {"public"}, 60)
        known.wait_until(lambda: known.names(Gateway, namespace) == set(), 60)
        known.wait_until(lambda: known.cluster.state().age == 0, 60)


def test_more_than_a_page_is_listed_whole(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """The second page of a list counts as much as the first."""
    names = {f"pod-{number}" for number in range(520)}
    for name in sorted(names):
        control_plane.create(pods_path(namespace), pod(name))
    with following(connection(control_plane, tmp_path, ADMIN)) as known:
        assert known.pods(namespace) == names


def _is_pod(value: object) -> bool:
    return isinstance(value, Workload)
