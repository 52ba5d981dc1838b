"""Somebody who works through the handbook, and does what a refusal says."""

from __future__ import annotations

import itertools
from typing import Any

from tests.live.handbook import Chapter
from tests.live.live_cluster import Live
from tests.live.terminal import REFUSED, Terminal, remedies_in
from tests.serving.reviews import review

GENERATED = "labelSelector=app.kubernetes.io/managed-by%3Distio-netpol"
TRIES = 3
"""A file of several objects can be refused for one after the other."""


class Reader:
    """Types line by line, and waits in between, as people do, until the cluster has done what it was told."""

    def __init__(self, live: Live, terminal: Terminal) -> None:
        self._live = live
        self._terminal = terminal
        self._numbers = itertools.count(1)
        probe = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "probe"}}
        live.plane.create("/api/v1/namespaces", probe)

    def work_through(self, chapter: Chapter) -> None:
        """Types every line; one that is refused again, after what the refusal said to apply."""
        for line in chapter.lines:
            self._obey(line)

    def wait_for_policies(self, namespace: str, count: int) -> None:
        """Waits until a namespace has so many generated policies."""
        path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies?{GENERATED}"
        api = self._live.plane.api()
        self._live.plane.wait_until(
            f"{namespace} has {count} policies",
            lambda: len(api.request("GET", path).object["items"]) == count,
        )

    def _obey(self, line: str) -> None:
        for _ in range(TRIES):
            printed = self.type(line)
            if REFUSED not in printed:
                return
            for remedy in remedies_in(printed):
                self.type(remedy)
        raise AssertionError(f"refused {TRIES} times: {line}\n{printed}")

    def type(self, line: str) -> str:
        """Types a line, and waits until what follows from it is there; what it printed."""
        printed = self._terminal.type(line)
        self._live.plane.wait_until("Deployments have their Pods", self._have_pods)
        self._until_known()
        return printed

    def _have_pods(self) -> bool:
        """Whether kube-controller-manager was allowed to make every Pod that Deployments ask for."""
        found = self._live.plane.api().request("GET", "/apis/apps/v1/deployments").object["items"]
        return all(
            deployment["status"].get("observedGeneration") == deployment["metadata"]["generation"]
            and deployment["status"].get("updatedReplicas", 0) == deployment["spec"]["replicas"]
            for deployment in found
        )

    def _until_known(self) -> None:
        """Until the webhook knows the Services and Deployments that are there: it knows one that was made
        after them all, by which what a Pod declares that it calls can be found."""
        name = f"probe-{next(self._numbers)}"
        self._live.plane.create("/api/v1/namespaces/probe/services", _service(name))
        self._live.plane.create("/apis/apps/v1/namespaces/probe/deployments", _deployment(name))
        body = review(_caller(name))
        webhook = self._live.webhook
        self._live.plane.wait_until(
            "the webhook has taken it in", lambda: not webhook.review("validate", body).get("warnings")
        )


def _service(name: str) -> dict[str, Any]:
    spec = {"selector": {"app": name}, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def _deployment(name: str) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "app"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def _caller(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "caller",
            "namespace": "probe",
            "annotations": {"istio-netpol.io/calls": f"{name}:80"},
        },
        "spec": {"containers": [{"name": "app", "image": "app"}]},
    }
