"""Recognises the control plane's own workloads by the labels that their charts and operators give them."""

from __future__ import annotations

from msgspec import Struct

from istio_netpol.model.labels import Labels
from istio_netpol.model.workloads import Workload
from istio_netpol.platforms.kyma_modules import KYMA_WORKLOADS, kyma_workload
from istio_netpol.platforms.kyma_workload import KymaNeed, KymaWorkload


class Component(Struct, frozen=True):
    """A workload of the control plane, which is recognised by one set of `any_labels` on its pods.

    `watches` completes "it needs the API server because"; empty where it does not, or has a policy for it.
    `needs_dns` is False where it has one for DNS. `webhook_port` is the pods' usual port for admission and
    conversion webhooks, 0 where there are none; a container port named `webhook_port_name` counts more, where
    the component's chart lets users choose.
    """

    name: str
    any_labels: tuple[Labels, ...]
    watches: str
    webhook_port: int = 0
    webhook_port_name: str = ""
    needs_dns: bool = True

    def webhook_port_of(self, workload: Workload) -> int:
        """The port of these pods for webhooks."""
        named = (
            declared.number for declared in workload.ports if declared.name == self.webhook_port_name != ""
        )
        return next(named, self.webhook_port)


ISTIOD = Component(
    "istiod",
    ({"app": "istiod"},),
    "istiod reads Services, endpoints and the mesh's configuration from the API server",
    webhook_port=15017,
)
CNI_NODE = Component(
    "istio-cni-node",
    ({"k8s-app": "istio-cni-node"},),
    "the Istio CNI agent looks up each new pod at the API server before it sets up its network",
)
KYMA_ISTIO_OPERATOR = Component(
    "the Kyma Istio operator",
    (
        {"app.kubernetes.io/name": "istio-operator"},
        {"app.kubernetes.io/component": "istio-operator.kyma-project.io"},
    ),
    "the Kyma Istio operator installs and watches Istio through the API server",
)
KYMA_API_GATEWAY_OPERATOR = Component(
    "the Kyma API Gateway operator",
    (
        {"app.kubernetes.io/name": "api-gateway-operator"},
        {"app.kubernetes.io/component": "api-gateway-operator.kyma-project.io"},
    ),
    "the Kyma API Gateway operator turns APIRules into Istio objects through the API server",
    webhook_port=9443,
)
OWN_WEBHOOK = Component(
    "the istio-netpol webhook",
    ({"app.kubernetes.io/name": "istio-netpol", "app.kubernetes.io/component": "webhook"},),
    "the webhook follows the cluster through the API server",
    webhook_port=8443,
    webhook_port_name="https",
)
OWN_CONTROLLER = Component(
    "the istio-netpol controller",
    ({"app.kubernetes.io/name": "istio-netpol", "app.kubernetes.io/component": "controller"},),
    "the controller keeps policies and certificates through the API server",
)
COMPONENTS = (
    ISTIOD,
    CNI_NODE,
    KYMA_ISTIO_OPERATOR,
    KYMA_API_GATEWAY_OPERATOR,
    OWN_WEBHOOK,
    OWN_CONTROLLER,
)


def _of_kyma(workload: KymaWorkload) -> Component:
    """What a workload of a module needs that no policy of the module's own opens."""
    return Component(
        f"Kyma's {workload.name}",
        (),
        workload.watches if workload.lacks(KymaNeed.API_SERVER) else "",
        workload.webhook_port if workload.lacks(KymaNeed.WEBHOOK) else 0,
        needs_dns=workload.lacks(KymaNeed.DNS),
    )


_OF_KYMA = {workload.name: _of_kyma(workload) for workload in KYMA_WORKLOADS}
_KEYS = frozenset(key for component in COMPONENTS for labels in component.any_labels for key in labels)


def component_of(workload: Workload) -> Component | None:
    """The component that the workload is, if it is one; one of a module counts in Kyma's namespace alone."""
    if not _KEYS.isdisjoint(workload.labels):
        own = workload.labels.items()
        for component in COMPONENTS:
            if any(labels.items() <= own for labels in component.any_labels):
                return component
    of_kyma = kyma_workload(workload.namespace, workload.labels)
    return _OF_KYMA[of_kyma.name] if of_kyma else None
