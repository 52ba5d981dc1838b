"""Ingresses and their classes (networking.k8s.io), as far as a flow depends on them."""

from __future__ import annotations

from istio_netpol.lazy_dataclass import dataclass
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.request_matching import ANY_TEXT, TextMatch


@dataclass(frozen=True, slots=True)
class IngressBackend:
    """The Service behind a path, by the number or the name of its port; None where it names neither. `field`
    is its path below the object, `resource` the kind of another object that stands there instead. `host` is
    that of its rule, empty where it is for all."""

    service: str
    port: int | str | None = None
    field: str = ""
    resource: str = ""
    host: str = ""
    path: TextMatch = ANY_TEXT


@dataclass(frozen=True, slots=True, eq=False)
class Ingress:
    """`annotated` is the value of `kubernetes.io/ingress.class`, None without the annotation. `ends_tls` says
    that a certificate is named, `has_default` that there is a `defaultBackend`."""

    ref: ObjectRef
    class_name: str = ""
    annotated: str | None = None
    backends: tuple[IngressBackend, ...] = ()
    ends_tls: bool = False
    has_default: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class IngressClass:
    """A class of Ingresses: `controller` is `spec.controller`, which says whose they are."""

    ref: ObjectRef
    controller: str
