"""ExternalName Services as Istio's routes see them: one more name of what its registry holds.

Istio makes no cluster for a host that the registry does not hold. A route to it answers 503, or 500 if it is
an HTTPRoute, and connects to nobody, whatever DNS says of the host. A client without such a route asks DNS.

Source: `resolveServiceAliases` in `pilot/pkg/model/push_context.go`, Istio 1.31; seen on a running mesh.
"""

from __future__ import annotations

from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.istio_networking import ServiceEntry
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Service


def aliased(
    service: Service, namespace: str, view: MeshView, authors: tuple[str, ...] = ()
) -> tuple[Service | ServiceEntry | None, tuple[str, ...]]:
    """The end of a chain of ExternalNames, None for a ring and for a host that Istio does not know by just
    that name; and the namespaces of the Services that lead there. `authors` are as in
    `MeshView.resolve_host`."""
    seen: dict[ObjectRef, None] = {}
    while service.external_name and service.ref not in seen:
        seen[service.ref] = None
        host = service.external_name.rstrip(".").lower()
        homes = tuple(dict.fromkeys(ref.namespace for ref in seen))
        target = view.resolve_host(host, namespace, (*authors, *homes))
        if isinstance(target, ServiceEntry):
            return (target if host in target.hosts else None), homes
        if target is None or host != view.service_host(target):
            return None, homes
        service = target
    homes = tuple(dict.fromkeys(ref.namespace for ref in seen))
    return (None if service.external_name else service), homes


def no_such_alias(service: Service) -> str:
    """What a finding says of an ExternalName that leads nowhere."""
    return (
        f"{service.ref} is another name for {service.external_name}, a host that Istio does not know, so it "
        "routes there nowhere; add a ServiceEntry for the host, or name a Service in full"
    )
