"""What is read of the ConfigMaps and webhooks that configure a control plane."""

from __future__ import annotations

import json
from typing import Any

import pytest

from istio_netpol.errors import Problem
from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.model.labels import Operator, Requirement, Selector
from istio_netpol.model.mesh import InjectorConfig, MeshConfig, RevisionTag

VALUES = {
    "global": {"caAddress": "csr.cert-manager.svc:443"},
    "sidecarInjectorWebhook": {"enableNamespacesByDefault": True},
}
CONFIG = """
policy: disabled
neverInjectSelector: [{matchExpressions: [{key: job-name, operator: Exists}]}, {}]
alwaysInjectSelector: [{matchLabels: {mesh: always}}]
"""


def config_map(
    name: str, labels: dict[str, str] | None = None, **data: str
) -> tuple[list[Any], list[Problem]]:
    metadata = {"name": name, "namespace": "istio-system", "labels": labels or {}}
    content = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    return decode(RawObject(content, "istio.yaml", 1))


def test_injector_is_read() -> None:
    """Its selectors, its policy, and the values that templates use."""
    (found,), problems = config_map("istio-sidecar-injector", config=CONFIG, values=json.dumps(VALUES))
    assert (isinstance(found, InjectorConfig), problems) == (True, [])
    assert (found.revision, found.injects, found.enable_namespaces_by_default) == ("", False, True)
    assert found.ca_address == "csr.cert-manager.svc:443"
    assert found.never == (Selector(match_expressions=(Requirement("job-name", Operator.EXISTS),)),)
    assert found.always == (Selector.of({"mesh": "always"}),)


def test_injector_without_values_has_defaults() -> None:
    """A ConfigMap written by hand needs no more than a config."""
    (found,), problems = config_map("istio-sidecar-injector", config="policy: enabled")
    assert (found.injects, found.enable_namespaces_by_default, found.ca_address) == (True, False, "")
    assert problems == []


@pytest.mark.parametrize(
    ("name", "labels", "revision"),
    [
        ("istio-sidecar-injector", {"istio.io/rev": "default"}, ""),
        ("istio-sidecar-injector-1-28", {}, "1-28"),
        ("istio-sidecar-injector-1-28", {"istio.io/rev": "1-28-0"}, "1-28-0"),
    ],
)
def test_injector_has_the_revision_of_its_label_or_name(
    name: str, labels: dict[str, str], revision: str
) -> None:
    """Each revision has an injector of its own."""
    (found,), _ = config_map(name, labels, config="{}")
    assert found.revision == revision


def test_mesh_config_is_no_injector() -> None:
    """The ConfigMaps share a prefix, and are told apart by their keys."""
    (found,), _ = config_map("istio-1-28", mesh="trustDomain: example")
    assert isinstance(found, MeshConfig)
    assert (found.revision, found.trust_domain) == ("1-28", "example")
    assert config_map("istio-ca-root-cert", **{"root-cert.pem": "x"}) == ([], [])
    assert config_map("kube-root", config="{}") == ([], [])


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"config": "a: [", "values": "{}"}, "data.config"),
        ({"config": "{}", "values": "["}, "data.values"),
        ({"config": "[]", "values": "{}"}, "data.config"),
    ],
)
def test_broken_texts_are_told(data: dict[str, str], field: str) -> None:
    """What istiod could not read either names the key."""
    values, problems = config_map("istio-sidecar-injector", **data)
    assert (values, [each.field for each in problems]) == ([], [field])


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"istio.io/tag": "prod", "istio.io/rev": "1-28"}, [("prod", "1-28")]),
        ({"istio.io/tag": "prod", "istio.io/rev": "default"}, [("prod", "")]),
        ({"istio.io/rev": "1-28"}, []),
        ({}, []),
    ],
)
def test_tags_are_read(labels: dict[str, str], expected: list[tuple[str, str]]) -> None:
    """A webhook configuration with both labels makes a name stand for a revision."""
    content = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "istio-revision-tag-prod", "labels": labels},
    }
    values, problems = decode(RawObject(content, "tags.yaml", 1))
    assert problems == []
    assert all(isinstance(each, RevisionTag) and each.ref.namespace == "" for each in values)
    assert [(each.tag, each.revision) for each in values] == expected
