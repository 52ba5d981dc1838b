"""Finds extension providers of the mesh config: what a proxy connects to for external authorization or
tracing."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.hbone import reached
from istio_netpol.istio.view.backends import Backend
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.control_plane import ExtensionProvider
from istio_netpol.model.istio_networking import ServiceEntry
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload


def find_provider(view: MeshView, client: Workload, name: str) -> ExtensionProvider | None:
    """The provider of that name in the mesh config of the client's revision."""
    config = view.mesh_config(view.injection(client).revision)
    providers = config.extension_providers if config else ()
    return next((provider for provider in providers if provider.name == name), None)


def missing_provider(view: MeshView, client: Workload, name: str) -> str:
    """A sentence on a provider that `find_provider` did not find; empty where it can't be read, which is told
    of the mesh config."""
    config = view.mesh_config(view.injection(client).revision)
    if config is not None and name in config.unread_providers:
        return ""
    if config is None:
        return (
            "the input holds no mesh config (ConfigMap istio), so nobody can tell where extension provider "
            f"{name} is; add it"
        )
    return (
        f"the mesh config has no extension provider {name} that opens connections; add it, or correct the "
        "name"
    )


def provider_backends(view: MeshView, client: Workload, provider: ExtensionProvider) -> Iterator[Backend]:
    """What answers for a provider, as the client's packets reach it. `service` is `[namespace/]host`."""
    namespace, _, host = provider.service.rpartition("/")
    yield from host_backends(view, client, host, provider.port, namespace)


def host_backends(
    view: MeshView, client: Workload, host: str, port: int, namespace: str = ""
) -> Iterator[Backend]:
    """What answers at a host and port of mesh config, which names resolve from the root namespace unless
    another is given."""
    home = namespace or view.root_namespace
    target = view.resolve_host(host, home)
    if isinstance(target, Service):
        for backend in view.backends(target, port):
            yield from reached(view, client, target, backend)
    elif isinstance(target, ServiceEntry):
        for backend in view.entry_backends(target, port):
            yield from reached(view, client, target, backend)
    else:
        for backend in view.address_backends(host, home, port):
            yield from reached(view, client, backend.service, backend)
