"""The names of Istio and of the Gateway API that more than one part reads: labels, annotations, groups."""

from __future__ import annotations

REVISION_LABEL = "istio.io/rev"
"""On namespaces and pods: the revision, or a tag of it, that injects; on istiod and its ConfigMaps:
theirs."""

TAG_LABEL = "istio.io/tag"
"""On webhook configurations: the tag that `istioctl tag` gives to a revision."""

INJECTION_LABEL = "istio-injection"
"""On namespaces: `enabled`, or `disabled`."""

AMBIENT_LABEL = "istio.io/dataplane-mode"
"""On namespaces and pods: `ambient`, or `none` to stay out."""

TEMPLATES_ANNOTATION = "inject.istio.io/templates"
"""On pods: the templates of the injector that they get; gateways may have it as a label."""

PROXY_CONFIG_ANNOTATION = "proxy.istio.io/config"
"""On pods: their own ProxyConfig, as YAML."""

INJECTOR_WEBHOOK = "sidecar-injector.istio.io"
"""How the names of webhooks that inject end (istiod-injector-configmap.yaml of the chart, Istio 1.31)."""

GATEWAY_API_GROUP = "gateway.networking.k8s.io"
