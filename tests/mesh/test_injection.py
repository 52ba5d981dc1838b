"""Our rules say what the real injector does, which the API server asks: no table has a difference.

A second istiod, of a revision, registers an injector and a tag of its own.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.mesh import istio
from tests.mesh.injection_grid import (
    INJECTION,
    NOT_FOR_PODS,
    REVISION,
    TEMPLATES,
    Manifest,
    differences,
    different,
    namespaces,
    numbered,
    pod,
    pods_by_apps,
    pods_by_labels,
    pods_by_marks,
    predicted,
    really,
)

from istio_netpol.istio.offered_ports import PROXY_PORTS
from istio_netpol.istio.rules.gateway_services import STATUS_PORT
from istio_netpol.istio.rules.scrape import AGENT_PORT, ENVOY_PORT

if TYPE_CHECKING:
    from tests.mesh.mesh import Mesh

CANARY, TAG = "canary", "prod"
DISCOVERY = 15012
INJECTOR = f"/api/v1/namespaces/{istio.ROOT}/configmaps/istio-sidecar-injector-{CANARY}"
ACCOUNT = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
GREETER = "spec:\n  containers:\n  - name: greeter\n    image: greeter\n"

SELECTORS: Manifest = {
    "neverInjectSelector": [
        {"matchExpressions": [{"key": "app", "operator": "In", "values": ["never", "both"]}]}
    ],
    "alwaysInjectSelector": [{"matchLabels": {"app": "always"}}, {"matchLabels": {"app": "both"}}],
}
APPS = ("plain", "never", "always", "both")


@pytest.fixture(scope="module")
def revisions(mesh: Mesh) -> Iterator[Mesh]:
    """The mesh with a second istiod, of revision `canary` with the tag `prod`."""
    with istio.revision(mesh, CANARY, [TAG]):
        yield mesh


@pytest.fixture(scope="module")
def homes(revisions: Mesh) -> Iterator[list[Manifest]]:
    """The namespaces of the grid, each with the account that its pods run as."""
    made = list(namespaces())
    revisions.apply(*made)
    for home in made:
        revisions.api.request(
            "POST", f"/api/v1/namespaces/{home['metadata']['name']}/serviceaccounts", ACCOUNT
        )
    yield made
    revisions.remove_namespaces(*(home["metadata"]["name"] for home in made if is_new(home)))


def is_new(home: Manifest) -> bool:
    """Whether a namespace was made for the grid: three that the injector ignores are of every cluster."""
    return not home["metadata"]["name"].startswith("kube-")


def cluster(mesh: Mesh) -> str:
    """What of the cluster decides on injection, as JSON."""
    kinds = "namespaces,mutatingwebhookconfigurations,configmaps"
    got = mesh.kubectl("get", kinds, "--all-namespaces", "--output", "json")
    assert got.code == 0, got.stderr
    return got.stdout


def test_our_rules_say_what_the_injectors_do(revisions: Mesh, homes: list[Manifest]) -> None:
    """Labels of namespaces and pods, revisions and tags, annotations, hostNetwork and templates."""
    pods = numbered([*pods_by_labels(homes), *pods_by_marks(different(homes))])
    real = really(revisions.api, pods)
    assert differences(pods, real, predicted(cluster(revisions), pods)) == []
    refused = {
        one["metadata"]["annotations"].get(TEMPLATES)
        for one, found in zip(pods, real, strict=True)
        if not found
    }
    assert refused == set(NOT_FOR_PODS)
    known = [found for found in real if found]
    assert {found.revision for found in known} == {"", "default", CANARY}
    assert {found.asks_in_plain for found in known} == {True, False}
    assert len(pods) > 1000


@pytest.mark.parametrize("policy", ["enabled", "disabled"])
def test_our_rules_read_how_an_injector_is_configured(
    revisions: Mesh, homes: list[Manifest], policy: str
) -> None:
    """Its policy, its selectors for pods that say nothing, its templates and their aliases."""
    own = [home for home in homes if home["metadata"]["labels"].get(REVISION) in {CANARY, TAG}]
    others = [home for home in homes if home["metadata"]["labels"] == {INJECTION: "enabled"}]
    named = [pod(home, {}, {TEMPLATES: name}) for home in own for name in ("greeter", "couple", "sidecar")]
    pods = numbered([*pods_by_apps([*own, *others], APPS), *named])
    with configured(revisions, policy):
        real = really(revisions.api, pods)
        assert differences(pods, real, predicted(cluster(revisions), pods)) == []
    assert {found.injected for found in real if found} == {True, False}


@contextlib.contextmanager
def configured(mesh: Mesh, policy: str) -> Iterator[None]:
    """The injector of the revision with another policy, selectors and two more templates."""
    before = mesh.api.request("GET", INJECTOR).object
    config = yaml.load(before["data"]["config"], yaml.CSafeLoader)
    config |= {"policy": policy, **SELECTORS, "aliases": {"couple": ["greeter", "sidecar"]}}
    config["templates"] |= {"greeter": GREETER, policy: GREETER}
    after = {**before, "data": {**before["data"], "config": yaml.safe_dump(config)}}
    # The template of the policy's name tells that istiod has read all of it.
    (one,) = numbered([pod({"metadata": {"name": "default"}}, {REVISION: CANARY}, {TEMPLATES: policy})])
    write(mesh, after)
    try:
        mesh.wait_until("istiod has read its configuration", lambda: really(mesh.api, [one])[0])
        yield
    finally:
        write(mesh, before)
        mesh.wait_until("istiod has read what it was", lambda: not really(mesh.api, [one])[0])


def write(mesh: Mesh, config_map: Manifest) -> None:
    """Replaces a ConfigMap, whoever wrote it last."""
    metadata = {key: value for key, value in config_map["metadata"].items() if key != "resourceVersion"}
    answer = mesh.api.request("PUT", INJECTOR, {**config_map, "metadata": metadata})
    assert answer.status == 200, answer.object


def test_an_injected_pod_has_the_proxy_that_our_rules_assume(revisions: Mesh, homes: list[Manifest]) -> None:
    """A native sidecar, which asks its own istiod at 15012; its ports are those that no application has."""
    for home, host in zip(different(homes)[1:], (f"istiod-{CANARY}", "istiod"), strict=True):
        (one,) = numbered([pod(home, {})])
        path = f"/api/v1/namespaces/{home['metadata']['name']}/pods?dryRun=All"
        spec = revisions.api.request("POST", path, one).object["spec"]
        capture, proxy = spec["initContainers"]
        assert (proxy["name"], proxy["restartPolicy"]) == ("istio-proxy", "Always")
        variables = {entry["name"]: entry.get("value") for entry in proxy["env"]}
        assert variables["CA_ADDR"] == f"{host}.{istio.ROOT}.svc:{DISCOVERY}"
        (excluded,) = (words for words in capture["args"] if words.startswith("15090,"))
        assert {int(port) for port in excluded.split(",")} == {AGENT_PORT, ENVOY_PORT, STATUS_PORT}
        named = {int(port) for port in re.findall(r"\b15\d{3}\b", json.dumps(spec))}
        assert named - {DISCOVERY} <= PROXY_PORTS
