"""Finds extension providers of the mesh config, to which proxies connect for authorization, traces and logs;
and which Telemetry chooses them.

Of the Telemetry objects that concern a proxy the most specific one with the section in question decides: its
own, its namespace's, the root namespace's (istio.io/latest/docs/reference/config/telemetry/, Istio 1.28).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from istio_netpol.istio.hbone import reached
from istio_netpol.istio.policy_attachment import enforcing_proxies
from istio_netpol.istio.view.backends import Backend
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.control_plane import ExtensionProvider, MeshConfig
from istio_netpol.model.istio_networking import ServiceEntry
from istio_netpol.model.istio_security import Telemetry
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


Section = Callable[[Telemetry], bool]
"""Whether a Telemetry has the section that a rule is about."""


def decided_by(subject: Telemetry | MeshConfig, section: Section, view: MeshView) -> list[Workload]:
    """The proxies for which this object decides; a mesh config decides where no Telemetry does."""
    if isinstance(subject, MeshConfig):
        own = (
            candidate
            for candidate in _proxies(view)
            if view.mesh_config(view.injection(candidate).revision) is subject
        )
        return [telemetry for telemetry in own if not applicable(telemetry, section, view)]
    if not section(subject):
        return []
    return [
        candidate
        for candidate in enforcing_proxies(view, subject)
        if next(iter(applicable(candidate, section, view)), None) is subject
    ]


def _proxies(view: MeshView) -> Iterator[Workload]:
    for pod in view.every_workload():
        if view.injection(pod).injected or view.is_gateway(pod):
            yield pod


def applicable(proxy: Workload, section: Section, view: MeshView) -> tuple[Telemetry, ...]:
    """The Telemetry objects with the section that concern a proxy, the most specific first."""
    own = _in(view, proxy.namespace, section)
    root = () if proxy.namespace == view.root_namespace else _in(view, view.root_namespace, section)
    selecting = [telemetry for telemetry in own if _targets(telemetry, proxy, view)]
    everywhere = [telemetry for telemetry in own if not telemetry.selector and not telemetry.target_refs]
    return (
        *selecting,
        *everywhere,
        *(telemetry for telemetry in root if not telemetry.selector and not telemetry.target_refs),
    )


def _in(view: MeshView, namespace: str, section: Section) -> tuple[Telemetry, ...]:
    return tuple(telemetry for telemetry in view.all(Telemetry, namespace) if section(telemetry))


def _targets(telemetry: Telemetry, proxy: Workload, view: MeshView) -> bool:
    if telemetry.target_refs:
        return proxy in enforcing_proxies(view, telemetry)
    return bool(telemetry.selector) and telemetry.selector.items() <= proxy.labels.items()  # type: ignore[union-attr]
