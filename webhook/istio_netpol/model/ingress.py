"""Ingresses and their classes (networking.k8s.io), as far as a flow depends on them."""

from __future__ import annotations

from msgspec import Struct

from istio_netpol.model.references import ObjectRef
from istio_netpol.model.request_matching import ANY_TEXT, TextMatch


class IngressBackend(Struct, frozen=True):
    """The Service behind a path, by the number or the name of its port; None where it names neither. `field`
    is its path below the object, `resource` the kind of another object that stands there instead. `host` is
    that of its rule, empty where it is for all."""

    service: str
    port: int | str | None = None
    field: str = ""
    resource: str = ""
    host: str = ""
    path: TextMatch = ANY_TEXT


class Ingress(Struct, frozen=True, eq=False):
    """`annotated` is the value of `kubernetes.io/ingress.class`, None without the annotation. `ends_tls` says
    that a certificate is named, `has_default` that there is a `defaultBackend`."""

    ref: ObjectRef
    class_name: str = ""
    annotated: str | None = None
    backends: tuple[IngressBackend, ...] = ()
    ends_tls: bool = False
    has_default: bool = False


class IngressClass(Struct, frozen=True, eq=False):
    """A class of Ingresses: `controller` is `spec.controller`, which says whose they are."""

    ref: ObjectRef
    controller: str
