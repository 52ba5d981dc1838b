"""Telemetry and mesh config: proxies send their access logs to a collector.

The most specific Telemetry with an access logging section decides, and the most specific one that names
providers says which, else the mesh config's default providers. All of them are sent to, unlike spans. Logs
that a proxy writes to a file open no connection. Collectors are defined in the mesh config, which only
administrators write, so their Services count as agreed.
"""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.extension_providers import applicable, decided_by, find_provider, provider_backends
from istio_netpol.istio.policy_attachment import is_mesh_wide
from istio_netpol.istio.rule import Outcome, Rule, unknown
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.control_plane import ExtensionProvider, MeshConfig
from istio_netpol.model.flows import FlowKind, PodsPeer, RequiredFlow, Via
from istio_netpol.model.istio_security import Telemetry
from istio_netpol.model.workloads import Workload

_SENDING = frozenset({"envoyOtelAls", "envoyHttpAls", "envoyTcpAls"})
"""The kinds of providers that get access logs over the network."""


def outcomes(subject: Telemetry | MeshConfig, view: MeshView) -> Iterator[Outcome]:
    """Flows from the proxies for which this object decides about access logs; a finding for a collector that
    nothing answers for."""
    if isinstance(subject, MeshConfig) and not subject.default_log_providers:
        return  # it sends no logs anywhere, so no proxy has to be looked at
    shared = isinstance(subject, MeshConfig) or is_mesh_wide(view, subject)
    missing: dict[str, None] = {}
    for client in decided_by(subject, _has_logs, view):
        for provider in _collectors(client, view):
            found = tuple(provider_backends(view, client, provider))
            if not found:
                place = f"{provider.service} port {provider.port}"
                missing[f"nothing answers for provider {provider.name} at {place}"] = None
            for wire in found:
                yield RequiredFlow(
                    kind=FlowKind.TRACING,
                    object=subject.ref,
                    source=PodsPeer(client),
                    destination=wire.peer,
                    protocol=wire.protocol,
                    port=wire.port,
                    reason=f"{subject.ref} has proxies send their access logs there",
                    shared=shared,
                    via=Via(administered=True),
                )
    for sentence in missing:
        yield unknown(subject.ref, "accessLogging", sentence)


def _has_logs(telemetry: Telemetry) -> bool:
    return telemetry.has_access_logs


def _collectors(client: Workload, view: MeshView) -> Iterator[ExtensionProvider]:
    chosen = applicable(client, _has_logs, view)
    if chosen and chosen[0].disables_access_logs:
        return
    config = view.mesh_config(view.injection(client).revision)
    default = config.default_log_providers if config else ()
    for name in next((telemetry.log_providers for telemetry in chosen if telemetry.log_providers), default):
        provider = find_provider(view, client, name)
        if provider is not None and provider.kind in _SENDING:
            yield provider


RULE = Rule(
    name="access-logs",
    kind=FlowKind.TRACING,
    subjects=(Telemetry, MeshConfig),
    sources=(
        "https://istio.io/latest/docs/reference/config/telemetry/#AccessLogging (Istio 1.28)",
        "istio/istio pilot/pkg/model/telemetry.go, mergeLogs (Istio 1.28): the most specific providers "
        "count, default providers apply without an object",
    ),
    outcomes=outcomes,
)
