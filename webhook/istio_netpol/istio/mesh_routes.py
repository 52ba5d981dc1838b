"""VirtualServices as sidecars apply them: where a client's traffic for a host really goes."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.istio.view.names import is_exported
from istio_netpol.istio.virtual_services import MESH, Leg, legs_of
from istio_netpol.model.mesh import VirtualService
from istio_netpol.state.indexes import Index


def mesh_legs(view: MeshView, host: str, namespace: str) -> tuple[Leg, ...]:
    """Where VirtualServices send what sidecars of a namespace address to the host; nothing where none has a
    route for it.

    Heeded are those of the namespace itself, of the namespace of the Service that the host is, and of
    administrators: no other tenant says where a client connects.
    """
    return tuple(
        leg
        for service in _exported(view, host, namespace)
        if _is_heeded(service, host, namespace, view)
        for leg in _legs(service, view)
    )


def unheeded_routes(view: MeshView, host: str, namespace: str) -> tuple[VirtualService, ...]:
    """The VirtualServices of other tenants that sidecars of the namespace follow for the host, and that are
    not heeded here."""
    return tuple(
        service
        for service in _exported(view, host, namespace)
        if not _is_heeded(service, host, namespace, view) and any(_legs(service, view))
    )


def _exported(view: MeshView, host: str, namespace: str) -> Iterator[VirtualService]:
    for service in _routing(view, host.rstrip(".").lower()):
        if is_exported(service.export_to, service.ref.namespace, namespace):
            yield service


def _is_heeded(service: VirtualService, host: str, namespace: str, view: MeshView) -> bool:
    home = service.ref.namespace
    return home in {namespace, view.home_of_service(host, namespace)} or home in view.trusted_namespaces


def _legs(service: VirtualService, view: MeshView) -> Iterator[Leg]:
    for leg in legs_of(service, view):
        if isinstance(leg, Leg) and MESH in leg.gateways:
            yield leg


def _routing(view: MeshView, host: str) -> Iterator[VirtualService]:
    """The VirtualServices with the host among theirs; they may write a Service of their namespace by name."""
    in_full = f".svc.{view.settings.mesh.cluster_domain}"
    written = (host, f"{host.removesuffix(in_full)}.svc") if host.endswith(in_full) else (host,)
    return view.by_key(VIRTUAL_SERVICE_HOSTS, *written)


def _hosts_of(service: VirtualService) -> Iterator[str]:
    """The hosts as `_routing` looks for them: a name without a dot is a Service of the namespace."""
    for written in service.hosts:
        host = written.rstrip(".").lower()
        yield host if "." in host or host == "*" else f"{host}.{service.ref.namespace}.svc"


VIRTUAL_SERVICE_HOSTS = Index("virtual-service-hosts", VirtualService, _hosts_of)
