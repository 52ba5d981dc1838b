"""istioctl's own injector and our rules agree on pods, over a grid of what the pods say.

`kube-inject` decides by the webhook's own function, `injectRequired`, but always as if the policy were
`enabled` and there were no selectors (istio/istio pkg/kube/inject/inject.go): it reads templates only.
"""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.bundle.istio_manifests import rendered
from tests.cluster.fixtures import require
from tests.tools.programs import located

from istio_netpol.istio.view.injection import injection_of
from istio_netpol.istio.view.injectors import Injectors
from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.settings import MeshSettings
from istio_netpol.state.reader import Reader
from istio_netpol.state.snapshot import Snapshot

KEY = "sidecar.istio.io/inject"
WISHES = (None, "true", "false", "perhaps")
APPS = ("plain", "never", "always", "both")
NAMESPACES = ("shop", "kube-system")
SELECTORS = {
    "neverInjectSelector": [
        {"matchExpressions": [{"key": "app", "operator": "In", "values": ["never", "both"]}]}
    ],
    "alwaysInjectSelector": [{"matchLabels": {"app": "always"}}, {"matchLabels": {"app": "both"}}],
}


def config_maps() -> dict[str, dict[str, Any]]:
    """The mesh config and the injector's configuration, as the default profile renders them."""
    parts = rendered("--set", "profile=default").split("\n---\n")
    found = [yaml.load(part, yaml.CSafeLoader) for part in parts if "\nkind: ConfigMap\n" in f"\n{part}"]
    return {config_map["metadata"]["name"]: config_map for config_map in found}


def configured(policy: str, selectors: bool) -> dict[str, Any]:
    """The injector's ConfigMap with another policy, and with selectors for pods that say nothing."""
    injector = config_maps()["istio-sidecar-injector"]
    settings = yaml.safe_load(injector["data"]["config"])
    settings |= {"policy": policy, **(SELECTORS if selectors else {})}
    return {**injector, "data": {**injector["data"], "config": yaml.safe_dump(settings)}}


def pods() -> list[dict[str, Any]]:
    """Every pod of the grid: the word on a label and on an annotation, hostNetwork, app and namespace."""
    grid = itertools.product(WISHES, WISHES, (False, True), APPS, NAMESPACES)
    return [_pod(f"pod-{number}", *cell) for number, cell in enumerate(grid)]


def _pod(name: str, label: str | None, note: str | None, host: bool, app: str, home: str) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": home,
        "labels": {"app": app, **({KEY: label} if label else {})},
        "annotations": {KEY: note} if note else {},
    }
    spec = {"hostNetwork": host, "containers": [{"name": "app", "image": "app"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def deployments() -> list[dict[str, Any]]:
    """The same pods as templates of Deployments, whose own labels say the opposite."""
    return [_deployment(pod) for pod in pods()]


def _deployment(pod: dict[str, Any]) -> dict[str, Any]:
    metadata = {**pod["metadata"], "labels": {KEY: "false"}, "annotations": {KEY: "true"}}
    template = {
        "metadata": {key: pod["metadata"][key] for key in ("labels", "annotations")},
        "spec": pod["spec"],
    }
    selector = {"matchLabels": {"app": pod["metadata"]["labels"]["app"]}}
    spec = {"selector": selector, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def says_istioctl(folder: Path, injector: dict[str, Any], every: list[dict[str, Any]]) -> dict[str, bool]:
    """Which pods come out of `istioctl kube-inject` with a proxy."""
    mesh = config_maps()["istio"]["data"]["mesh"]
    data = injector["data"]
    for name, text in {"config": data["config"], "values": data["values"], "mesh": mesh}.items():
        (folder / name).write_text(text)
    (folder / "pods.yaml").write_text("\n---\n".join(map(json.dumps, every)))
    command = [str(located("istioctl")), "kube-inject", "--revision", "default", "-f", "pods.yaml"]
    command += ["--injectConfigFile", "config", "--valuesFile", "values", "--meshConfigFile", "mesh"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr
    came_out = [document for document in yaml.load_all(done.stdout, yaml.CSafeLoader) if document]
    return {pod["metadata"]["name"]: _has_proxy(pod) for pod in came_out}


def _has_proxy(manifest: dict[str, Any]) -> bool:
    spec = manifest["spec"].get("template", manifest)["spec"]
    containers = [*spec["containers"], *spec.get("initContainers", ())]
    return any(container["name"] == "istio-proxy" for container in containers)


def says_our_rule(injector: dict[str, Any], every: list[dict[str, Any]]) -> dict[str, bool]:
    """The engine's word where the namespaces ask for injection, as whoever calls kube-inject does."""
    labels = {"istio-injection": "enabled"}
    homes = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        for name in NAMESPACES
    ]
    text = "\n---\n".join(map(json.dumps, [injector, *homes, *every]))
    loaded = load(read_documents(text.encode(), "grid.yaml"))
    assert not loaded.problems
    snapshot = Snapshot.of(loaded.objects)
    injectors = Injectors(Reader(snapshot), "istio-system")
    return {
        pod.name: injection_of(pod, snapshot.namespace(home), MeshSettings(), injectors).injected
        for home in NAMESPACES
        for pod in snapshot.workloads(home)
    }


def test_the_injector_and_our_rules_agree_on_every_pod(tmp_path: Path) -> None:
    """The table of differences over 256 pods is empty."""
    require("istioctl")
    injector, every = configured("enabled", selectors=False), pods()
    theirs, ours = says_istioctl(tmp_path, injector, every), says_our_rule(injector, every)
    assert len(theirs) == len(every) == 256
    assert {name for name in theirs if theirs[name] != ours[name]} == set()
    assert 0 < sum(theirs.values()) < len(every)


def test_templates_differ_only_where_kube_inject_knows_no_namespace(tmp_path: Path) -> None:
    """A Deployment is what its template says, whatever stands on itself. A template names no namespace, so
    kube-inject does not see that one is in kube-system; the webhook learns it from the request."""
    require("istioctl")
    injector, every = configured("enabled", selectors=False), deployments()
    theirs, ours = says_istioctl(tmp_path, injector, every), says_our_rule(injector, every)
    system = {pod["metadata"]["name"] for pod in every if pod["metadata"]["namespace"] == "kube-system"}
    assert {name for name in theirs if theirs[name] != ours[name]} == {n for n in system if theirs[n]}
    assert sum(ours.values()) == sum(theirs[name] for name in theirs if name not in system) > 0


@pytest.mark.parametrize("policy", ["enabled", "disabled"])
def test_differences_are_what_kube_inject_leaves_unread(tmp_path: Path, policy: str) -> None:
    """With a policy and selectors, both differ on pods that say neither true nor false, and on no others:
    there the webhook asks neverInjectSelector, alwaysInjectSelector and the policy, in this order."""
    require("istioctl")
    injector, every = configured(policy, selectors=True), pods()
    theirs, ours = says_istioctl(tmp_path, injector, every), says_our_rule(injector, every)
    open_to = {"plain", "always"} if policy == "enabled" else {"always"}
    explained = {
        pod["metadata"]["name"]
        for pod in every
        if theirs[pod["metadata"]["name"]]
        and _says_nothing(pod)
        and pod["metadata"]["labels"]["app"] not in open_to
    }
    assert {name for name in theirs if theirs[name] != ours[name]} == explained
    assert explained


def _says_nothing(pod: dict[str, Any]) -> bool:
    metadata = pod["metadata"]
    wish = metadata["labels"].get(KEY, metadata["annotations"].get(KEY))
    return wish not in ("true", "false")
