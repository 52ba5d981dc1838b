"""The node agent does with Pods what a kubelet does, as far as a mesh can tell."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.mesh import topology
from tests.mesh.control_plane import ControlPlane
from tests.mesh.host_link import HostLink
from tests.mesh.machine import require_mesh
from tests.mesh.node_agent import node_agent
from tests.mesh.sandbox import Sandbox
from tests.waiting import wait_until

pytestmark = pytest.mark.xdist_group("mesh-parts")

SERVES = ["python", "-m", "http.server", "8080"]
READY = {"httpGet": {"port": 8080, "path": "/"}, "periodSeconds": 1}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A control plane and the agent, in a sandbox."""

    sandbox: Sandbox
    plane: ControlPlane

    def apply(self, *manifests: Mapping[str, Any]) -> None:
        done = self.plane.kubectl.apply(*manifests)
        assert done.code == 0, done.stderr

    def pods(self, namespace: str = "default") -> list[Any]:
        items = self.plane.kubectl("get", "pods", "-n", namespace, "--output=json").json["items"]
        assert isinstance(items, list)
        return items

    def pod(self, name: str) -> Any:
        return self.plane.kubectl("get", "pod", name, "--output=json").json

    def wait_until_ready(self, *names: str, seconds: float = 60.0) -> None:
        def ready() -> bool:
            found = {pod["metadata"]["name"] for pod in self.pods() if condition(pod, "Ready") == "True"}
            return found >= set(names)

        wait_until(f"{', '.join(names)} is ready", ready, seconds, self.plane.servers, self.agent_log)

    def wait_until_gone(self, name: str, seconds: float = 60.0) -> None:
        def gone() -> bool:
            return all(pod["metadata"]["name"] != name for pod in self.pods())

        wait_until(f"{name} is gone", gone, seconds, self.plane.servers, self.agent_log)

    def log(self, pod: str, container: str, namespace: str = "default") -> str:
        return (self.sandbox.folder / "logs" / f"{namespace}.{pod}" / f"{container}.log").read_text()

    def agent_log(self) -> str:
        return (self.sandbox.folder / "agent.log").read_text()

    def left_of(self, pod: str) -> list[str]:
        """Network namespaces that are still a pod's."""
        networks = self.sandbox.run("ip", "netns", "list").stdout.splitlines()
        return [line for line in networks if line.startswith(f"default.{pod}")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    require_mesh()
    with Sandbox() as sandbox:
        sandbox.run(*topology.script([*topology.worker(), *topology.control_plane()]))
        plane = ControlPlane(sandbox, HostLink(sandbox))
        plane.start()
        node_agent(sandbox, plane.kubeconfig).start()
        yield Cluster(sandbox, plane)


def pod(name: str, *containers: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    """A Pod whose containers run this checkout's image."""
    mine = [{"image": "registry.example/python:3", **container} for container in containers]
    inits = [{"image": "python", **container} for container in spec.pop("initContainers", ())]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": mine, "initContainers": inits, **spec},
    }


def condition(manifest: Mapping[str, Any], name: str) -> str:
    conditions = manifest.get("status", {}).get("conditions", ())
    return next((str(entry["status"]) for entry in conditions if entry["type"] == name), "")


WORDS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "words"}, "data": {"a.txt": "hello"}}
TOKEN = {"serviceAccountToken": {"path": "token", "audience": "istio-ca", "expirationSeconds": 3600}}
LABELS = {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}}
VOLUMES = [
    {"name": "words", "configMap": {"name": "words"}},
    {"name": "shared", "emptyDir": {}},
    {"name": "tokens", "projected": {"sources": [TOKEN, LABELS]}},
]
MOUNTS = [
    {"name": "words", "mountPath": "/etc/words"},
    {"name": "shared", "mountPath": "/var/run/shared"},
    {"name": "tokens", "mountPath": "/var/run/secrets/tokens"},
]
LOOKS = """\
id -u; cat /etc/words/a.txt; echo; echo $WHERE; cat /var/run/secrets/tokens/labels; echo
touch /etc/new 2>/dev/null || echo read-only; ls /var/run/shared
exec python -m http.server 8080
"""


def whole_pod() -> dict[str, Any]:
    """A Pod with an init container, a sidecar and an application that prints what it sees."""
    proxy = {
        "name": "proxy",
        "restartPolicy": "Always",
        "command": ["sh", "-c", "sleep 1; touch /var/run/shared/proxy; exec sleep 1000"],
        "startupProbe": {"exec": {"command": ["test", "-e", "/run/shared/proxy"]}, "periodSeconds": 1},
        "volumeMounts": MOUNTS,
    }
    app = {
        "name": "app",
        "command": ["sh", "-c", LOOKS],
        "env": [
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "WHERE", "value": "$(IP) by $(KUBERNETES_SERVICE_HOST) $$(IP)"},
        ],
        "securityContext": {"runAsUser": 1000, "readOnlyRootFilesystem": True},
        "readinessProbe": READY,
        "volumeMounts": MOUNTS,
    }
    first = {"name": "first", "command": ["touch", "/var/run/shared/first"], "volumeMounts": MOUNTS}
    return pod("whole", app, initContainers=[first, proxy], volumes=VOLUMES)


def test_a_pod_starts_in_order_with_what_it_asks_for(cluster: Cluster) -> None:
    """First the init container, then the sidecar until its startup probe holds, then the rest; each has the
    variables and files of its spec and runs as its user, on a file system that it can't change."""
    cluster.apply(WORDS, whole_pod())
    cluster.wait_until_ready("whole")
    status = cluster.pod("whole")["status"]
    address = status["podIP"]
    says = cluster.log("whole", "app").splitlines()[:7]
    assert says == [
        "1000",
        "hello",
        f"{address} by 10.96.0.1 $(IP)",
        'app="whole"',
        "read-only",
        "first",
        "proxy",
    ]
    assert status["phase"] == "Running"
    assert [entry["restartCount"] for entry in status["containerStatuses"]] == [0]
    assert {entry["name"]: list(entry["state"]) for entry in status["initContainerStatuses"]} == {
        "first": ["terminated"],
        "proxy": ["running"],
    }
    assert not Path("/etc/words").exists()
    cluster.apply({**WORDS, "data": {"a.txt": "changed"}})
    inside = ["curl", "--silent", f"http://{address}:8080/etc/words/a.txt"]
    wait_until("the file has changed", lambda: cluster.sandbox.run(*inside).stdout == "changed", 30.0)


def test_a_container_that_ends_is_started_again_and_what_waits_says_why(cluster: Cluster) -> None:
    cluster.apply(
        pod("crashing", {"name": "app", "command": ["sh", "-c", "echo run; sleep 0.2; exit 3"]}),
        pod("done", {"name": "app", "command": ["true"]}, restartPolicy="Never"),
        pod("unknown", {"name": "app", "image": "registry.example/nobody-has-this:1"}),
        pod(
            "incomplete",
            {"name": "app", "command": SERVES, "volumeMounts": [{"name": "late", "mountPath": "/late"}]},
            volumes=[{"name": "late", "configMap": {"name": "late"}}],
        ),
    )

    def state(name: str) -> Any:
        return cluster.pod(name)["status"].get("containerStatuses", [{}])[0]

    wait_until("it has been restarted twice", lambda: state("crashing").get("restartCount", 0) >= 2, 60.0)
    wait_until(
        "it waits to be restarted",
        lambda: state("crashing")["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff",
        60.0,
    )
    assert state("crashing")["lastState"]["terminated"]["exitCode"] == 3
    assert cluster.log("crashing", "app").startswith("run\nrun\nrun\n")
    wait_until("it is done", lambda: cluster.pod("done")["status"]["phase"] == "Succeeded", 60.0)

    def waits_for(name: str) -> Any:
        return state(name).get("state", {}).get("waiting", {}).get("reason")

    wait_until("nobody has the image", lambda: waits_for("unknown") == "ErrImagePull")
    wait_until("it waits for a volume", lambda: waits_for("incomplete") == "ContainerCreating")
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}, "data": {"a": "b"}})
    cluster.wait_until_ready("incomplete")


def test_probes_speak_as_the_kubelet_does_and_liveness_restarts(cluster: Cluster) -> None:
    refused = {"httpGet": {"port": 15021, "path": "/healthz/ready"}, "periodSeconds": 1}
    missing = {"httpGet": {"port": "web", "path": "/missing"}, "periodSeconds": 1}
    dead = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    ports = [{"name": "web", "containerPort": 8080}]
    cluster.apply(
        pod(
            "probed",
            {"name": "nobody", "command": ["sleep", "1000"], "readinessProbe": refused},
            {"name": "web", "command": SERVES, "ports": ports, "readinessProbe": missing},
            {"name": "dead", "command": ["sleep", "1000"], "livenessProbe": dead},
        )
    )

    def messages() -> set[tuple[str, str]]:
        events = cluster.plane.kubectl("get", "events", "--output=json").json["items"]
        mine = [event for event in events if event["involvedObject"]["name"] == "probed"]
        return {(event["involvedObject"].get("fieldPath", ""), event["message"]) for event in mine}

    address = ""

    def told() -> bool:
        nonlocal address
        address = cluster.pod("probed")["status"].get("podIP", "")
        url = f"{address}:15021"
        return messages() >= {
            (
                "spec.containers{nobody}",
                f'Readiness probe failed: Get "http://{url}/healthz/ready": dial tcp {url}: connect: '
                "connection refused",
            ),
            ("spec.containers{web}", "Readiness probe failed: HTTP probe failed with statuscode: 404"),
        }

    wait_until("the failed probes are told", told, 60.0)
    assert condition(cluster.pod("probed"), "Ready") == "False"

    def restarts() -> int:
        statuses = cluster.pod("probed")["status"]["containerStatuses"]
        return next(int(entry["restartCount"]) for entry in statuses if entry["name"] == "dead")

    wait_until("what is not alive is restarted", lambda: restarts() > 0, 60.0)


def test_a_deleted_pod_ends_its_sidecars_last_and_leaves_nothing(cluster: Cluster) -> None:
    """Also one that is deleted at once, whose programs never hear of it, and one that ignores the signal."""
    goes_on = "echo ready; while :; do sleep 0.1; done"
    last_words = f"trap 'echo asked; sleep {{}}; date +%s.%N; exit' TERM; {goes_on}"
    deaf = f"trap 'echo asked' TERM; {goes_on}"
    cluster.apply(
        pod(
            "ordered",
            {"name": "app", "command": ["sh", "-c", last_words.format(1)]},
            initContainers=[
                {"name": "proxy", "restartPolicy": "Always", "command": ["sh", "-c", last_words.format(0)]}
            ],
        ),
        pod(
            "stubborn",
            {"name": "app", "command": ["sh", "-c", deaf]},
            terminationGracePeriodSeconds=3,
        ),
        pod("forced", {"name": "app", "command": SERVES}, terminationGracePeriodSeconds=600),
    )
    names = ("ordered", "stubborn", "forced")
    cluster.wait_until_ready(*names)
    for name, container in (("ordered", "app"), ("ordered", "proxy"), ("stubborn", "app")):
        wait_until(
            f"{container} of {name} listens to signals",
            lambda name=name, container=container: "ready" in cluster.log(name, container),
        )
    assert all(cluster.left_of(name) for name in names)
    cluster.plane.kubectl("delete", "pod", "forced", "--grace-period=0", "--force", "--wait=false")
    cluster.plane.kubectl("delete", "pod", "ordered", "stubborn", "--wait=false")
    for name in names:
        cluster.wait_until_gone(name)
        wait_until(f"nothing of {name} is left", lambda name=name: not cluster.left_of(name), 30.0)
    assert "asked" in cluster.log("stubborn", "app")
    app, proxy = (cluster.log("ordered", name).splitlines() for name in ("app", "proxy"))
    assert app[1] == proxy[1] == "asked"
    assert float(app[2]) <= float(proxy[2])


def test_many_pods_come_up_at_once_and_a_name_can_be_taken_again(cluster: Cluster) -> None:
    names = [f"crowd-{number}" for number in range(12)]
    crowd = [pod(name, {"name": "app", "command": ["sleep", "1000"]}) for name in names]
    cluster.apply(*crowd)
    cluster.wait_until_ready(*names)
    before = {entry["metadata"]["name"]: entry["status"]["podIP"] for entry in cluster.pods()}
    assert len({before[name] for name in names}) == len(names)
    cluster.plane.kubectl("delete", "pods", *names, "--grace-period=0", "--force", "--wait=false")
    for name in names:
        cluster.wait_until_gone(name)
    cluster.apply(*crowd)
    cluster.wait_until_ready(*names)
    after = {entry["metadata"]["name"]: entry["status"]["podIP"] for entry in cluster.pods()}
    assert not {before[name] for name in names} & {after[name] for name in names}


def test_a_load_balancer_gets_an_address_from_outside(cluster: Cluster) -> None:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    spec = {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": ports}
    cluster.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "edge"}, "spec": spec})

    def address() -> str:
        service = cluster.plane.kubectl("get", "service", "edge", "--output=json").json
        ingress = service["status"]["loadBalancer"].get("ingress", [{}])
        return json.dumps(ingress[0].get("ip"))

    wait_until("it has an address", lambda: address() == f'"{topology.LOAD_BALANCERS}"', 30.0)
