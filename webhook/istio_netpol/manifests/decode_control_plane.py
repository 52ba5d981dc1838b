"""Decodes what the control plane is configured with: mesh config, injectors, and revision tags."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.manifests.decode_api_extensions import decode_webhooks
from istio_netpol.manifests.decode_core import port_number
from istio_netpol.manifests.decode_selectors import selector_of
from istio_netpol.manifests.fields import Fields
from istio_netpol.manifests.yaml_documents import read_text
from istio_netpol.model.api_calls import ApiExtension
from istio_netpol.model.labels import Selector
from istio_netpol.model.mesh import ExtensionProvider, InjectorConfig, MeshConfig, RevisionTag
from istio_netpol.model.references import ObjectRef

INJECTOR = "istio-sidecar-injector"
REVISION_LABEL = "istio.io/rev"
TAG_LABEL = "istio.io/tag"


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
                yield _mesh_config(content, ref, revision)
            else:
                yield _injector(content, _yaml(data, "values"), ref, revision)
            return


def _yaml(data: Fields, key: str) -> Fields | None:
    """The mapping that a key's text spells in YAML or JSON; None, and a problem, where it spells none."""
    content, problems = read_text(data.text(key))
    for cause in problems:
        data.problem(data.at(key), None, cause)
    if problems:
        return None
    if content is not None and not isinstance(content, dict):
        data.problem(data.at(key), content, "is no mapping")
        return None
    return data.nested(content or {}, data.at(key))


def _injector(config: Fields, values: Fields | None, ref: ObjectRef, revision: str) -> InjectorConfig:
    """Written by `istiod-injector-configmap.yaml` of the istiod chart, Istio 1.28."""
    chosen = values.mapping("sidecarInjectorWebhook") if values else config.nested({}, "")
    return InjectorConfig(
        ref=ref,
        revision=revision,
        injects=config.text("policy", "enabled") == "enabled",
        never=_selectors(config, "neverInjectSelector"),
        always=_selectors(config, "alwaysInjectSelector"),
        enable_namespaces_by_default=chosen.flag("enableNamespacesByDefault"),
        ca_address=values.mapping("global").text("caAddress") if values else "",
    )


def _selectors(config: Fields, name: str) -> tuple[Selector, ...]:
    """Label selectors; an empty one selects nothing here (`injectRequired` in `inject.go`)."""
    found = (selector_of(each) for each in config.mappings(name))
    return tuple(each for each in found if not each.is_everything)


def decode_mutating_webhook(fields: Fields, ref: ObjectRef) -> Iterator[RevisionTag | ApiExtension]:
    """The tag that a webhook configuration of `istioctl tag` or of the chart's `revisionTags` gives to a
    revision, and whom the API server calls for it."""
    labels = fields.mapping("metadata").strings("labels")
    tag, revision = labels.get(TAG_LABEL), labels.get(REVISION_LABEL)
    if tag and revision:
        yield RevisionTag(ref, tag, "" if revision == "default" else revision)
    yield from decode_webhooks(fields, ref)


def _mesh_config(mesh: Fields, ref: ObjectRef, revision: str) -> MeshConfig:
    proxy = mesh.mapping("defaultConfig")
    tracing = proxy.mapping("tracing")
    backends = ("zipkin", "lightstep", "datadog", "openCensusAgent")
    addresses = [tracing.mapping(name).text("address") for name in backends]
    return MeshConfig(
        ref=ref,
        revision=revision,
        root_namespace=mesh.text("rootNamespace"),
        trust_domain=mesh.text("trustDomain", "cluster.local"),
        trust_domain_aliases=mesh.texts("trustDomainAliases"),
        discovery_address=proxy.text("discoveryAddress"),
        enable_tracing=mesh.flag("enableTracing"),
        tracing_address=next(filter(None, addresses), ""),
        default_tracing_providers=mesh.mapping("defaultProviders").texts("tracing"),
        extension_providers=tuple(_providers(mesh)),
        default_log_providers=mesh.mapping("defaultProviders").texts("accessLogging"),
    )


def _providers(mesh: Fields) -> Iterator[ExtensionProvider]:
    for entry in mesh.mappings("extensionProviders"):
        for kind in entry.content:
            if kind != "name" and isinstance(entry.content[kind], dict):
                provider = entry.mapping(kind)
                if provider.text("service"):
                    yield ExtensionProvider(
                        entry.text("name"), kind, provider.text("service"), port_number(provider, "port")
                    )
