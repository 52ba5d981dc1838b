"""All that one workload needs, and what of it is cut: what its pods need to start comes first."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from istio_netpol.analysis.arguments.peers import find_peer
from istio_netpol.analysis.explain.walk import Walk, Walker, Wanted
from istio_netpol.analysis.generate import packets_key
from istio_netpol.analysis.undeclared import undeclared
from istio_netpol.errors import InputError, Problem
from istio_netpol.flows.table import FlowTable
from istio_netpol.istio.policy_attachment import attached
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.flows import FlowKind, PodsPeer, RequiredFlow
from istio_netpol.model.istio_security import RequestAuthentication
from istio_netpol.model.own_names import CALLED_BY, CALLS
from istio_netpol.model.references import ObjectKey
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.state.snapshot import Snapshot

STARTING = frozenset(
    {FlowKind.PROXY_TO_ISTIOD, FlowKind.GATEWAY_TO_ISTIOD, FlowKind.DNS, FlowKind.WEBHOOK_FROM_APISERVER}
)
"""Without these, pods are not created, stay in Init, or their proxy does not become ready: the API server
asks istiod to inject it, it looks istiod up, and gets its certificate and configuration from it."""


def explain_workload(snapshot: Snapshot, settings: Settings, resolver: Resolver, name: str) -> Walk:
    """The required flows from and to the pods of a workload, those of the API server and istiod for their
    sake included. `name` is written as `arguments.peers` reads it. Raises InputError for a workload that the
    input does not have."""
    table = FlowTable.of(snapshot, settings)
    pods = _workload(name, table)
    found = sorted(_wanted(pods, table), key=lambda want: (not want.starts, want.flow.sort_key))
    wanted: dict[Hashable, Wanted] = {}
    for want in found:
        # Several objects may need the same connection: the first stands for all.
        wanted.setdefault((want.flow.kind, packets_key(want.flow)), want)
    remarks = tuple(_remarks(pods, table))
    return Walker(table, resolver).walk("Workload", str(pods.ref), remarks, tuple(wanted.values()))


def _workload(name: str, table: FlowTable) -> Workload:
    view = table.view

    def predicted() -> Iterator[Workload]:
        for namespace in table.snapshot.namespace_names:
            yield from view.predicted_workloads(namespace)

    peer = find_peer(name, table.snapshot, predicted)
    if isinstance(peer, PodsPeer):
        return peer.workload
    cause = f"{name!r} is an address that no pod has"
    remedy = "name a workload as namespace/name"
    raise InputError([Problem.of("arguments", cause, remedy)])


def _wanted(pods: Workload, table: FlowTable) -> Iterator[Wanted]:
    view = table.view
    is_in_mesh = view.in_mesh(pods)
    tokens = (
        {policy.ref.key for policy in attached(view, RequestAuthentication, pods)} if is_in_mesh else set()
    )
    injectors = _injectors(pods, view)
    for flow in table.flows():
        if _is_of(pods, flow.source) or _is_of(pods, flow.destination):
            yield Wanted(flow, starts=_starts(flow, pods, is_in_mesh))
        elif flow.kind is FlowKind.ISTIOD_TO_JWKS and flow.object.key in tokens:
            yield Wanted(flow)
        elif (
            flow.kind is FlowKind.WEBHOOK_FROM_APISERVER
            and isinstance(flow.destination, PodsPeer)
            and (flow.destination.workload.ref.key, flow.port) in injectors
        ):
            yield Wanted(flow, starts=True)


def _is_of(pods: Workload, peer: object) -> bool:
    """Whether a peer is pods of the workload: of one class of them, where it has several."""
    return isinstance(peer, PodsPeer) and peer.workload.ref.key == pods.ref.key


def _injectors(pods: Workload, view: MeshView) -> set[tuple[ObjectKey, int]]:
    """The istiod pods that the API server asks for the sidecars of a workload, and their port."""
    injection = view.injection(pods)
    coming = injection.next_start or injection
    if not coming.injected:
        return set()
    return {(istiod.ref.key, view.injection_webhook_port(istiod)) for istiod in view.istiods(coming.revision)}


def _starts(flow: RequiredFlow, pods: Workload, is_in_mesh: bool) -> bool:
    """Whether pods wait for a flow of their own before they are ready: those of the mesh for istiod, those
    that work with the API server for that."""
    if not _is_of(pods, flow.source):
        return False
    return flow.kind is FlowKind.TO_APISERVER or (is_in_mesh and flow.kind in STARTING)


def _remarks(pods: Workload, table: FlowTable) -> Iterator[str]:
    view = table.view
    injection = view.injection(pods)
    if view.is_gateway(pods):
        yield "it runs a gateway's proxy"
    elif injection.injected:
        yield f"it has a sidecar: {injection.reason}"
    elif view.is_ambient(pods):
        yield "it is in ambient mode: ztunnel carries its connections"
    else:
        yield f"it is not in the mesh: {injection.reason}"
    if injection.next_start is not None:
        whose = f" of revision {injection.next_start.revision or 'default'}" if injection.injected else ""
        yield f"from its next start on it has a sidecar{whose}: {injection.next_start.reason}"
    if any(workload.ref.key == pods.ref.key for workload in undeclared(table)):
        yield (
            f"no object says whom it calls or who calls it; declare that with {CALLS} and {CALLED_BY}, or it "
            "is not known here"
        )
