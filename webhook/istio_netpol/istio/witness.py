"""The view as a witness of who agrees to a connection, and the agreement of what rules yield."""

from __future__ import annotations

from istio_netpol.istio.offered_ports import served_ports
from istio_netpol.istio.rule import Outcome
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.flows import RequiredFlow
from istio_netpol.model.istio_security import AuthorizationPolicy
from istio_netpol.model.own_names import KUBERNETES_NAMESPACES
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload
from istio_netpol.trust.agreement import agreement_of
from istio_netpol.trust.consent import is_authorized, is_called_by


def agreed(outcome: Outcome, view: MeshView) -> Outcome:
    """The outcome of a rule; a flow with the words on which its ends may be opened."""
    if not isinstance(outcome, RequiredFlow):
        return outcome
    return outcome.with_agreement(agreement_of(outcome, MeshWitness(view)))


class MeshWitness:
    """Implements `trust.agreement.Witness` by a view, which notes what was asked."""

    def __init__(self, view: MeshView) -> None:
        self._view = view

    def is_trusted(self, namespace: str) -> bool:
        """Whether only administrators write there. The empty namespace, of objects that have none, counts as
        such."""
        return not namespace or namespace in self._view.trusted_namespaces

    def is_shared_gateway(self, workload: Workload) -> bool:
        """Whether the pods run a gateway proxy where only administrators write. There labels are believed."""
        home = workload.namespace
        return self.is_trusted(home) and home not in KUBERNETES_NAMESPACES and self._view.is_gateway(workload)

    def offers(self, gateway: Workload, port: int) -> bool:
        """Whether gateway pods or their Service declare a port, which is not the proxy's own."""
        return port in served_ports(self._view, gateway)

    def serves_proxies(self, workload: Workload, port: int) -> bool:
        """Whether the pods are an istiod, and the port is that of xDS over mutual TLS."""
        view = self._view
        return port == view.discovery_port(workload) if workload in view.every_istiod() else False

    def admits(self, client: Workload, target: Workload, port: int, service: Service | None) -> bool:
        """Whether the target's namespace names the client as one that may call this port."""
        if is_called_by(client, target, service):
            return True
        config = self._view.mesh_config()
        domains = (config.trust_domain if config else self._view.settings.mesh.cluster_domain,)
        policies = self._view.all(AuthorizationPolicy, target.namespace)
        return is_authorized(policies, client, target, port, domains)
