"""Follows the Pods that are bound to the node, and the objects that their volumes show."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

from tests.mesh.agent.launch import Node
from tests.mesh.agent.load_balancers import give_load_balancers
from tests.mesh.agent.network import Addresses
from tests.mesh.agent.pod import Pod
from tests.mesh.agent.root import copy_etc
from tests.mesh.agent.volumes import shows
from tests.mesh.node_api import Api, Manifest


class Agent:
    """The node agent: a `Pod` for each Pod object of the node, by its uid."""

    def __init__(self, api: Api, name: str, folder: Path) -> None:
        self._api = api
        self._name = name
        state = folder / "pods"
        state.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(state)], check=True)
        copy_etc(state / "etc")
        self._node = Node(api, Addresses(), state, folder / "logs", state / "etc")
        self._pods: dict[str, Pod] = {}
        self._ending: list[Pod] = []
        self._lock = threading.Lock()

    def run(self) -> None:
        """Works until the process ends."""
        print(f"follows the Pods of {self._name}", flush=True)
        threading.Thread(target=give_load_balancers, args=(self._api,), daemon=True).start()
        for kind in ("configmaps", "secrets"):
            threading.Thread(target=self._follow_content, args=(kind,), daemon=True).start()
        for change in self._api.follow("/api/v1/pods", f"spec.nodeName={self._name}"):
            if isinstance(change, list):
                self._take_all(change)
            else:
                self._take(*change)

    def _take_all(self, pods: list[Manifest]) -> None:
        """After a gap: what the list does not have is gone."""
        present = {pod["metadata"]["uid"] for pod in pods}
        for uid in [uid for uid in self._pods if uid not in present]:
            self._drop(uid)
        for pod in pods:
            self._take("MODIFIED", pod)

    def _take(self, change: str, pod: Manifest) -> None:
        uid = pod["metadata"]["uid"]
        pod.setdefault("status", {})
        if change == "DELETED":
            self._drop(uid)
        elif uid in self._pods:
            self._pods[uid].update(pod)
        else:
            self._begin(uid, pod)

    def _begin(self, uid: str, manifest: Manifest) -> None:
        """Runs a new pod, once one of the same name that may be on its way out is over."""
        pod = Pod(self._node, manifest, self._predecessor(manifest))
        with self._lock:
            self._pods[uid] = pod
        pod.start()

    def _predecessor(self, manifest: Manifest) -> Pod | None:
        name = f"{manifest['metadata']['namespace']}/{manifest['metadata']['name']}"
        same = [pod for pod in self._ending if pod.name == name and not pod.over.is_set()]
        return same[-1] if same else None

    def _drop(self, uid: str) -> None:
        with self._lock:
            pod = self._pods.pop(uid, None)
        if pod is not None:
            pod.forget()
            self._ending = [*(other for other in self._ending if not other.over.is_set()), pod]

    def _follow_content(self, kind: str) -> None:
        """Tells the pods that show a ConfigMap or a Secret when it has changed."""
        for change in self._api.follow(f"/api/v1/{kind}"):
            if isinstance(change, list) or change[0] == "DELETED":
                continue
            metadata = change[1]["metadata"]
            with self._lock:
                pods = list(self._pods.values())
            for pod in pods:
                here = pod.pod["metadata"]["namespace"] == metadata["namespace"]
                if here and shows(pod.pod, kind, metadata["name"]):
                    pod.refresh()
