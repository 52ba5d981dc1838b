"""A whole mesh on this machine: a cluster with Istio, whose NetworkPolicies are enforced, and an outside."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests import waiting
from tests.cluster.clients import Api, Kubectl
from tests.cluster.server_process import ServerProcess
from tests.mesh import cluster_dns, istio, manifests, topology
from tests.mesh.control_plane import ControlPlane
from tests.mesh.enforcement.switch import MeshEnforcement
from tests.mesh.host_link import HostLink
from tests.mesh.node_agent import node_agent
from tests.mesh.outside import OutsideHosts
from tests.mesh.sandbox import Sandbox
from tests.mesh.traffic import Inside, Outside

Manifest = Mapping[str, Any]


class Mesh:
    """What tests and people use of a mesh. Everything of it runs in one sandbox, and ends with that."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.outside = OutsideHosts(sandbox)
        sandbox.run(*topology.script([*topology.worker(), *topology.control_plane()]))
        self.control_plane = ControlPlane(sandbox, HostLink(sandbox))
        self.enforcement = MeshEnforcement(sandbox, lambda path: self.api.request("GET", path).object)
        self.timings: dict[str, float] = {}
        self.namespaces: list[str] = []
        self._numbers = itertools.count(1)
        self._agent = node_agent(sandbox, self.control_plane.kubeconfig)

    def start(self, **istio_settings: Any) -> None:
        """Starts everything, and returns when a gateway of Istio has its configuration."""
        settings = {"keys_authority": self.outside.authority.certificate, **istio_settings}
        with ThreadPoolExecutor() as pool:
            # Neither needs the cluster: they are done by the time that it is there.
            outside = pool.submit(self.outside.start)
            rendered = pool.submit(istio.manifests, **settings)
            with self._timed("control plane"):
                self.control_plane.start()
            self._agent.start()
            self.enforcement.start(self.control_plane.kubeconfig, Path(sys.executable))
            dns = pool.submit(self._install_dns)
            with self._timed("Istio"):
                istio.install(self, rendered.result())
            dns.result()
            outside.result()
        with self._timed("DNS"):
            self.wait_until_ready(cluster_dns.NAMESPACE, cluster_dns.NAME)
        self.settled()

    def _install_dns(self) -> None:
        """Without validation: kubectl would ask for all schemas while Istio's are being added."""
        applied = self.kubectl.apply(*cluster_dns.manifests(), options=("--validate=false",))
        assert applied.code == 0, applied.stderr

    @property
    def kubectl(self) -> Kubectl:
        """kubectl on the host, as somebody who may do everything."""
        return self.control_plane.kubectl

    @property
    def api(self) -> Api:
        """The API, as somebody who may do everything."""
        return self.control_plane.api

    @property
    def processes(self) -> tuple[ServerProcess, ...]:
        """The servers of the cluster, for the reports of tests that fail."""
        return (*self.control_plane.servers, self._agent, *self.enforcement.processes)

    def apply(self, *objects: Manifest) -> None:
        """Applies objects, which has to work."""
        applied = self.kubectl.apply(*objects)
        assert applied.code == 0, applied.stderr

    def delete(self, *objects: Manifest) -> None:
        """Deletes objects that may be there, and returns when they are gone. kubectl's own wait asks after
        them one by one, five a second."""
        items = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        these = ("--ignore-not-found", "--filename", "-")
        deleted = self.kubectl("delete", "--wait=false", *these, stdin=items, timeout=120)
        assert deleted.code == 0, deleted.stderr

        def gone() -> bool:
            found = self.kubectl("get", "--output=name", *these, stdin=items)
            assert found.code == 0, found.stderr
            return not found.stdout

        self.wait_until("what was deleted is gone", gone, 120)

    def namespace(self, labels: Mapping[str, str] | None = None) -> str:
        """Makes a namespace that nothing has used, where Istio injects unless other labels are given; its
        name. It is removed at the end of the test or of the module that made it."""
        name = f"test-{next(self._numbers)}"
        labels = {"istio-injection": "enabled"} if labels is None else labels
        self.apply(manifests.new_namespace(name, labels))
        self.namespaces.append(name)
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        self.wait_until(
            f"{name} has a service account", lambda: self.api.request("GET", account).status == 200
        )
        return name

    def remove_namespaces(self, *names: str) -> None:
        """Has namespaces removed with all that is in them; their pods end soon."""
        if names:
            self.kubectl("delete", "namespaces", "--ignore-not-found", "--wait=false", *names)
        self.namespaces = [name for name in self.namespaces if name not in names]

    def deny_all(self, namespace: str) -> None:
        """Puts a namespace under a policy that denies everything."""
        self.apply(manifests.deny_all(namespace))

    @contextmanager
    def without(self, *policies: Manifest) -> Iterator[None]:
        """Leaves policies out for as long as the block runs."""
        try:
            self.delete(*policies)
            self.settled()
            yield
        finally:
            self.apply(*policies)
            self.settled()

    def settled(self) -> None:
        """Returns when every policy, namespace and pod that the API server has counts for packets."""
        self.enforcement.settled()

    def run(
        self, namespace: str, app: str, *argv: str | Path, stdin: str = "", timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in the network of a running pod labelled `app`, whatever its outcome."""
        network = topology.pod_network(namespace, self._running(namespace, app))
        return self.sandbox.run(*argv, network=network, stdin=stdin, timeout=timeout, check=False)

    def run_from(
        self, source: Inside | Outside, *argv: str, timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in a pod or on a host outside, whatever its outcome."""
        if isinstance(source, Inside):
            return self.run(source.namespace, source.app, *argv, timeout=timeout)
        return self.outside.run(source.host, *argv, timeout=timeout)

    def logs(self, namespace: str, app: str, container: str = "istio-proxy") -> str:
        """What a container of a running pod labelled `app` has written, before its restarts too."""
        return self.log_of(namespace, self._running(namespace, app), container)

    def log_of(self, namespace: str, pod: str, container: str) -> str:
        """What a container of a pod has written; empty before it started."""
        folder = self.sandbox.folder / "logs" / topology.pod_network(namespace, pod)
        file = folder / f"{container}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def restart(self, namespace: str, deployment: str) -> None:
        """Deletes the pods of a Deployment, and returns when they are gone and new ones run. Those need not
        be ready: policies may keep them from it."""
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}"
        found = self.api.request("GET", path)
        assert found.status == 200, found.object
        labels = found.object["spec"]["selector"]["matchLabels"]
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        old = {pod["metadata"]["uid"] for pod in self.pods(namespace, selector)}
        deleted = self.kubectl(
            "delete", "pods", "--namespace", namespace, "--selector", selector, timeout=120
        )
        assert deleted.code == 0, deleted.stderr
        wanted = found.object["spec"]["replicas"]

        def replaced() -> bool:
            pods = self.pods(namespace, selector)
            new = [pod for pod in pods if pod["metadata"]["uid"] not in old and pod["status"].get("podIP")]
            return len(pods) == len(new) == wanted

        self.wait_until(f"{namespace}/{deployment} has new pods", replaced)

    def ready(self, namespace: str, app: str) -> bool:
        """Whether there are pods labelled `app`, and all of them are ready."""
        pods = [pod for pod in self.pods(namespace, f"app={app}") if not _ends(pod)]
        return bool(pods) and all(map(_is_ready, pods))

    def wait_until_ready(self, namespace: str, *deployments: str, seconds: float = 120.0) -> None:
        """Waits until all pods of some Deployments are ready, and no others are left."""
        for deployment in deployments:
            self.wait_until(
                f"{namespace}/{deployment} is ready",
                partial(istio.is_available, self, namespace, deployment),
                seconds,
            )

    def load_balancer(self, namespace: str, service: str) -> str:
        """The address at which a Service of type LoadBalancer takes connections from outside."""
        found = self.api.request("GET", f"/api/v1/namespaces/{namespace}/services/{service}")
        assert found.status == 200, found.object
        (balancer,) = found.object["status"]["loadBalancer"]["ingress"]
        return str(balancer["ip"])

    def pods(self, namespace: str, selector: str) -> list[dict[str, Any]]:
        """The Pods that labels select."""
        answer = self.api.request("GET", f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")
        assert answer.status == 200, answer.object
        return list(answer.object["items"])

    def wait_until(self, what: str, holds: Callable[[], object], seconds: float = 60.0) -> None:
        """Waits for something to hold; fails with the pods' states if that takes too long."""
        waiting.wait_until(what, holds, seconds, self.processes, self._states)

    def _running(self, namespace: str, app: str) -> str:
        """The name of a pod; of one that is ready, if there is one."""
        selector = f"app={app}"
        pods = [
            pod for pod in self.pods(namespace, selector) if pod["status"].get("podIP") and not _ends(pod)
        ]
        assert pods, f"no pod of {selector} runs in {namespace}:\n{self._states()}"
        return str(max(pods, key=_is_ready)["metadata"]["name"])

    def _states(self) -> str:
        return self.kubectl("get", "pods", "--all-namespaces", "--output=wide").stdout

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.timings[part] = time.monotonic() - began


@contextmanager
def started(**istio_settings: Any) -> Iterator[Mesh]:
    """A mesh for as long as the block runs."""
    began = time.monotonic()
    with Sandbox() as sandbox:
        mesh = Mesh(sandbox)
        mesh.start(**istio_settings)
        mesh.timings["all"] = time.monotonic() - began
        yield mesh


def _is_ready(pod: Manifest) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return any((condition["type"], condition["status"]) == ("Ready", "True") for condition in conditions)


def _ends(pod: Manifest) -> bool:
    return "deletionTimestamp" in pod["metadata"]
