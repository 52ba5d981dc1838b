"""Telemetry and mesh config: proxies send their spans to a collector.

Of the Telemetry objects that concern a proxy the most specific one with a tracing section (its own, its
namespace's, the root namespace's) asks for the flow; the provider comes from the most specific one that names
any, else from the mesh config's default providers, else from `defaultConfig.tracing`. Istio uses the first
provider of a list. Collectors are defined in the mesh config, which only administrators write, so their
Services count as agreed. Pods in ambient mode have no Envoy of their own, and send nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from istio_netpol.istio.extension_providers import (
    applicable,
    decided_by,
    find_provider,
    host_backends,
    missing_provider,
    provider_backends,
)
from istio_netpol.istio.policy_attachment import is_mesh_wide
from istio_netpol.istio.rule import Outcome, Rule, unknown
from istio_netpol.istio.view.backends import Backend
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.addresses import parse_host_port
from istio_netpol.model.control_plane import PROXY_CONFIG_ANNOTATION, MeshConfig
from istio_netpol.model.flows import FlowKind, PodsPeer, RequiredFlow, Via
from istio_netpol.model.istio_security import Telemetry
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.workloads import Workload

ANNOTATED = f"metadata.annotations[{PROXY_CONFIG_ANNOTATION}]"


def outcomes(subject: Telemetry | MeshConfig | Workload, view: MeshView) -> Iterator[Outcome]:
    """Flows from the proxies for which this object decides about tracing; pods that name a collector of their
    own decide for themselves."""
    if isinstance(subject, Workload):
        if subject.tracing_address:
            yield from _of_annotation(subject, view)
        return
    if isinstance(subject, MeshConfig) and not _sends_spans(subject):
        return
    clients = decided_by(subject, _has_tracing, view)
    shared = isinstance(subject, MeshConfig) or is_mesh_wide(view, subject)
    yield from _spans(subject.ref, clients, shared, view)


def _sends_spans(config: MeshConfig) -> bool:
    """Whether a mesh config asks for spans where no Telemetry decides. Most don't. Then no proxy has to be
    looked at, which would be all of them at every change of one."""
    return bool(config.default_tracing_providers or (config.tracing_address and config.enable_tracing))


def _has_tracing(telemetry: Telemetry) -> bool:
    return telemetry.has_tracing


def _spans(ref: ObjectRef, clients: Iterable[Workload], shared: bool, view: MeshView) -> Iterator[Outcome]:
    problems: dict[str, None] = {}
    for client in clients:
        collector = _collector(client, view)
        if isinstance(collector, str):
            problems[collector] = None
            continue
        for wire in collector:
            yield RequiredFlow(
                kind=FlowKind.TRACING,
                object=ref,
                source=PodsPeer(client),
                destination=wire.peer,
                protocol=wire.protocol,
                port=wire.port,
                reason=f"{ref} has proxies send their spans there",
                shared=shared,
                via=Via(administered=True),
            )
    for sentence in problems:
        yield unknown(ref, "tracing", sentence)


def _collector(client: Workload, view: MeshView) -> tuple[Backend, ...] | str:
    """What answers for the client's collector; empty where it sends no spans, a sentence where the collector
    is not known."""
    chosen = applicable(client, _has_tracing, view)
    config = view.mesh_config(view.injection(client).revision)
    if chosen and chosen[0].disables_tracing:
        return ()
    named = next((telemetry.tracing_providers for telemetry in chosen if telemetry.tracing_providers), ())
    names = named or (config.default_tracing_providers if config else ())
    if names:
        return _of_provider(client, names[0], view)
    if client.tracing_address:
        return ()  # the pods' own findings tell that
    if config and config.tracing_address and (config.enable_tracing or chosen):
        return _of_address(client, config.tracing_address, view)
    return ()


def _of_annotation(client: Workload, view: MeshView) -> Iterator[Outcome]:
    """The flows for spans of pods whose annotation names a collector. They are needed by the pods themselves,
    so what a tenant writes there opens no other namespace."""
    if not _sends_to_annotated(client, view):
        return
    place = parse_host_port(client.tracing_address)
    found = tuple(host_backends(view, client, *place, client.namespace)) if place else ()
    if not found:
        sentence = f"nothing answers at the tracing address {client.tracing_address}; correct it"
        yield unknown(client.ref, ANNOTATED, sentence)
    for wire in found:
        yield RequiredFlow(
            kind=FlowKind.TRACING,
            object=client.ref,
            source=PodsPeer(client),
            destination=wire.peer,
            protocol=wire.protocol,
            port=wire.port,
            reason=f"its annotation {PROXY_CONFIG_ANNOTATION} has the proxy send its spans there",
            field=ANNOTATED,
            via=Via(wire.service, wire.choosers),
        )


def _sends_to_annotated(client: Workload, view: MeshView) -> bool:
    """Whether proxies of these pods send spans, and no provider is named, which would go before the
    annotation. Without a mesh config the pods are taken at their word."""
    if not view.injection(client).injected and not view.is_gateway(client):
        return False
    chosen = applicable(client, _has_tracing, view)
    config = view.mesh_config(view.injection(client).revision)
    if chosen and chosen[0].disables_tracing:
        return False
    if any(telemetry.tracing_providers for telemetry in chosen) or (
        config and config.default_tracing_providers
    ):
        return False
    return config is None or config.enable_tracing or bool(chosen)


def _of_provider(client: Workload, name: str, view: MeshView) -> tuple[Backend, ...] | str:
    provider = find_provider(view, client, name)
    if provider is None:
        return missing_provider(view, client, name) or ()
    found = tuple(provider_backends(view, client, provider))
    return found or f"nothing answers for provider {name} at {provider.service} port {provider.port}"


def _of_address(client: Workload, address: str, view: MeshView) -> tuple[Backend, ...] | str:
    if "$(" in address:
        return (
            f"the tracing address {address} of the mesh config is another one on every node, so no policy "
            "can name it"
        )
    place = parse_host_port(address)
    found = tuple(host_backends(view, client, *place)) if place else ()
    return found or f"nothing answers at the tracing address {address} of the mesh config"


RULE = Rule(
    name="tracing",
    kind=FlowKind.TRACING,
    subjects=(Telemetry, MeshConfig, Workload),
    sources=(
        "https://istio.io/latest/docs/reference/config/telemetry/ (Istio 1.28): the hierarchy of Telemetry "
        "objects",
        "istio/istio pilot/pkg/model/telemetry.go, Tracing (Istio 1.28): the first provider counts, default "
        "providers apply without an object",
        "https://istio.io/latest/docs/tasks/observability/distributed-tracing/ (Istio 1.28): an address of "
        "the pods' own annotation",
        "istio/istio pilot/pkg/networking/core/tracing.go (Istio 1.28): defaultConfig.tracing where no "
        "provider is named",
    ),
    outcomes=outcomes,
)
