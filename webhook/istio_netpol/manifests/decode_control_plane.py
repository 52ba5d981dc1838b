"""Decodes the configuration of the control plane: mesh config, injectors and revision tags."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from istio_netpol.errors import Problem
from istio_netpol.manifests.decode_api_extensions import decode_webhooks
from istio_netpol.manifests.decode_selectors import selector_of
from istio_netpol.manifests.fields import Fields
from istio_netpol.manifests.mesh_config_fields import ProtobufFields, tracing_address
from istio_netpol.manifests.yaml_documents import read_text
from istio_netpol.model.api_calls import ApiExtension
from istio_netpol.model.control_plane import (
    INJECTOR_WEBHOOK,
    REVISION_LABEL,
    TAG_LABEL,
    ExtensionProvider,
    IngressMode,
    InjectionTemplate,
    InjectorConfig,
    MeshConfig,
    RegisteredInjector,
    RevisionTag,
    UnreadPart,
)
from istio_netpol.model.labels import Selector
from istio_netpol.model.references import ObjectRef

INJECTOR = "istio-sidecar-injector"
_TEMPLATE_COMMENT = re.compile(r"\{\{-?\s*/\*.*?\*/\s*-?\}\}", re.DOTALL)
_PROXY_CONTAINER = re.compile(r"""^[ -]*name:[ ]*["']?istio-proxy["']?[ ]*$""", re.MULTILINE)


def decode_config_map(fields: Fields, ref: ObjectRef) -> Iterator[MeshConfig | InjectorConfig]:
    """The mesh config of the ConfigMap `istio`, the injector's of `istio-sidecar-injector`, each perhaps with
    `-<revision>`; nothing for other ConfigMaps."""
    data = fields.mapping("data")
    for name, key in ((INJECTOR, "config"), ("istio", "mesh")):
        if (ref.name == name or ref.name.startswith(f"{name}-")) and data.has(key):
            content = _yaml(data, key)
            if content is None:
                return
            labels = fields.mapping("metadata").strings("labels")
            revision = labels.get(REVISION_LABEL, ref.name.removeprefix(name).lstrip("-"))
            revision = "" if revision == "default" else revision
            if key == "mesh":
                yield _mesh_config(data, content, ref, revision)
            else:
                yield from _injector(data, content, ref, revision)
            return


def _yaml(data: Fields, key: str) -> Mapping[str, Any] | None:
    """The mapping that a key's text spells in YAML or JSON; None, and a problem, for any other text."""
    content, problems = read_text(data.document(key))
    for cause in problems:
        data.problem(data.at(key), None, cause)
    if problems:
        return None
    if content is not None and not isinstance(content, dict):
        data.problem(data.at(key), content, "is not a mapping")
        return None
    return content or {}


def _injector(
    data: Fields, content: Mapping[str, Any], ref: ObjectRef, revision: str
) -> Iterator[InjectorConfig]:
    """Written by `istiod-injector-configmap.yaml` of the istiod chart, Istio 1.28."""
    chart = _yaml(data, "values")
    if chart is None:
        return
    problems: list[Problem] = []
    config = data.apart(Fields, content, data.at("config"), problems)
    values = data.apart(Fields, chart, data.at("values"), problems)
    aliases = config.mapping("aliases")
    yield InjectorConfig(
        ref=ref,
        revision=revision,
        injects=config.text("policy", "enabled") == "enabled",
        never=_selectors(config, "neverInjectSelector"),
        always=_selectors(config, "alwaysInjectSelector"),
        enable_namespaces_by_default=values.mapping("sidecarInjectorWebhook").flag(
            "enableNamespacesByDefault"
        ),
        ca_address=values.mapping("global").text("caAddress"),
        templates={name: _template(text) for name, text in config.strings("templates").items()},
        aliases={name: aliases.texts(name) for name in aliases.content},
        default_templates=config.texts("defaultTemplates"),
        unread=_unread(problems),
    )


def _template(text: str) -> InjectionTemplate:
    """What a template adds for sure. It is not YAML before it is filled in."""
    said = _TEMPLATE_COMMENT.sub("", text)
    return InjectionTemplate(
        adds_proxy=_PROXY_CONTAINER.search(said) is not None,
        asks_in_plain=":15010" in said,
        labels_tls="security.istio.io/tlsMode:" in said,
    )


def _selectors(config: Fields, name: str) -> tuple[Selector, ...]:
    """Label selectors; an empty one selects nothing here (`injectRequired` in `inject.go`)."""
    found = (selector_of(entry) for entry in config.mappings(name))
    return tuple(selector for selector in found if not selector.is_everything)


def decode_mutating_webhook(
    fields: Fields, ref: ObjectRef
) -> Iterator[RevisionTag | RegisteredInjector | ApiExtension]:
    """The injector of a revision that a cluster has registered, or the tag that `istioctl tag` or the chart's
    `revisionTags` gives to one, and whom the API server calls for it."""
    metadata = fields.mapping("metadata")
    labels = metadata.strings("labels")
    tag, revision = labels.get(TAG_LABEL), labels.get(REVISION_LABEL)
    if revision:
        revision = "" if revision == "default" else revision
        if tag:
            yield RevisionTag(ref, tag, revision)
        elif metadata.has("uid") and _asks_an_injector(fields):
            yield RegisteredInjector(ref, revision)
    yield from decode_webhooks(fields, ref)


def _asks_an_injector(fields: Fields) -> bool:
    """Whether istiod would write its certificate into one of the webhooks
    (`pilot/pkg/bootstrap/sidecarinjector.go`, Istio 1.32)."""
    return any(entry.text("name").endswith(INJECTOR_WEBHOOK) for entry in fields.mappings("webhooks"))


def _mesh_config(data: Fields, content: Mapping[str, Any], ref: ObjectRef, revision: str) -> MeshConfig:
    """Read as istiod reads it (`ApplyMeshConfig` in `pkg/config/mesh/mesh.go`, Istio 1.31)."""
    problems: list[Problem] = []
    mesh = data.apart(ProtobufFields, content, data.at("mesh"), problems)
    providers, unread = _providers(mesh)
    proxy = mesh.mapping("defaultConfig")
    return MeshConfig(
        ref=ref,
        revision=revision,
        root_namespace=mesh.text("rootNamespace"),
        trust_domain=mesh.text("trustDomain", "cluster.local"),
        trust_domain_aliases=mesh.texts("trustDomainAliases"),
        discovery_address=proxy.text("discoveryAddress"),
        enable_tracing=mesh.flag("enableTracing"),
        tracing_address=tracing_address(proxy),
        default_tracing_providers=mesh.mapping("defaultProviders").texts("tracing"),
        extension_providers=providers,
        default_log_providers=mesh.mapping("defaultProviders").texts("accessLogging"),
        ingress_mode=_ingress_mode(mesh),
        ingress_class=mesh.text("ingressClass", "istio"),
        ingress_service=mesh.text("ingressService", "istio-ingressgateway"),
        ingress_selector=mesh.text("ingressSelector"),
        outbound_policy=_outbound_policy(mesh),
        auto_mtls=mesh.flag("enableAutoMtls", True),
        unread=(*_unread(problems), *unread.values()),
        unread_providers=tuple(unread),
    )


def _outbound_policy(mesh: ProtobufFields) -> str:
    """`outboundTrafficPolicy.mode`, by its name or its number in `mesh/v1alpha1/config.proto` (istio/api
    1.31); ALLOW_ANY where nothing is said (`DefaultMeshConfig` in `pkg/config/mesh/mesh.go`, Istio 1.31)."""
    modes = {0: "REGISTRY_ONLY", 1: "ALLOW_ANY", 3: "ALLOW_ANY_DYNAMIC_DNS"}
    said = mesh.mapping("outboundTrafficPolicy").integer_or_text("mode")
    if said is None:
        return "ALLOW_ANY"
    return modes.get(said, "") if isinstance(said, int) else said


def _ingress_mode(mesh: ProtobufFields) -> IngressMode:
    """The mode, by its name or its number in `mesh/v1alpha1/config.proto` (istio/api 1.31)."""
    modes = {1: IngressMode.OFF, 2: IngressMode.DEFAULT, 3: IngressMode.STRICT}
    modes_by_name = {mode.value: mode for mode in IngressMode}
    said = mesh.integer_or_text("ingressControllerMode")
    if said in (None, 0, "UNSPECIFIED"):
        return IngressMode.STRICT
    found = modes.get(said) if isinstance(said, int) else modes_by_name.get(str(said))
    if found is None:
        mesh.problem(mesh.at("ingressControllerMode"), said, "is not a mode", "use OFF, DEFAULT or STRICT")
    return found or IngressMode.STRICT


def _providers(mesh: ProtobufFields) -> tuple[tuple[ExtensionProvider, ...], dict[str, UnreadPart]]:
    """The providers that open connections, and by name those that can't be read, each with one problem."""
    found: list[ExtensionProvider] = []
    unread: dict[str, UnreadPart] = {}
    for entry in mesh.mappings("extensionProviders"):
        problems: list[Problem] = []
        own = entry.apart(ProtobufFields, entry.content, entry.path, problems)
        name = own.text("name")
        found_here = list(_provider(own, name))
        if problems:
            unread[name] = _part(problems[0], f"so nothing is judged that names extension provider {name}")
        else:
            found += found_here
    return tuple(found), unread


def _provider(entry: ProtobufFields, name: str) -> Iterator[ExtensionProvider]:
    """The one kind of provider that an entry is; those without a Service open no connection."""
    for kind in [kind for kind in entry.content if kind != "name"]:
        provider = entry.mapping(kind)
        service = provider.text("service")
        if service:
            port = provider.integer("port")
            if not 1 <= port <= 65535:
                provider.problem(provider.at("port"), port or None, "is not a port number", "use 1 to 65535")
            yield ExtensionProvider(name, kind, service, port)


def _unread(problems: list[Problem]) -> tuple[UnreadPart, ...]:
    return tuple(_part(problem, "so it counts as absent") for problem in dict.fromkeys(problems))


def _part(problem: Problem, consequence: str) -> UnreadPart:
    """The sentence on one mistake in a configuration, of which the rest is read."""
    said = f"{problem.value} {problem.cause}" if problem.value else problem.cause
    remedy = f"; {problem.remedy}" if problem.remedy else ""
    return UnreadPart(problem.field or "", f"{said}, {consequence}{remedy}")
