"""What is read of the ConfigMaps and webhooks that configure a control plane."""

from __future__ import annotations

import json
from typing import Any

import pytest

from istio_netpol.errors import Problem
from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.model.control_plane import (
    InjectionTemplate,
    InjectorConfig,
    MeshConfig,
    RegisteredInjector,
    RevisionTag,
)
from istio_netpol.model.labels import Operator, Requirement, Selector

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
    assert (values, [problem.field for problem in problems]) == ([], [field])


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
    assert all(isinstance(value, RevisionTag) and value.ref.namespace == "" for value in values)
    assert [(value.tag, value.revision) for value in values] == expected


@pytest.mark.parametrize(
    ("labels", "uid", "name", "expected"),
    [
        ({"istio.io/rev": "canary"}, "1", "rev.namespace.sidecar-injector.istio.io", ["canary"]),
        ({"istio.io/rev": "default"}, "1", "namespace.sidecar-injector.istio.io", [""]),
        # A manifest in a folder does not say what else a cluster has.
        ({"istio.io/rev": "canary"}, "", "rev.namespace.sidecar-injector.istio.io", []),
        ({"istio.io/rev": "canary"}, "1", "rev.validation.istio.io", []),
        ({}, "1", "namespace.sidecar-injector.istio.io", []),
    ],
)
def test_registered_injectors_are_read(
    labels: dict[str, str], uid: str, name: str, expected: list[str]
) -> None:
    """A cluster's webhook configuration with an injector's webhook is one, of the revision on its label."""
    content = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "injector", "labels": labels, **({"uid": uid} if uid else {})},
        "webhooks": [{"name": name, "clientConfig": {"url": "https://192.0.2.1/inject"}}],
    }
    values, problems = decode(RawObject(content, "injectors.yaml", 1))
    assert problems == []
    found = [value for value in values if isinstance(value, RegisteredInjector)]
    assert [value.revision for value in found] == expected


PROVIDER = "extensionProviders: [{{name: authz, {kind}: {{service: authz.guard, port: {port}}}}}]"


@pytest.mark.parametrize(
    ("written", "port"),
    [
        ("9000", 9000),
        ('"9000"', 9000),
        ("9000.0", 9000),
        ('"9000.0"', 9000),
        ("9e3", 9000),
        ('"9.0e+3"', 9000),
        ('"65535"', 65535),
    ],
)
def test_numbers_are_read_as_protobuf_writes_them(written: str, port: int) -> None:
    """Istio's own page on external authorization has the port in quotes."""
    (found,), problems = config_map("istio", mesh=PROVIDER.format(kind="envoyExtAuthzGrpc", port=written))
    assert [provider.port for provider in found.extension_providers] == [port]
    assert (found.unread, problems) == ((), [])


@pytest.mark.parametrize(
    ("written", "cause"),
    [
        ('"9000 "', '"9000 " is not a number'),
        ('""', '"" is not a number'),
        ('"+9000"', '"+9000" is not a number'),
        ('"09000"', '"09000" is not a number'),
        ('"0x10"', '"0x10" is not a number'),
        ("http", '"http" is not a number'),
        ("true", "true is not a number"),
        ("[9000]", "[9000] is not a number"),
        ("9000.5", "9000.5 is not a whole number"),
        ('"1e-400"', '"1e-400" is not a whole number'),
        ("-1", "-1 is not from 0 to 4294967295"),
        ('"4294967296"', '"4294967296" is not from 0 to 4294967295'),
        ('"1e999999"', '"1e999999" is not from 0 to 4294967295'),
        ("70000", "70000 is not a port number"),
        ("0", "is not a port number"),
        ("null", "is not a port number"),
    ],
)
def test_an_unreadable_provider_is_told_once_and_spares_the_rest(written: str, cause: str) -> None:
    """No command stops for it, and no other provider is lost."""
    text = PROVIDER.format(kind="envoyExtAuthzGrpc", port=written)
    text = text.replace("[{", "[{name: spans, zipkin: {service: zipkin.guard, port: 9411}}, {")
    (found,), problems = config_map("istio", mesh=text)
    assert [provider.name for provider in found.extension_providers] == ["spans"]
    assert (found.unread_providers, problems) == (("authz",), [])
    (part,) = found.unread
    assert part.field == "data.mesh.extensionProviders[1].envoyExtAuthzGrpc.port"
    assert part.sentence.startswith(f"{cause}, so nothing is judged that names extension provider authz")


@pytest.mark.parametrize(
    "provider",
    ["zipkin: collector", "zipkin: {service: 9411, port: 1}", "zipkin: {service: [], port: 1}"],
)
def test_a_provider_of_another_shape_is_told_once(provider: str) -> None:
    """Whatever stands there."""
    (found,), problems = config_map("istio", mesh=f"extensionProviders: [{{name: spans, {provider}}}]")
    assert (len(found.unread), found.extension_providers, problems) == (1, (), [])


def test_fields_have_two_names() -> None:
    """That of the proto file and the one in camel case, which counts where both are written."""
    snake = """
root_namespace: mesh
trust_domain: old
trustDomain: example
enable_tracing: true
default_config: {discovery_address: "istiod.mesh:15012", tracing: {open_census_agent: {address: "oc:55678"}}}
default_providers: {access_logging: [otel]}
extension_providers: [{name: otel, envoy_otel_als: {service: otel.mesh, port: "4317", http: null}}]
a_field_of_tomorrow: {x: 1}
"""
    (found,), problems = config_map("istio", mesh=snake)
    assert (found.root_namespace, found.trust_domain, found.enable_tracing) == ("mesh", "example", True)
    assert (found.discovery_address, found.tracing_address) == ("istiod.mesh:15012", "oc:55678")
    assert found.default_log_providers == ("otel",)
    assert [(provider.kind, provider.port) for provider in found.extension_providers] == [
        ("envoyOtelAls", 4317)
    ]
    assert (found.unread, problems) == ((), [])


def test_what_is_no_part_of_a_provider_is_told_too() -> None:
    """It counts as absent, and everything else is read."""
    (found,), problems = config_map("istio", mesh="enableTracing: 'yes'\ntrustDomain: example")
    assert (found.trust_domain, found.enable_tracing, problems) == ("example", False, [])
    (part,) = found.unread
    assert (part.field, part.sentence) == (
        "data.mesh.enableTracing",
        '"yes" is a string, not true or false, so it counts as absent',
    )


def test_unreadable_values_of_an_injector_spare_its_config() -> None:
    """As those of the mesh config do."""
    values = json.dumps({"global": {"caAddress": 5}, "sidecarInjectorWebhook": []})
    (found,), problems = config_map("istio-sidecar-injector", config=CONFIG, values=values)
    assert (found.injects, found.ca_address, problems) == (False, "", [])
    assert [part.field for part in found.unread] == [
        "data.values.sidecarInjectorWebhook",
        "data.values.global.caAddress",
    ]


TEMPLATES = """
templates:
  sidecar: |
    metadata:
      labels:
        security.istio.io/tlsMode: {{ index .ObjectMeta.Labels `x` | default "istio" | quote }}
    spec:
      containers:
      - name: istio-proxy
        ports: [{containerPort: 15090}]
  agent: |
    metadata:
      labels:
        {{/* security.istio.io/tlsMode: istio must be set by the user, as must
        name: istio-proxy */}}
        service.istio.io/canonical-name: a
    spec:
      initContainers:
      - image: x
        name: "istio-proxy"
  library: |
    spec:
      initContainers:
      - name: bootstrap
        command: [sh, -c, 'SERVER_URI="dns:///istiod.${ISTIO_NAMESPACE}.svc:15010"']
  hello: "spec: {containers: [{name: istio-proxy-friend}]}"
aliases: {both: [sidecar, hello]}
defaultTemplates: [sidecar, hello]
"""


def test_templates_of_an_injector_are_read_for_what_they_add() -> None:
    """They are no YAML before they are filled in, and what stands in a comment is not added."""
    (found,), problems = config_map("istio-sidecar-injector", config=TEMPLATES)
    assert found.templates == {
        "sidecar": InjectionTemplate(adds_proxy=True, labels_tls=True),
        "agent": InjectionTemplate(adds_proxy=True),
        "library": InjectionTemplate(asks_in_plain=True),
        "hello": InjectionTemplate(),
    }
    assert (found.aliases, found.default_templates, problems) == (
        {"both": ("sidecar", "hello")},
        ("sidecar", "hello"),
        [],
    )
