"""ListenerSet: clients connect to the ports that it adds to a Gateway.

The Gateway's `allowedListeners` say whose ListenerSets it takes. With that its namespace agrees that its pods
listen there, so the ports of a ListenerSet that is not admitted are opened for nobody.
"""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.gateway_attachment import gateway_of
from istio_netpol.istio.rule import Outcome, Rule
from istio_netpol.istio.rules.client_to_gateway import listening
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.findings import Finding
from istio_netpol.model.flows import FlowKind, Via
from istio_netpol.model.gateway_api import ListenerSet


def outcomes(added: ListenerSet, view: MeshView) -> Iterator[Outcome]:
    """Flows from anywhere to the pods of its Gateway, one for each port that it adds."""
    gateway = gateway_of(added, view)
    if isinstance(gateway, Finding):
        yield gateway
        return
    for pod in view.kubernetes_gateway_workloads(gateway):
        via = Via(admitted=pod.namespace == gateway.ref.namespace)
        yield from listening(added.ref, gateway, added.listeners, pod, view, via)


RULE = Rule(
    name="listener-set",
    kind=FlowKind.CLIENT_TO_GATEWAY,
    subjects=(ListenerSet,),
    sources=(
        "https://gateway-api.sigs.k8s.io/geps/gep-1713/ (Gateway API 1.5)",
        "istio/istio pilot/pkg/config/kube/gateway/gateway_collection.go, ListenerSetCollection (Istio 1.31)",
    ),
    outcomes=outcomes,
)
