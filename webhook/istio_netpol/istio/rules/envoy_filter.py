"""EnvoyFilter: proxies connect to the clusters that their patches name, for authorization, rate limits,
access logs or code of their own.

A cluster that Istio makes is called `outbound|PORT|SUBSET|HOST`, by the full name of a Service or the host of
a ServiceEntry (`outbound_.PORT_.SUBSET_.HOST` in the form of a DNS name). The proxy has such clusters only
for hosts that it knows. A patch may bring a cluster of its own along, whose addresses are dialled as they
are.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from istio_netpol.istio.call_flows import Declaration, backends_on, flows_to
from istio_netpol.istio.policy_attachment import enforcing_proxies, is_mesh_wide
from istio_netpol.istio.rule import Outcome, Rule, unknown
from istio_netpol.istio.sidecar_scope import knows
from istio_netpol.istio.view.backends import Backend
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.flows import FlowKind, PodsPeer, RequiredFlow
from istio_netpol.model.istio_networking import EnvoyFilter, FilterPurpose, FilterTarget, ServiceEntry
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload

_REASONS = {
    FilterPurpose.AUTHORIZATION: "has proxies ask there about requests",
    FilterPurpose.LOGS: "has proxies send their access logs there",
    FilterPurpose.OTHER: "has proxies connect there",
}
_KINDS = {FilterPurpose.AUTHORIZATION: FlowKind.EXT_AUTHZ, FilterPurpose.LOGS: FlowKind.TRACING}

Reached = tuple[Service | ServiceEntry | None, tuple[Backend, ...]]
"""The Service or ServiceEntry through which a target is reached, if it has one, and its backends."""


def outcomes(filter_: EnvoyFilter, view: MeshView) -> Iterator[Outcome]:
    """Flows from the proxies that are patched to the destinations that the patches name; findings for those
    that are not there."""
    if not filter_.targets:
        return  # most patches connect nowhere, so no proxy has to be looked at
    clients = enforcing_proxies(view, filter_)
    shared = is_mesh_wide(view, filter_)
    problems: dict[tuple[str, str], None] = {}
    for target in filter_.targets:
        for client in clients:
            if not _is_patched(target, client, view):
                continue
            found = _reached(filter_.ref, target, client, view)
            if isinstance(found, str):
                problems[target.field, found] = None
                continue
            for flow in _flows(filter_.ref, target, client, found, view):
                yield replace(flow, shared=shared and isinstance(flow.destination, PodsPeer))
    for field, sentence in problems:
        yield unknown(filter_.ref, field, sentence)


def _is_patched(target: FilterTarget, client: Workload, view: MeshView) -> bool:
    """Whether a proxy is of the patch's context."""
    is_gateway = view.is_gateway(client)
    if target.context.startswith("SIDECAR_"):
        return not is_gateway
    return is_gateway or target.context not in ("GATEWAY", "WAYPOINT")


def _reached(ref: ObjectRef, target: FilterTarget, client: Workload, view: MeshView) -> Reached | str:
    """What a client reaches by a patch, nothing where it does not know the host; a sentence on what is not
    there."""
    if target.is_address:
        backends = view.address_backends(target.host, client.namespace, target.port)
        return (None, backends) if backends else f"nothing answers at {target.host} port {target.port}"
    named = view.resolve_host(target.host, client.namespace, (ref.namespace,))
    if named is None or (isinstance(named, Service) and target.host != view.service_host(named)):
        return (
            f"no Service has the full name {target.host}, and no ServiceEntry the host, so that Istio makes "
            "no such cluster; add it, or correct the name"
        )
    if not view.is_gateway(client) and not knows(view, client, named.ref.namespace, target.host):
        return named, ()
    found = _behind(named, target, client, view)
    if found is None:
        missing = f"no DestinationRule defines subset {target.subset} of {named.ref}"
        return f"{missing}; create it, or correct the name"
    return (named, found) if found else f"nothing answers for {named.ref} on port {target.port}"


def _behind(
    named: Service | ServiceEntry, target: FilterTarget, client: Workload, view: MeshView
) -> tuple[Backend, ...] | None:
    if not target.subset or isinstance(named, ServiceEntry):
        return backends_on(view, named, target.port)
    subset = view.subset_labels(target.host, target.subset, client.namespace)
    return None if subset is None else view.backends(named, target.port, subset)


def _flows(
    ref: ObjectRef, target: FilterTarget, client: Workload, reached: Reached, view: MeshView
) -> Iterator[RequiredFlow]:
    named, backends = reached
    declared = Declaration(ref, target.field, f"{ref} {_REASONS[target.purpose]}")
    for flow in flows_to(view, declared, client, named, backends):
        yield replace(flow, kind=_KINDS.get(target.purpose, flow.kind))


RULE = Rule(
    name="envoy-filter",
    kind=FlowKind.WORKLOAD_TO_WORKLOAD,
    subjects=(EnvoyFilter,),
    sources=(
        "https://istio.io/latest/docs/reference/config/networking/envoy-filter/ (Istio 1.28)",
        "https://istio.io/latest/docs/tasks/policy-enforcement/rate-limit/ (Istio 1.28)",
        "istio/istio pilot/pkg/model/service.go, ParseSubsetKey (Istio 1.31): both forms of the name",
    ),
    outcomes=outcomes,
)
