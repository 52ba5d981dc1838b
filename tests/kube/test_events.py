"""When an event is decoded: as late as somebody asks, and only where it says something new."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from structlog.testing import capture_logs
from tests.kube.following import Follower, following, pod, wait_until
from tests.kube.told import Told

from istio_netpol.kube import objects
from istio_netpol.kube.cluster import MOST_UNREAD_BYTES
from istio_netpol.kube.objects import event_of, received, stored_of
from istio_netpol.kube.resources import Resource
from istio_netpol.manifests.decode import DECODERS
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.model.workloads import Workload

MIB = 1 << 20
SCENARIOS = Path(__file__).parents[1] / "scenarios"
RUNNING: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "web-1",
        "namespace": "shop",
        "uid": "1",
        "resourceVersion": "5",
        "generation": 1,
        "labels": {"app": "web"},
        "annotations": {"sidecar.istio.io/inject": "true"},
        "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "controller": True}
        ],
        "managedFields": [{"manager": "kubelet", "operation": "Update"}],
    },
    "spec": {"containers": [{"name": "app", "ports": [{"containerPort": 8080}]}]},
    "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
}


def text_of(manifest: dict[str, Any]) -> bytes:
    """What is compared of an object that an event shows."""
    return stored_of(event_of(json.dumps({"type": "MODIFIED", "object": manifest}).encode())).text


def changed(path: str, value: Any) -> dict[str, Any]:
    """The running pod with one field changed."""
    manifest = deepcopy(RUNNING)
    *parents, field = path.split()
    inner = manifest
    for parent in parents:
        inner = inner[parent]
    inner[field] = value
    return manifest


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("status conditions", [{"type": "Ready", "status": "False"}]),
        ("status reason", "Evicted"),
        ("status containerStatuses", [{"name": "app", "restartCount": 3}]),
        ("metadata resourceVersion", "6"),
        ("metadata generation", 2),
        ("metadata managedFields", []),
    ],
)
def test_a_heartbeat_says_nothing_new(path: str, value: Any) -> None:
    """A kubelet reports every few seconds; who wrote what, and how often, changes with every write."""
    assert text_of(changed(path, value)) == text_of(RUNNING)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata labels", {"app": "other"}),
        ("metadata annotations", {"sidecar.istio.io/inject": "false"}),
        ("metadata ownerReferences", []),
        ("metadata uid", "2"),
        ("metadata deletionTimestamp", "2026-11-30T12:00:00Z"),
        ("spec containers", [{"name": "app", "ports": [{"containerPort": 8081}]}]),
        ("spec hostNetwork", True),
        ("status phase", "Succeeded"),
        ("status podIP", "10.0.0.2"),
        ("status podIPs", [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]),
        ("status hostIP", "10.9.0.1"),
        ("anything", {"else": 1}),
    ],
)
def test_what_some_rule_may_read_is_new(path: str, value: Any) -> None:
    """A field that is not known to be unread counts."""
    assert text_of(changed(path, value)) != text_of(RUNNING)


@pytest.mark.parametrize("odd", [None, [], "text", 5])
@pytest.mark.parametrize("field", ["metadata", "status", "spec"])
def test_an_object_of_odd_shape_is_read_as_far_as_it_goes(field: str, odd: Any) -> None:
    """What is no mapping is left to the decoders to judge, as in a list."""
    manifest = changed(field, odd)
    pods = Resource("", "v1", "Pod", "pods", namespaced=True)
    whole = _outcome(json.dumps(manifest).encode(), pods)
    assert _outcome(text_of(manifest), pods) == whole


def test_every_kind_is_decoded_from_an_event_as_from_a_list() -> None:
    """All objects of all scenarios."""
    kinds = set()
    for manifest in _scenario_objects():
        group, _, version = str(manifest.get("apiVersion", "")).rpartition("/")
        kind = str(manifest.get("kind", ""))
        if (group, kind) not in DECODERS:
            continue
        kinds.add(kind)
        resource = Resource(group, version, kind, "", namespaced=True)
        assert _outcome(text_of(manifest), resource) == _outcome(json.dumps(manifest).encode(), resource)
    assert len(kinds) > 30


def test_pods_count_whatever_text_the_api_server_let_pass() -> None:
    """A variable may be called like a template, and an owner like nothing that can exist."""
    odd = deepcopy(RUNNING)
    odd["spec"]["containers"][0]["env"] = [{"name": "${NAME}", "value": "{{ x }}"}]
    odd["metadata"]["ownerReferences"] = [{"controller": True, "kind": "ReplicaSet", "name": "no such name"}]
    found = received(text_of(odd), Resource("", "v1", "Pod", "pods", namespaced=True))
    (workload,) = found.values
    assert isinstance(workload, Workload)
    assert (workload.owner, found.problems) == (None, ())


def _outcome(text: bytes, resource: Resource) -> tuple[Any, ...]:
    """What is made of an object; an error by its words."""
    try:
        found = received(text, resource)
    except Exception as error:
        return (str(error),)
    return found.name, list(map(repr, found.values)), list(map(str, found.problems))


def _scenario_objects() -> Iterator[dict[str, Any]]:
    for file in sorted(SCENARIOS.rglob("*.yaml")):
        for document in yaml.load_all(file.read_text(), yaml.CSafeLoader):
            if isinstance(document, dict):
                yield from document.get("items") or () if document.get("kind") == "List" else (document,)


@contextmanager
def told(*listed: dict[str, Any]) -> Iterator[tuple[Told, Follower]]:
    """Who tells of a cluster, and who follows it."""
    api = Told(*listed)
    with following(api) as follower:
        yield api, follower


def shown(name: str, **labels: str) -> dict[str, Any]:
    """A pod as the API server shows it."""
    manifest = pod(name, **labels)
    manifest["metadata"] |= {"namespace": "shop", "uid": name}
    return {**manifest, "status": {}}


def app_of(follower: Follower, name: str) -> str:
    """The label of a pod as it is known now; empty where the pod is not there."""
    follower.pods("shop")
    pods = follower.cluster.state().snapshot.of_type(Workload, "shop")
    return next((pod.labels["app"] for pod in pods if pod.ref.name == name), "")


def test_of_many_changes_of_one_object_the_last_counts() -> None:
    """A pod that starts is told of several times within a moment."""
    with told() as (api, follower):
        for number in range(10):
            api.say("MODIFIED", shown("web", app=f"web-{number}"))
        follower.wait_until(lambda: app_of(follower, "web") == "web-9")


def test_a_change_waits_from_when_it_was_heard_of_until_it_is_taken() -> None:
    """A heartbeat keeps nobody waiting, and wakes nobody."""
    with told(shown("web", app="web")) as (api, follower):
        cluster = follower.cluster
        assert cluster.waiting_since is None
        api.say("MODIFIED", shown("web", app="new"))
        follower.wait_until(lambda: app_of(follower, "web") == "new")
        assert cluster.waiting_since is None
        api.say("MODIFIED", {**shown("web", app="new"), "status": {"conditions": [{"type": "Ready"}]}})
        time.sleep(0.2)
        began = time.monotonic()
        api.say("ADDED", shown("other", app="other"))
        wait_until(lambda: cluster.waiting_since is not None)
        assert began <= (cluster.waiting_since or 0.0) <= time.monotonic()
        assert follower.pods("shop") == {"web", "other"}
        assert cluster.waiting_since is None
        assert follower.changes[-1].since is not None


def test_a_list_is_newer_than_what_was_told_before_it() -> None:
    """Where the watch was too old to go on; and what is told after it counts again, though it was told
    before."""
    with told(shown("web", app="listed")) as (api, follower):
        api.say("MODIFIED", shown("web", app="told"))
        api.forget(shown("web", app="relisted"))
        follower.wait_until(lambda: app_of(follower, "web") == "relisted", 30)
        api.say("MODIFIED", shown("web", app="told"))
        follower.wait_until(lambda: app_of(follower, "web") == "told")


def test_what_is_deleted_and_comes_back_the_same_is_known() -> None:
    """A StatefulSet's pod has the name, and may have the text, of the one before it."""
    with told() as (api, follower):
        web = shown("web", app="web")
        for type_, known in (("ADDED", {"web"}), ("DELETED", set()), ("ADDED", {"web"})):
            api.say(type_, web)
            follower.wait_until(lambda known=known: follower.pods("shop") == known)
        for type_ in ("DELETED", "ADDED"):
            api.say(type_, web)
        api.say("ADDED", shown("last", app="last"))
        follower.wait_until(lambda: follower.pods("shop") == {"web", "last"})


def test_what_is_no_text_hides_no_other_object() -> None:
    """It is told of with its name, like an object that can't be decoded."""
    with told() as (api, follower):
        broken = json.dumps({"type": "ADDED", "object": shown("broken", app="web")}).encode()
        api.say_line(broken.replace(b'"web"', b'"\xff"'))
        api.say("ADDED", shown("sound", app="web"))
        follower.wait_until(lambda: follower.pods("shop") == {"sound"})
        assert follower.cluster.unreadable() == {"Pod/shop/broken"}


def test_an_error_of_our_own_stays_with_the_object_that_met_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """In an event as in a list; it is logged with its traceback, and ends once the object can be read."""
    decoded = objects.decode
    broken = {"poison"}

    def decode(found: RawObject) -> Any:
        if found.content["metadata"]["name"] in broken:
            raise AttributeError("as if we had miscalculated")
        return decoded(found)

    monkeypatch.setattr(objects, "decode", decode)
    with capture_logs() as capture, told() as (api, follower):
        api.say("ADDED", shown("poison", app="web"))
        api.say("ADDED", shown("sound", app="web"))
        follower.wait_until(lambda: follower.pods("shop") == {"sound"})
        assert follower.cluster.unreadable() == {"Pod/shop/poison"}
        api.forget(shown("poison", app="web"), shown("sound", app="web"), shown("late", app="web"))
        follower.wait_until(lambda: follower.pods("shop") == {"sound", "late"})
        assert follower.cluster.unreadable() == {"Pod/shop/poison"}
        assert follower.cluster.state().problems == ()
        broken.clear()
        api.say("MODIFIED", shown("poison", app="new"))
        follower.wait_until(lambda: follower.pods("shop") == {"sound", "late", "poison"})
        assert follower.cluster.unreadable() == frozenset()
    errors = [entry for entry in capture if entry["event"] == "an error inside istio-netpol"]
    assert {(entry["kind"], entry["object"]) for entry in errors} == {("Pod", "shop/poison")}
    assert all(isinstance(entry["exc_info"], AttributeError) for entry in errors)


def test_what_can_not_be_read_for_want_of_memory_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is no fault of the object's."""
    decoded, failures = objects.decode, [MemoryError()]

    def decode(found: RawObject) -> Any:
        if found.content["metadata"]["name"] == "large" and failures:
            raise failures.pop()
        return decoded(found)

    monkeypatch.setattr(objects, "decode", decode)
    with told() as (api, follower):
        api.say("ADDED", shown("large", app="web"))
        wait_until(lambda: follower.cluster.waiting_since is not None)
        with pytest.raises(MemoryError):
            follower.cluster.take()
        follower.wait_until(lambda: follower.pods("shop") == {"large"})


def test_a_text_that_another_one_replaces_takes_no_memory() -> None:
    """One large object that changes often is not decoded before somebody asks."""
    with told() as (api, follower):
        for number in range(2 + 2 * MOST_UNREAD_BYTES // MIB):
            manifest = {**shown("odd", app=f"web-{number}"), "spec": {"containers": "none"}}
            manifest["metadata"]["annotations"] = {"large": "x" * MIB}
            heard = follower.cluster.heard_of
            api.say("MODIFIED", manifest)
            while follower.cluster.heard_of == heard:
                time.sleep(0.001)
        assert follower.cluster.unreadable() == frozenset()
        follower.pods("shop")
        assert follower.cluster.unreadable() == {"Pod/shop/odd"}


def test_what_nobody_asks_for_takes_no_memory_without_end() -> None:
    """While a round of the controller lasts, what comes is decoded once it is too much to keep as text."""
    with told() as (api, follower):
        api.say("ADDED", {**shown("odd", app="web"), "spec": {"containers": "none"}})
        for number in range(2 + MOST_UNREAD_BYTES // MIB):
            manifest = shown(f"web-{number}", app="web")
            manifest["metadata"]["annotations"] = {"large": "x" * MIB}
            api.say("ADDED", manifest)
        wait_until(lambda: follower.cluster.unreadable() == {"Pod/shop/odd"})
        follower.wait_until(lambda: len(follower.pods("shop")) == 2 + MOST_UNREAD_BYTES // MIB)
