"""Finds which Telemetry decides for a proxy, or whether the mesh config does.

Of the Telemetry objects that concern a proxy the most specific one with the section in question decides: its
own, its namespace's, the root namespace's (istio.io/latest/docs/reference/config/telemetry/, Istio 1.28).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from istio_netpol.istio.selection import enforcing_proxies
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.control_plane import MeshConfig
from istio_netpol.model.istio_security import Telemetry
from istio_netpol.model.workloads import Workload

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
