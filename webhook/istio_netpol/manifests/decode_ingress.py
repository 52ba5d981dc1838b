"""Decodes Ingresses and IngressClasses (networking.k8s.io)."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.manifests.decode_core import port_number
from istio_netpol.manifests.fields import Fields
from istio_netpol.model.ingress import Ingress, IngressBackend, IngressClass
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.request_matching import ANY_TEXT, TextKind, TextMatch

CLASS_ANNOTATION = "kubernetes.io/ingress.class"


def decode_ingress_class(fields: Fields, ref: ObjectRef) -> Iterator[IngressClass]:
    """An IngressClass."""
    yield IngressClass(ref, fields.mapping("spec").text("controller"))


def decode_ingress(fields: Fields, ref: ObjectRef) -> Iterator[Ingress]:
    """An Ingress."""
    spec = fields.mapping("spec")
    paths = (
        (path, rule.text("host"))
        for rule in spec.mappings("rules")
        for path in rule.mapping("http").mappings("paths")
    )
    yield Ingress(
        ref=ref,
        class_name=spec.text("ingressClassName"),
        annotated=fields.mapping("metadata").strings("annotations").get(CLASS_ANNOTATION),
        backends=tuple(_backend(path, host) for path, host in paths),
        ends_tls=bool([name for entry in spec.mappings("tls") if (name := entry.text("secretName"))]),
        has_default=spec.has("defaultBackend"),
    )


def _backend(path: Fields, host: str) -> IngressBackend:
    fields = path.mapping("backend")
    service, port = fields.mapping("service"), fields.mapping("service").mapping("port")
    number = port_number(port, "number")
    return IngressBackend(
        service=service.text("name"),
        port=number or port.text("name") or None,
        field=fields.path,
        resource=fields.mapping("resource").text("kind"),
        host=host,
        path=_path(path.text("pathType"), path.text("path")),
    )


def _path(kind: str, value: str) -> TextMatch:
    """What a path matches as Istio reads it: of a kind of its own it is exact, unless it ends in a wildcard
    (`createFallbackStringMatch` in `pilot/pkg/config/kube/ingress/virtualservices.go`, Istio 1.31)."""
    if kind == "Prefix":
        return TextMatch(TextKind.ELEMENTS, value.removesuffix("/") or "/")
    if kind == "Exact":
        return TextMatch(TextKind.EXACT, value)
    if value in ("", "*", "/*", ".*"):
        return ANY_TEXT
    for wildcard in (".*", "/*"):
        if value.endswith(wildcard):
            return TextMatch(TextKind.ELEMENTS, value.removesuffix(wildcard).removesuffix("/") or "/")
    return TextMatch(TextKind.EXACT, value)
