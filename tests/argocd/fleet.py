"""Two clusters under one Argo CD, bootstrapped from a repository as the documentation says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.argocd.chronicle import Chronicle
from tests.argocd.installation import NAMESPACE, ArgoCD
from tests.argocd.repository import Repository
from tests.argocd.simulated_node import SimulatedNode
from tests.cluster.control_plane import ControlPlane
from tests.cluster.crds import ARGO_CD, crds
from tests.cluster.fixtures import require, require_go
from tests.cluster.server_process import ServerProcess
from tests.tools.programs import ASSETS, located

WITHIN = 300.0
"""Seconds that a sync may take where two cores are shared."""

PROGRAMS = ("argocd", "miniredis", "helm", "kustomize", "kwok", "kube-controller-manager", "kube-scheduler")
WATCHED = (
    "namespaces",
    "networkpolicies",
    "deployments",
    "validatingwebhookconfigurations",
    "mutatingwebhookconfigurations",
)


class Fleet:
    """`hub` runs Argo CD and is labelled k3d; no pod runs there. `edge` is labelled kind, and pods run:
    it is the canary."""

    def __init__(self, folder: Path) -> None:
        require(*ASSETS, *PROGRAMS)
        require_go()
        programs = {name: path for name in (*ASSETS, *PROGRAMS) if (path := located(name))}
        for name in ("hub", "edge", "argocd", "node"):
            (folder / name).mkdir()
        self.hub = ControlPlane(folder / "hub", programs)
        self.edge = ControlPlane(folder / "edge", programs)
        self.repository = Repository(folder)
        self.argocd = ArgoCD(self.hub, folder / "argocd")
        self.node = SimulatedNode(self.edge, folder / "node")
        self.chronicle = Chronicle(self.edge, folder / "chronicle", *WATCHED)

    @property
    def processes(self) -> tuple[ServerProcess, ...]:
        """All of them, for the report of a test that failed."""
        planes = (*self.hub.processes, *self.edge.processes)
        return (*planes, *self.node.processes, *self.argocd.processes)

    def start(self) -> None:
        """Both clusters, pods that run, and Argo CD, which knows both."""
        for plane in (self.hub, self.edge):
            plane.start()
        self.edge.start_controller_manager()
        self.node.start()
        self.chronicle.start()
        for definition in crds(ARGO_CD):
            self.hub.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
        self.argocd.install()
        self.argocd.register("in-cluster", "k3d")
        self.argocd.register("edge", "kind", self.edge, ring="canary")

    def bootstrap(self) -> None:
        """`kubectl apply -k argocd/bootstrap`, as a user types it."""
        path = str(self.repository.work / "argocd" / "bootstrap")
        done = self.hub.kubectl()("apply", "-k", path, "--server-side", "--validate=strict")
        assert done.code == 0, done.stderr

    def stop(self) -> None:
        """Ends everything."""
        self.argocd.stop()
        self.chronicle.stop()
        self.node.stop()
        for plane in (self.edge, self.hub):
            plane.stop()

    def application(self, name: str) -> dict[str, Any]:
        """An Application as stored; empty where there is none."""
        path = f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/applications/{name}"
        answer = self.hub.api().request("GET", path)
        return answer.object if answer.status == 200 else {}

    def health(self, name: str) -> str:
        """How Argo CD finds an Application."""
        return str(self.application(name).get("status", {}).get("health", {}).get("status"))

    def refresh(self, name: str, how: str = "normal") -> None:
        """Has an Application compared with the newest commit: what a push has Git's webhook do."""
        note = f"argocd.argoproj.io/refresh={how}"
        where = ("application", name, "--namespace", NAMESPACE)
        done = self.hub.kubectl()("annotate", *where, note, "--overwrite")
        assert done.code == 0, done.stderr

    def wait_until_synced(self, name: str, revision: str = "") -> dict[str, Any]:
        """Waits until an Application is in sync with the revision, of which Argo CD is told, and healthy."""
        if revision:
            self.refresh(name)

        def synced() -> bool:
            status = self.application(name).get("status", {})
            sync = status.get("sync", {})
            if revision and sync.get("revision") != revision:
                return False
            state = (sync.get("status"), status.get("health", {}).get("status"))
            operation = status.get("operationState", {})
            # A revert of what failed to sync leaves nothing to sync: the operation stays that of before.
            is_of_before = operation.get("syncResult", {}).get("revision") != sync.get("revision")
            is_over = operation.get("phase") == "Succeeded" or (
                operation.get("phase") in ("Failed", "Error") and is_of_before
            )
            return state == ("Synced", "Healthy") and is_over

        self.wait_until(f"{name} is synced and healthy", synced, name)
        return self.application(name)

    def wait_until(self, what: str, holds: Callable[[], bool], *applications: str) -> None:
        """Waits for something to hold; otherwise fails with what the Applications say."""
        ends = time.monotonic() + WITHIN
        while not holds():
            if time.monotonic() > ends:
                said = json.dumps({name: _told(self.application(name)) for name in applications}, indent=1)
                raise AssertionError(f"not within {WITHIN:g} s: {what}\n{said}")
            for process in self.processes:
                assert not process.died, f"{process.name} ended:\n{process.last_lines()}"
            time.sleep(0.2)


def _told(application: dict[str, Any]) -> dict[str, Any]:
    """What an Application says of its state."""
    status = application.get("status", {})
    operation = status.get("operationState", {})
    told = {key: status.get(key) for key in ("conditions", "health")}
    told["sync"] = {key: status.get("sync", {}).get(key) for key in ("status", "revision")}
    told["operation"] = {key: operation.get(key) for key in ("phase", "message", "startedAt")}
    return told
