"""Reads Istio's ProxyConfig, of the mesh config or of a pod's own annotation."""

from __future__ import annotations

from istio_netpol.manifests.fields import Fields
from istio_netpol.manifests.protobuf_fields import ProtobufFields
from istio_netpol.manifests.yaml_documents import read_text
from istio_netpol.model.mesh_names import PROXY_CONFIG_ANNOTATION

_TRACERS = ("zipkin", "lightstep", "datadog", "openCensusAgent")


def tracing_address(proxy_config: ProtobufFields) -> str:
    """`tracing.<backend>.address`, `host:port`; empty where none is named."""
    tracing = proxy_config.mapping("tracing")
    addresses = (tracing.mapping(name).text("address") for name in _TRACERS)
    return next(filter(None, addresses), "")


def annotated_tracing_address(metadata: Fields, annotations: dict[str, str]) -> str:
    """The same of a pod's annotation, which is YAML; empty where that can't be read, since the injector then
    refuses the pod."""
    text = annotations.get(PROXY_CONFIG_ANNOTATION, "")
    if "tracing" not in text:
        return ""
    content, problems = read_text(text)
    if problems or not isinstance(content, dict):
        return ""
    return tracing_address(metadata.apart(ProtobufFields, content, metadata.at("annotations"), []))
