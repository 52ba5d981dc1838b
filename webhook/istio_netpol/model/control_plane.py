"""The configuration of a mesh's control plane, as far as a flow depends on it: mesh config, injectors and
tags, and the labels and annotations by which namespaces and pods choose among them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field

from istio_netpol.model.labels import Selector
from istio_netpol.model.references import ObjectRef

REVISION_LABEL = "istio.io/rev"
"""On namespaces and pods: the revision, or a tag of it, that injects; on istiod and its ConfigMaps:
theirs."""

TAG_LABEL = "istio.io/tag"
"""On webhook configurations: the tag that `istioctl tag` gives to a revision."""

INJECTION_LABEL = "istio-injection"
"""On namespaces: `enabled`, or `disabled`."""

AMBIENT_LABEL = "istio.io/dataplane-mode"
"""On namespaces and pods: `ambient`, or `none` to stay out."""

STATUS_ANNOTATION = "sidecar.istio.io/status"
"""What the injector writes on every pod that it was asked about, with what it added."""

TEMPLATES_ANNOTATION = "inject.istio.io/templates"
"""On pods: the templates of the injector that they get; gateways may have it as a label."""

PROXY_CONFIG_ANNOTATION = "proxy.istio.io/config"
"""On pods: their own ProxyConfig, as YAML."""

INJECTOR_WEBHOOK = "sidecar-injector.istio.io"
"""How the names of webhooks that inject end (istiod-injector-configmap.yaml of the chart, Istio 1.31)."""


class UnreadPart(Struct, frozen=True):
    """A field of a configuration that can't be read, by its path, and what is wrong with it: the rest
    holds."""

    field: str
    sentence: str


class ExtensionProvider(Struct, frozen=True):
    """A mesh config extension provider that opens a connection: `kind` is envoyExtAuthzGrpc,
    opentelemetry, zipkin …"""

    name: str
    kind: str
    service: str
    port: int


class IngressMode(StrEnum):
    """Which Ingresses are Istio's (`ingressControllerMode`): none, those of its class, or those without a
    class too."""

    OFF = "OFF"
    STRICT = "STRICT"
    DEFAULT = "DEFAULT"


class MeshConfig(Struct, frozen=True, eq=False):
    """What flows depend on in the `mesh` key of the ConfigMap `istio` (or `istio-<revision>`).

    `tracing_address` is `defaultConfig.tracing.<backend>.address`; `discovery_address` is
    `defaultConfig.discoveryAddress`. `unread_providers` are the names of extension providers that can't be
    read. `outbound_policy` is what proxies do with hosts that they don't know, `auto_mtls` whether they find
    out by themselves who takes mutual TLS.
    """

    ref: ObjectRef
    revision: str = ""
    root_namespace: str = ""
    trust_domain: str = "cluster.local"
    discovery_address: str = ""
    enable_tracing: bool = False
    tracing_address: str = ""
    default_tracing_providers: tuple[str, ...] = ()
    extension_providers: tuple[ExtensionProvider, ...] = ()
    trust_domain_aliases: tuple[str, ...] = ()
    default_log_providers: tuple[str, ...] = ()
    unread: tuple[UnreadPart, ...] = ()
    unread_providers: tuple[str, ...] = ()
    ingress_mode: IngressMode = IngressMode.STRICT
    ingress_class: str = "istio"
    ingress_service: str = "istio-ingressgateway"
    ingress_selector: str = ""
    outbound_policy: str = "ALLOW_ANY"
    auto_mtls: bool = True


class InjectionTemplate(Struct, frozen=True):
    """What a template adds to pods: a container `istio-proxy`, a gRPC library's bootstrap that asks istiod
    without TLS, the label `security.istio.io/tlsMode`."""

    adds_proxy: bool = False
    asks_in_plain: bool = False
    labels_tls: bool = False


class InjectorConfig(Struct, frozen=True, eq=False):
    """The ConfigMap `istio-sidecar-injector` (or `istio-sidecar-injector-<revision>`).

    `injects` is False where its policy is `disabled`: then only pods that ask are injected. `never` and
    `always` are its selectors for pods that say nothing. `ca_address`, `host:port`, is who signs the proxies'
    certificates, empty where istiod does. `templates` are those that it has, `aliases` names for several of
    them, `default_templates` those of pods that name none.
    """

    ref: ObjectRef
    revision: str = ""
    injects: bool = True
    never: tuple[Selector, ...] = ()
    always: tuple[Selector, ...] = ()
    enable_namespaces_by_default: bool = False
    ca_address: str = ""
    templates: Mapping[str, InjectionTemplate] = field(default_factory=dict)
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    default_templates: tuple[str, ...] = ()
    unread: tuple[UnreadPart, ...] = ()


class RevisionTag(Struct, frozen=True, eq=False):
    """A MutatingWebhookConfiguration that lets the name `tag` stand for a revision."""

    ref: ObjectRef
    tag: str
    revision: str


class RegisteredInjector(Struct, frozen=True, eq=False):
    """A MutatingWebhookConfiguration by which a cluster's API server asks the injector of a revision; it was
    read from a cluster, so the cluster's other injectors are in the input too."""

    ref: ObjectRef
    revision: str
