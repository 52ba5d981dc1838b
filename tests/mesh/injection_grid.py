"""Pods that the injector is asked about, in all combinations of what decides on injection."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tests.cluster.clients import Api
from tests.mesh.istio import has_proxy
from tests.mesh.manifests import new_namespace

from istio_netpol.istio.view.injection import TLS_MODE_LABEL, as_injected, injection_of
from istio_netpol.istio.view.injectors import Injectors
from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.settings import MeshSettings
from istio_netpol.model.workloads import Workload
from istio_netpol.state.reader import Reader
from istio_netpol.state.snapshot import Snapshot

Manifest = dict[str, Any]

REFUSALS = {400, 422}
"""How the API server answers what the injector denies, and a pod that is invalid after it was asked."""

INJECTION, REVISION, INJECT = "istio-injection", "istio.io/rev", "sidecar.istio.io/inject"
TEMPLATES = "inject.istio.io/templates"
STATUS = "sidecar.istio.io/status"

SWITCHES = (None, "enabled", "disabled", "", "true")
WISHES = (None, "true", "false", "perhaps", "")
REVISIONS = (None, "default", "canary", "prod", "nowhere")
"""The default revision, another one, a tag of that, and a name that means nobody."""

IGNORED = ("kube-system", "kube-public", "kube-node-lease", "local-path-storage")
DIFFERENT: tuple[Mapping[str, str], ...] = ({}, {INJECTION: "enabled"}, {REVISION: "canary"})
"""Labels of namespaces without injection, with it, and with that of another revision."""

USABLE = ("sidecar", "gateway", "grpc-agent", "grpc-simple", " sidecar", "gateway, grpc-simple")
NOT_FOR_PODS = ("waypoint", "kube-gateway", "nothing", "sidecar,nothing", "sidecar,gateway", "")
"""Templates that are refused for a pod: for Gateways, not there, or with a container twice."""

MARKS: tuple[tuple[Mapping[str, str], Mapping[str, str]], ...] = (
    ({"app": "ztunnel"}, {}),
    ({"istio.io/dataplane-mode": "ambient"}, {}),
    ({"istio.io/dataplane-mode": "none"}, {}),
    ({TLS_MODE_LABEL: "disabled"}, {}),
    ({TLS_MODE_LABEL: "istio"}, {}),
    ({}, {STATUS: "{}"}),
    ({}, {REVISION: "canary"}),
    ({}, {"sidecar.istio.io/nativeSidecar": "false"}),
    ({}, {"sidecar.istio.io/interceptionMode": "NONE"}),
    ({}, {"ambient.istio.io/redirection": "enabled"}),
)
"""Labels and annotations of pods that mean something else, or nothing."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What injection makes of a pod. `revision` is that of its istiod, empty where it has no proxy."""

    injected: bool
    revision: str = ""
    tls_label: str = ""
    asks_in_plain: bool = False


def namespaces() -> Iterator[Manifest]:
    """One for every pair of labels, called by its number, and those that the injector ignores."""
    for number, (switch, revision) in enumerate(itertools.product(SWITCHES, REVISIONS)):
        labels = {**_said(INJECTION, switch), **_said(REVISION, revision)}
        yield new_namespace(f"grid-{number}", labels)
    yield from (
        new_namespace(name, {INJECTION: "enabled"} if name not in IGNORED[:3] else {}) for name in IGNORED
    )


def pods_by_labels(homes: Sequence[Manifest]) -> Iterator[Manifest]:
    """In every namespace the labels that select webhooks."""
    for home, wish, revision in itertools.product(homes, WISHES, REVISIONS):
        yield pod(home, {**_said(INJECT, wish), **_said(REVISION, revision)})


def pods_by_marks(homes: Sequence[Manifest]) -> Iterator[Manifest]:
    """In namespaces of each sort what the injector alone looks at, and what it should not."""
    for home in homes:
        for wish, note, host in itertools.product(WISHES, WISHES, (False, True)):
            yield pod(home, _said(INJECT, wish), _said(INJECT, note), host_network=host)
        for wish, named in itertools.product((None, "true"), (*USABLE, *NOT_FOR_PODS)):
            yield pod(home, _said(INJECT, wish), {TEMPLATES: named})
        for wish, (labels, notes) in itertools.product((None, "true"), MARKS):
            yield pod(home, {**_said(INJECT, wish), **labels}, notes)


def pods_by_apps(homes: Sequence[Manifest], apps: Sequence[str]) -> Iterator[Manifest]:
    """Pods that an injector's own selectors tell apart, with every wish of theirs."""
    for home, wish, app in itertools.product(homes, WISHES, apps):
        yield pod(home, {"app": app, **_said(INJECT, wish)})


def different(homes: Sequence[Manifest]) -> list[Manifest]:
    """The namespaces of each sort."""
    return [home for home in homes if home["metadata"]["labels"] in DIFFERENT and _is_numbered(home)]


def pod(
    home: Manifest,
    labels: Mapping[str, str],
    annotations: Mapping[str, str] | None = None,
    *,
    host_network: bool = False,
) -> Manifest:
    """A pod of one container; its name comes from its place among the others."""
    metadata = {
        "namespace": home["metadata"]["name"],
        "labels": {"app": "a", **labels},
        "annotations": dict(annotations or {}),
    }
    spec = {"hostNetwork": host_network, "containers": [{"name": "app", "image": "app"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def numbered(pods: Iterator[Manifest] | Sequence[Manifest]) -> list[Manifest]:
    """The pods with names."""
    return [
        {**manifest, "metadata": {**manifest["metadata"], "name": f"pod-{number}"}}
        for number, manifest in enumerate(pods)
    ]


def really(api: Api, pods: Sequence[Manifest]) -> list[Outcome | None]:
    """What the API server would store of each pod, after it asked the injectors; None where it refuses it."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda manifest: _asked(api, manifest), pods))


def predicted(cluster: str, pods: Sequence[Manifest]) -> list[Outcome]:
    """What our rules expect of each pod in a cluster, whose objects are JSON."""
    text = "\n---\n".join([cluster, *map(json.dumps, pods)])
    loaded = load(read_documents(text.encode(), "grid.yaml"))
    assert not loaded.problems
    snapshot = Snapshot.of(loaded.objects)
    labelled = as_injected(snapshot, MeshSettings())
    injectors = Injectors(Reader(snapshot), "istio-system")
    found = {}
    for home in snapshot.namespace_names:
        labels = {workload.name: workload.labels for workload in labelled.of_type(Workload, home)}
        for workload in snapshot.of_type(Workload, home):
            injection = injection_of(workload, snapshot.namespace(home), MeshSettings(), injectors)
            found[workload.name] = Outcome(
                injection.injected,
                (injection.revision or "default") if injection.injected else "",
                labels[workload.name].get(TLS_MODE_LABEL, ""),
                injection.asks_in_plain,
            )
    return [found[one["metadata"]["name"]] for one in pods]


def differences(
    pods: Sequence[Manifest], real: Sequence[Outcome | None], ours: Sequence[Outcome]
) -> list[str]:
    """The table of differences, a line for each pod; pods that are refused never run."""
    return [
        f"{json.dumps(one['metadata'])} host={one['spec']['hostNetwork']}: really {theirs}, ours {our}"
        for one, theirs, our in zip(pods, real, ours, strict=True)
        if theirs is not None and theirs != our
    ]


def _asked(api: Api, manifest: Manifest) -> Outcome | None:
    path = f"/api/v1/namespaces/{manifest['metadata']['namespace']}/pods?dryRun=All"
    answer = api.request("POST", path, manifest)
    if answer.status in REFUSALS:
        return None
    assert answer.status == 201, answer.object
    metadata, injected = answer.object["metadata"], has_proxy(answer.object)
    return Outcome(
        injected,
        metadata["annotations"][REVISION] if injected else "",
        metadata["labels"].get(TLS_MODE_LABEL, ""),
        ":15010" in json.dumps(answer.object["spec"]),
    )


def _is_numbered(home: Manifest) -> bool:
    return bool(home["metadata"]["name"].startswith("grid-"))


def _said(name: str, value: str | None) -> dict[str, str]:
    return {} if value is None else {name: value}
