"""What a dump of a cluster keeps of each object: all that rules read, and no secret."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from istio_netpol.manifests.cluster_dump import HEADER, dumped, item_text, note_of
from istio_netpol.manifests.load import Loaded, load
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.assumptions import NotSeen

TESTS = Path(__file__).parents[1]
FILES = sorted(
    file
    for folder in ("scenarios", "istio", "manifests", "analysis", "remedies", "policy_lint", "trust")
    for file in (TESTS / folder).rglob("*.yaml")
)


def objects_in(file: Path) -> Iterator[RawObject]:
    """The objects of a file that can be read."""
    with file.open("rb") as stream:
        for document in read_documents(stream, str(file)):
            if isinstance(document, RawObject):
                yield document


def stored(content: dict[str, Any]) -> dict[str, Any]:
    """The object with what an API server adds to each."""
    added = {
        "uid": "6f9d2",
        "creationTimestamp": "2026-09-14T08:12:31Z",
        "resourceVersion": "7",
        "generation": 2,
    }
    metadata = content.get("metadata")
    return {**content, "metadata": {**added, **metadata}} if isinstance(metadata, dict) else content


def written(contents: list[dict[str, Any]]) -> Loaded:
    """What is read of a dump of these objects."""
    text = HEADER + "".join(item_text(dumped(copy.deepcopy(content))) for content in contents)
    return load(read_documents(text.encode(), "dump.yaml"))


def plain(loaded: Loaded) -> list[tuple[type, dict[str, Any]]]:
    return [
        (type(value), {name: getattr(value, name) for name in value.__struct_fields__})
        for value in loaded.objects
    ]


@pytest.mark.parametrize("folder", sorted({file.parent for file in FILES}), ids=str)
def test_a_dump_says_what_the_objects_say(folder: Path) -> None:
    """Of every object that some test decodes: what rules read of it is the same after a dump."""
    for file in (file for file in FILES if file.parent == folder):
        contents = [stored(raw.content) for raw in objects_in(file)]
        before = load(RawObject(copy.deepcopy(content), "dump.yaml", 1) for content in contents)
        if before.objects and not before.problems:
            assert plain(written(contents)) == plain(before), file


POD = {
    "metadata": {
        "labels": {"app": "cart"},
        "annotations": {"vault.example.com/token": "SECRET", "sidecar.istio.io/inject": "true"},
    },
    "spec": {
        "containers": [
            {
                "name": "cart",
                "image": "cart",
                "command": ["run", "SECRET"],
                "args": ["--password=SECRET", "-localip", "169.254.20.10", "SECRET"],
                "env": [{"name": "PILOT_X", "value": "1"}, {"name": "PASSWORD", "value": "SECRET"}],
                "ports": [{"containerPort": 8080}],
                "livenessProbe": {
                    "httpGet": {"port": 8080, "httpHeaders": [{"name": "Authorization", "value": "SECRET"}]}
                },
                "readinessProbe": {"exec": {"command": ["psql", "SECRET"]}},
                "lifecycle": {"postStart": {"exec": {"command": ["SECRET"]}}},
            }
        ],
        "volumes": [{"name": "a", "csi": {"driver": "b", "volumeAttributes": {"key": "SECRET"}}}],
    },
}
LUA = {"inlineCode": 'handle:httpCall("outbound|80||auth.shop.svc.cluster.local", {["x-key"]="SECRET"})'}
CONFIDENTIAL: list[dict[str, Any]] = [
    {"apiVersion": "v1", "kind": "Pod", **POD},
    {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"selector": {}, "template": POD}},
    {"apiVersion": "batch/v1", "kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": POD}}}},
    {"apiVersion": "v1", "kind": "ConfigMap", "data": {"mesh": "rootNamespace: a\n", "other": "SECRET"}},
    {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "spec": {
            "hosts": ["a.example.com"],
            "http": [
                {
                    "match": [{"headers": {"x-key": {"exact": "SECRET"}}, "uri": {"prefix": "/a"}}],
                    "headers": {"request": {"set": {"authorization": "SECRET"}}},
                    "route": [
                        {"destination": {"host": "a"}, "headers": {"request": {"add": {"k": "SECRET"}}}}
                    ],
                }
            ],
        },
    },
    {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "spec": {
            "rules": [
                {
                    "filters": [
                        {
                            "type": "RequestHeaderModifier",
                            "requestHeaderModifier": {"set": [{"name": "a", "value": "SECRET"}]},
                        }
                    ]
                }
            ]
        },
    },
    {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "spec": {"configPatches": [{"patch": {"operation": "ADD", "value": {"typed_config": LUA}}}]},
    },
    {
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "spec": {"url": "oci://a.example.com/b", "pluginConfig": {"client_secret": "SECRET"}},
    },
    {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "spec": {"rules": [{"when": [{"key": "request.headers[x-key]", "values": ["SECRET"]}]}]},
    },
    {
        "apiVersion": "telemetry.istio.io/v1",
        "kind": "Telemetry",
        "spec": {"tracing": [{"customTags": {"key": {"literal": {"value": "SECRET"}}}}]},
    },
]


@pytest.mark.parametrize("content", CONFIDENTIAL, ids=lambda content: content["kind"])
def test_a_dump_keeps_no_secret(content: dict[str, Any]) -> None:
    """Wherever an object may hold one; what managers and kubectl noted of it goes, too."""
    noted = {
        "name": "a",
        "managedFields": [{"manager": "SECRET"}],
        "resourceVersion": "1",
        **content.get("metadata", {}),
    }
    noted["annotations"] = {
        **noted.get("annotations", {}),
        "kubectl.kubernetes.io/last-applied-configuration": "SECRET",
    }
    text = item_text(dumped(copy.deepcopy({**content, "metadata": noted})))
    assert "SECRET" not in text
    assert "resourceVersion" not in text


def test_what_rules_read_of_what_may_hold_secrets_stays() -> None:
    """A switch of istiod, the address of node-local-dns, a probe's port, the destination that code names."""
    pod, *_, patches = (
        item_text(dumped(copy.deepcopy({**content, "metadata": {"name": "a"}})))
        for content in CONFIDENTIAL
        if content["kind"] in ("Pod", "EnvoyFilter")
    )
    spec = yaml.safe_load(pod)[0]["spec"]
    (container,) = spec["containers"]
    assert container["args"] == ["-localip", "169.254.20.10"]
    assert container["env"] == [{"name": "PILOT_X", "value": "1"}]
    assert container["livenessProbe"] == {"httpGet": {"port": 8080}}
    assert "outbound|80||auth.shop.svc.cluster.local" in patches


def test_a_dump_says_what_it_does_not_have() -> None:
    """Reading it gives back which kinds were seen nowhere, and which in some namespaces only."""
    unseen = (NotSeen("nodes"), NotSeen("pods", ("shop", "bank")))
    loaded = load(read_documents((HEADER + item_text(note_of(unseen))).encode(), "dump.yaml"))
    assert (loaded.unseen, loaded.problems, dict(loaded.skipped)) == (unseen, (), {})


@pytest.mark.parametrize(
    "said", ["all", [1], [{"resource": 1}], [{"resource": "a", "seenIn": "b"}], {"a": []}]
)
def test_a_dump_that_somebody_broke_is_a_problem(said: Any) -> None:
    """Silence would pass for having seen everything."""
    note = {**note_of(()), "notSeen": said}
    (problem,) = load([RawObject(note, "dump.yaml", 7)]).problems
    assert str(problem) == (
        "dump.yaml:7: ClusterDump: notSeen: is not what istio-netpol dump writes; make the dump again"
    )
