"""Kyma's modules: which peers their workloads in `kyma-system` call, and which peers call them.

Modules that bring policies of their own open these connections themselves. The rules for the control plane
cover the API server, its webhooks and DNS.
"""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.rule import Outcome, Rule
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AnyPeer, FlowKind, Peer, PodsPeer, RequiredFlow
from istio_netpol.model.labels import Selector
from istio_netpol.model.workloads import Workload
from istio_netpol.platforms.kyma_modules import KYMA_WORKLOADS, kyma_workload
from istio_netpol.platforms.kyma_workload import KYMA_NAMESPACE, KymaNeed, KymaWorkload

PODS = AnyPeer("pods of any namespace", in_cluster=True)
_INGRESS_GATEWAY = Selector.of({"istio": "ingressgateway"})
_BY_NAME = {known.name: known for known in KYMA_WORKLOADS}


def outcomes(workload: Workload, view: MeshView) -> Iterator[Outcome]:
    """The connections of one workload of a module that no policy of the module's own opens."""
    known = kyma_workload(workload.namespace, workload.labels)
    if known is None or workload.host_network or not known.lacks(KymaNeed.CALLS):
        return
    yield from _made(workload, known, view)
    yield from _received(workload, known, view)


def _made(workload: Workload, known: KymaWorkload, view: MeshView) -> Iterator[RequiredFlow]:
    for call in known.calls:
        for called in view.selected(KYMA_NAMESPACE, _BY_NAME[call.to].selector):
            yield _flow(
                FlowKind.WORKLOAD_TO_WORKLOAD,
                workload,
                PodsPeer(workload),
                PodsPeer(called),
                call.port,
                call.why,
            )
    if known.subscribers is not None:
        pods = AnyPeer(known.subscribers.who, in_cluster=True, any_port=True)
        yield _flow(
            FlowKind.WORKLOAD_TO_WORKLOAD,
            workload,
            PodsPeer(workload),
            pods,
            known.subscribers.port,
            known.subscribers.why,
        )
    for outside in known.outside:
        if outside.only_beside and not view.selected(KYMA_NAMESPACE, Selector.of(outside.only_beside)):
            continue
        host = AnyPeer(outside.to, any_port=outside.any_port)
        yield _flow(
            FlowKind.WORKLOAD_TO_EXTERNAL, workload, PodsPeer(workload), host, outside.port, outside.why
        )


def _received(workload: Workload, known: KymaWorkload, view: MeshView) -> Iterator[RequiredFlow]:
    for port in known.for_pods:
        why = f"pods of every namespace call {known.name}"
        yield _flow(FlowKind.WORKLOAD_TO_WORKLOAD, workload, PODS, PodsPeer(workload), port, why)
    gateways = view.selected(view.settings.mesh.root_namespace, _INGRESS_GATEWAY) if known.for_gateway else ()
    for port in known.for_gateway:
        why = f"the ingress gateway passes requests on to {known.name}"
        for gateway in gateways:
            yield _flow(
                FlowKind.GATEWAY_TO_WORKLOAD, workload, PodsPeer(gateway), PodsPeer(workload), port, why
            )


def _flow(
    kind: FlowKind, workload: Workload, source: Peer, destination: Peer, port: int, why: str
) -> RequiredFlow:
    return RequiredFlow(kind, workload.ref, source, destination, Protocol.TCP, port, why)


RULE = Rule(
    name="kyma-modules",
    kind=FlowKind.WORKLOAD_TO_WORKLOAD,
    subjects=(Workload,),
    sources=(
        "kyma-project/eventing-manager 1.6.3 pkg/eventing, pkg/backend/jetstream",
        "kyma-project/nats-manager 8fabee2 resources/nats/templates/statefulset.yaml",
        "kyma-project/warden 0.7.0 charts/warden",
        "kyma-project/api-gateway 3.10.0 internal/reconciliations/oathkeeper",
        "kyma-project/application-connector-manager 1.3.300 config/application-connector.yaml",
        "SAP-docs/btp-connectivity (2026-07-30)",
    ),
    outcomes=outcomes,
)
