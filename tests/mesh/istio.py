"""Istio in the mesh: what the pinned istioctl renders is applied as it is, and its Deployments become Pods.

The proxies are plain Envoys, so istiod is told to leave out the filters that only Istio's build of Envoy has.
Everything else is as a cluster has it: istiod registers its webhooks, and injects for real.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

import yaml
from tests.cluster.clients import Api, Kubectl
from tests.cluster.crds import GATEWAY_API, crds
from tests.mesh.manifests import new_namespace
from tests.tools.programs import located

ROOT = "istio-system"
INGRESS, EGRESS = "istio-ingressgateway", "istio-egressgateway"
DEFINITION = "CustomResourceDefinition"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
STARTS_WITHIN = 120.0

SMALL = {"requests": {"cpu": "10m", "memory": "16Mi"}}
GATEWAY = {"autoscaleEnabled": False, "resources": SMALL}

VALUES: dict[str, Any] = {
    "global": {
        "proxy": {"resources": SMALL, "readinessPeriodSeconds": 1},
        # Nothing is to be evicted.
        "defaultPodDisruptionBudget": {"enabled": False},
    },
    # Statistics are a filter of Istio's Envoy.
    "telemetry": {"enabled": False},
    "pilot": {
        "autoscaleEnabled": False,
        "resources": SMALL,
        "env": {"PILOT_ENABLE_METADATA_EXCHANGE": "false", "PILOT_ENABLE_ALPN_FILTER": "false"},
    },
    "gateways": {INGRESS: GATEWAY, EGRESS: GATEWAY},
}
MESH_CONFIG: dict[str, Any] = {
    "enablePrometheusMerge": False,
    # Proxies that end are not waited for: tests restart many.
    "defaultConfig": {"drainDuration": "1s", "terminationDrainDuration": "1s", "concurrency": 1},
}


class Cluster(Protocol):
    """What Istio is installed into."""

    @property
    def api(self) -> Api: ...

    @property
    def kubectl(self) -> Kubectl: ...

    def delete(self, *objects: Mapping[str, Any]) -> None: ...

    def wait_until(self, what: str, holds: Callable[[], bool], seconds: float = 60) -> None: ...


def manifests(
    *,
    revision: str = "",
    tags: Sequence[str] = (),
    keys_authority: str = "",
    mesh_config: Mapping[str, Any] | None = None,
    gateways: Sequence[str] = (INGRESS,),
) -> list[dict[str, Any]]:
    """The objects of one control plane and its gateways. `keys_authority` is the PEM of a CA that istiod
    trusts where it fetches keys."""
    values = _merged(VALUES, {"revision": revision, "revisionTags": list(tags)})
    values = _merged(values, {"pilot": {"jwksResolverExtraRootCA": keys_authority}})
    components = {
        "ingressGateways": [{"name": INGRESS, "enabled": INGRESS in gateways}],
        "egressGateways": [{"name": EGRESS, "enabled": EGRESS in gateways}],
    }
    spec = {
        "profile": "default",
        "revision": revision,
        "components": components,
        "meshConfig": _merged(MESH_CONFIG, mesh_config or {}),
        "values": values,
    }
    operator = {"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "spec": spec}
    return _rendered(json.dumps(operator))


def _rendered(operator: str) -> list[dict[str, Any]]:
    command = [str(located("istioctl")), "manifest", "generate", "--filename", "-"]
    done = subprocess.run(command, input=operator, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.load_all(done.stdout, yaml.CSafeLoader) if document]


def install(cluster: Cluster, rendered: Sequence[dict[str, Any]]) -> None:
    """Installs Istio as `manifests` has it, and the Gateway API. Returns when istiod serves and injects, and
    the gateways have their configuration."""
    define(cluster, [*filter(_is_definition, rendered), *crds(GATEWAY_API)])
    add(cluster, [new_namespace(ROOT), *itertools.filterfalse(_is_definition, rendered)])
    wait_until_injecting(cluster)


def add(cluster: Cluster, objects: Sequence[dict[str, Any]]) -> None:
    """Applies what istioctl renders, and waits for its Deployments; the definitions are there."""
    applied = cluster.kubectl.apply(*objects, options=("--server-side", "--force-conflicts"))
    assert applied.code == 0, applied.stderr
    for manifest in objects:
        if manifest["kind"] == "Deployment":
            name, namespace = manifest["metadata"]["name"], manifest["metadata"]["namespace"]
            cluster.wait_until(
                f"{namespace}/{name} is ready", partial(is_available, cluster, namespace, name), STARTS_WITHIN
            )


@contextlib.contextmanager
def revision(cluster: Cluster, name: str, tags: Sequence[str] = ()) -> Iterator[None]:
    """A second istiod, of a revision with tags of its own, for as long as the block runs."""
    rendered = manifests(revision=name, tags=tags, gateways=())
    # What carries no revision in its name is there already, and serves both.
    own = [manifest for manifest in rendered if _is_of(manifest, name)]
    add(cluster, own)
    for named in (name, *tags):
        wait_until_injecting(cluster, named)
    try:
        yield
    finally:
        cluster.delete(*own)


def define(cluster: Cluster, definitions: Sequence[dict[str, Any]]) -> None:
    """Has the API server serve custom resources; done when it serves all of them."""
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(partial(cluster.api.request, "POST", DEFINITIONS), definitions)
    refused = [answer.object for answer in answers if answer.status not in {201, 409}]
    assert not refused, refused
    served: dict[str, set[str]] = {}
    for definition in definitions:
        spec = definition["spec"]
        for version in (version["name"] for version in spec["versions"] if version["served"]):
            served.setdefault(f"/apis/{spec['group']}/{version}", set()).add(spec["names"]["plural"])
    for path, resources in served.items():
        cluster.wait_until(f"{path} is served", partial(_serves, cluster, path, resources))


def is_available(cluster: Cluster, namespace: str, deployment: str) -> bool:
    """Whether all pods of a Deployment's newest template are ready, and no others are left."""
    found = cluster.api.request("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}")
    if found.status != 200:
        return False
    status, spec = found.object.get("status", {}), found.object["spec"]
    if status.get("observedGeneration") != found.object["metadata"]["generation"]:
        return False
    counts = ("replicas", "updatedReplicas", "readyReplicas")
    return all(status.get(count, 0) == spec["replicas"] for count in counts)


def wait_until_injecting(cluster: Cluster, revision: str = "") -> None:
    """Waits until the API server asks the injector of a revision, and gets a sidecar from it."""
    labels = {"istio.io/rev": revision} if revision else {"sidecar.istio.io/inject": "true"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "injected", "labels": labels},
        "spec": {"containers": [{"name": "app", "image": "app"}]},
    }
    path = "/api/v1/namespaces/default/pods?dryRun=All"
    cluster.wait_until(
        f"pods of revision {revision or 'default'} are injected",
        lambda: has_proxy(cluster.api.request("POST", path, pod).object),
        STARTS_WITHIN,
    )


def has_proxy(pod: Mapping[str, Any]) -> bool:
    """Whether a Pod, or what the API server answers for one, has an Istio proxy."""
    spec = pod.get("spec") or {}
    return any(
        container["name"] == "istio-proxy"
        for container in (*spec.get("containers", ()), *spec.get("initContainers", ()))
    )


def _is_definition(manifest: Mapping[str, Any]) -> bool:
    return bool(manifest["kind"] == DEFINITION)


def _is_of(manifest: Mapping[str, Any], revision: str) -> bool:
    """Whether an object is of one revision alone: its name or its label says so."""
    metadata = manifest["metadata"]
    return revision in metadata["name"] or metadata.get("labels", {}).get("istio.io/rev") == revision


def _serves(cluster: Cluster, path: str, resources: set[str]) -> bool:
    """Whether a group has its resources, which costs the API server far less to say than the definitions."""
    found = cluster.api.request("GET", path).object
    return resources <= {resource["name"] for resource in found.get("resources", ())}


def _merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings, of which the second wins."""
    merged = dict(base)
    for name, value in more.items():
        here = merged.get(name)
        both = isinstance(here, Mapping) and isinstance(value, Mapping)
        merged[name] = _merged(here, value) if both else value
    return merged
