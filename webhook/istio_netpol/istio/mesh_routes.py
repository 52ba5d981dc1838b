"""VirtualServices as sidecars apply them: where a client's traffic for a host really goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from istio_netpol.istio.hosts import is_exported
from istio_netpol.istio.virtual_services import MESH, Leg, legs_of
from istio_netpol.model.mesh import VirtualService
from istio_netpol.model.shard import Shard

if TYPE_CHECKING:
    from istio_netpol.istio.mesh_view import MeshView


def mesh_legs(view: MeshView, host: str, namespace: str) -> tuple[Leg, ...]:
    """Where VirtualServices send what sidecars of a namespace address to the host; nothing where none has a
    route for it."""
    view.depends_on("VirtualService")
    return tuple(
        leg
        for service in _routing(view, host.rstrip(".").lower())
        if is_exported(service.export_to, service.ref.namespace, namespace)
        for leg in legs_of(service, view)
        if isinstance(leg, Leg) and MESH in leg.gateways
    )


def _routing(view: MeshView, host: str) -> Iterator[VirtualService]:
    """The VirtualServices with the host among theirs; they may write a Service of their namespace by name."""
    in_full = f".svc.{view.settings.mesh.cluster_domain}"
    written = (host, f"{host.removesuffix(in_full)}.svc") if host.endswith(in_full) else (host,)
    return view.snapshot.by_name("virtual-service-hosts", (VirtualService,), _by_host, written)


def _by_host(shard: Shard) -> Mapping[str, Sequence[VirtualService]]:
    found: dict[str, list[VirtualService]] = {}
    for each in shard.of_type(VirtualService):
        for host in each.hosts:
            key = host.rstrip(".").lower()
            key = key if "." in key or key == "*" else f"{key}.{each.ref.namespace}.svc"
            found.setdefault(key, []).append(each)
    return found
