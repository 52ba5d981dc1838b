"""The world of the cases on a real API server, with the chart at work, and a hostile user who owns team-a."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from typing import Any

from tests.chart.rendering import plural
from tests.cluster.clients import Answer
from tests.cluster.control_plane import NODE_ADDRESS
from tests.cluster.users import ADMIN, TENANT
from tests.live.live_cluster import Live
from tests.trust.case_files import Case, Manifest, world
from tests.trust.doors import Aftermath, settings_of
from tests.trust.openings import HOSTILE, Allowed

from istio_netpol.model.own_names import PROVISIONAL_AT

PLAYING = ("Namespace", "NetworkPolicy", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Pod")
"""The kinds that say who may connect to whom."""

API_VERSIONS = {"Namespace": "v1", "Pod": "v1", "NetworkPolicy": "networking.k8s.io/v1"}
OWNER = "istio-netpol"
FORBIDDEN = 403
"""How a webhook refuses; what the API server itself finds invalid is its own to word."""

THERE_ALREADY = {("kube-system", "coredns"), ("kube-system", "kube-dns"), ("default", "kubernetes")}
"""What every cluster of the tests begins with."""

CANARY = "dns-"
"""Which policy of the victim is deleted, to see the controller restore it."""

Key = tuple[str, str]


class AttackedCluster:
    """One cluster for all cases: each cleans up what it brought, and waits until policies are as before."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._plane = live.plane
        self._before: dict[Key, Any] = {}

    @property
    def standing(self) -> tuple[Allowed, ...]:
        """Who may ask this cluster's API server, where it is."""
        api_server = f"{NODE_ADDRESS}/32: TCP {self._plane.port}"
        return (
            Allowed.of(f"istio-system/istiod -> {api_server}"),
            Allowed.of(f"{HOSTILE}/* -> {api_server}"),
        )

    def prepare(self) -> None:
        """Applies the world as its administrator, and binds the hostile user to a Role in its namespace."""
        ours = [
            _scaled_to_nothing(stored_manifest)
            for stored_manifest in world()
            if _place(stored_manifest) not in THERE_ALREADY
        ]
        done = self._plane.kubectl().apply(*ours)
        assert done.code == 0, done.stderr
        done = self._plane.kubectl().apply(*_may_do_all_in(HOSTILE))
        assert done.code == 0, done.stderr
        path = f"/apis/networking.istio.io/v1/namespaces/{HOSTILE}/gateways"
        tenant = self._plane.api(TENANT)
        self._plane.wait_until("the user's rights hold", lambda: tenant.request("GET", path).status == 200)
        self._settle()
        self._forget_what_reviews_foresaw()
        self._settle()
        self._before = self._generated()

    def _forget_what_reviews_foresaw(self) -> None:
        """Deletes what was written for an object before others of the world were there. The controller would
        take it back, amidst the cases; what is needed of it, it writes again."""
        for policy in self._of_kind("NetworkPolicy"):
            if PROVISIONAL_AT in policy["metadata"].get("annotations", {}):
                self._plane.api().request("DELETE", f"{_path(policy)}/{policy['metadata']['name']}")

    def attempt(self, case: Case) -> Aftermath:
        """Has everybody write what the case says, and the controller judge it."""
        for manifest in case.there:
            answer = self._write(manifest, ADMIN)
            assert answer.status == 201, answer.object
        answers = [self._write(manifest, _author(manifest)) for manifest in case.writes]
        self._settle()
        stored = list(self._stored())
        written = tuple(stored_manifest for stored_manifest in stored if _is_written_by_us(stored_manifest))
        others = tuple(
            stored_manifest for stored_manifest in stored if not _is_written_by_us(stored_manifest)
        )
        return Aftermath(others, written, settings_of(case), self._said(answers))

    def _said(self, answers: Iterable[Answer]) -> str:
        """What we tell users and operators: refusals, Events and logs."""
        refusals = [answer.object for answer in answers if answer.status == FORBIDDEN]
        events = self._plane.api().request("GET", "/api/v1/events").object["items"]
        logged = [*self._live.webhook.logged, *self._live.controller.logged]
        return json.dumps([refusals, [event["message"] for event in events], logged])

    def clean(self, case: Case) -> None:
        """Takes away what a case brought, and what was generated for it."""
        for manifest in (*reversed(case.writes), *case.there):
            self._plane.api().request("DELETE", f"{_path(manifest)}/{manifest['metadata']['name']}")
        self._plane.wait_until("policies are as before", self._is_as_before, every=0.2)

    def _write(self, manifest: Manifest, user: str) -> Answer:
        """Creates an object, scaled to nothing, with the status that it claims."""
        api, path = self._plane.api(user), _path(manifest)
        answer = api.request("POST", path, _scaled_to_nothing(manifest))
        if "status" in manifest and answer.status == 201:
            told = {**answer.object, "status": manifest["status"]}
            status = api.request("PUT", f"{path}/{manifest['metadata']['name']}/status", told)
            assert status.status == 200, status.object
        return answer

    def _settle(self) -> None:
        """Until the controller has restored a policy that was deleted after everything else happened, for
        which it looks at everything, and writes nothing more."""
        name = self._canary()
        path = f"/apis/networking.k8s.io/v1/namespaces/team-b/networkpolicies/{name}"
        api = self._plane.api()
        deleted = api.request("DELETE", path)
        assert deleted.status == 200, deleted.object
        self._plane.wait_until("the controller judged", lambda: api.request("GET", path).status == 200)
        self._plane.wait_until("it writes nothing more", self._rests)

    def _canary(self) -> str:
        def named() -> list[str]:
            return [
                name for namespace, name in self._generated() if (namespace, name[:4]) == ("team-b", CANARY)
            ]

        self._plane.wait_until("the victim has its policies", lambda: bool(named()))
        return named()[0]

    def _rests(self) -> bool:
        before = self._generated()
        time.sleep(0.2)
        return before == self._generated()

    def _is_as_before(self) -> bool:
        generated = self._generated()
        for namespace, name in generated.keys() - self._before.keys():
            path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies/{name}"
            self._plane.api().request("DELETE", path)
        return generated == self._before

    def _generated(self) -> dict[Key, Any]:
        """The specs of what the product wrote."""
        return {
            _place(stored_manifest): stored_manifest["spec"]
            for stored_manifest in self._of_kind("NetworkPolicy")
            if _is_written_by_us(stored_manifest)
        }

    def _stored(self) -> Iterator[Manifest]:
        for kind in PLAYING:
            yield from self._of_kind(kind)

    def _of_kind(self, kind: str) -> Iterator[Manifest]:
        version = API_VERSIONS.get(kind, "apps/v1")
        answer = self._plane.api().request("GET", f"{_root(version)}/{plural(kind)}")
        for item in answer.object["items"]:
            yield {"apiVersion": version, "kind": kind, **item}


def _place(manifest: Manifest) -> Key:
    metadata = manifest["metadata"]
    return (metadata.get("namespace", ""), metadata["name"])


def _author(manifest: Manifest) -> str:
    return TENANT if manifest["metadata"].get("namespace") == HOSTILE else ADMIN


def _is_written_by_us(manifest: Manifest) -> bool:
    """Whether a policy's content is ours, whatever its labels claim."""
    managers = manifest["metadata"].get("managedFields", ())
    return manifest["kind"] == "NetworkPolicy" and any(
        (field["manager"], field["operation"]) == (OWNER, "Apply") for field in managers
    )


def _scaled_to_nothing(manifest: Manifest) -> Manifest:
    """No pods are made: what a controller needs is in its template."""
    if manifest["kind"] not in {"Deployment", "StatefulSet", "ReplicaSet"}:
        return manifest
    return {**manifest, "spec": {**manifest["spec"], "replicas": 0}}


def _root(version: str) -> str:
    return f"/api/{version}" if "/" not in version else f"/apis/{version}"


def _path(manifest: Manifest) -> str:
    kind, namespace = manifest["kind"], manifest["metadata"].get("namespace")
    resource = "endpoints" if kind == "Endpoints" else plural(kind)
    return f"{_root(manifest['apiVersion'])}/namespaces/{namespace}/{resource}"


def _may_do_all_in(namespace: str) -> Iterable[Manifest]:
    """Everything that is namespaced, in one namespace; nothing anywhere else."""
    group = "rbac.authorization.k8s.io"
    metadata = {"name": "owner", "namespace": namespace}
    rule = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    yield {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": [rule]}
    yield {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "owner"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": TENANT}],
    }
