"""Rules for what Kyma may run: a bundle has policies for all its modules, of which clusters run some."""

from __future__ import annotations

from istio_netpol.istio.rules.gateway_services import STATUS_PORT
from istio_netpol.model.labels import NAMESPACE_NAME_LABEL, Selector
from istio_netpol.model.policies import NetworkPolicy, PolicyPeer, PolicyRule
from istio_netpol.platforms.kyma_modules import KYMA_WORKLOADS
from istio_netpol.platforms.kyma_workload import KYMA_NAMESPACE
from istio_netpol.state.snapshot import Snapshot

_NAMESPACE_LABELS = {NAMESPACE_NAME_LABEL: KYMA_NAMESPACE}
_INGRESS_GATEWAY = Selector.of({"istio": "ingressgateway"})


def is_for_absent_kyma(rule: PolicyRule, policy: NetworkPolicy, snapshot: Snapshot) -> bool:
    """Whether a rule that no flow needs is for modules of Kyma none of which runs in the cluster, or for the
    health route of Kyma's default gateway, which clusters have or not."""
    if _is_health_route(rule, policy):
        return True
    return bool(rule.peers) and all(
        _is_absent_module(peer, policy.namespace, snapshot) for peer in rule.peers
    )


def _is_absent_module(peer: PolicyPeer, namespace: str, snapshot: Snapshot) -> bool:
    """Whether a peer names pods of Kyma's namespace by labels of a known workload, and there are none."""
    pods, namespaces = peer.pod_selector, peer.namespace_selector
    if pods is None or pods.is_everything:
        return False
    is_there = namespace == KYMA_NAMESPACE if namespaces is None else namespaces.matches(_NAMESPACE_LABELS)
    is_known = any(pods.matches(known.labels) for known in KYMA_WORKLOADS)
    return is_there and is_known and not snapshot.select(KYMA_NAMESPACE, pods)


def _is_health_route(rule: PolicyRule, policy: NetworkPolicy) -> bool:
    """Whether a rule lets ingress gateways reach each other's health port, and nothing else."""
    itself = (PolicyPeer(pod_selector=_INGRESS_GATEWAY),)
    ports = tuple(port.port for port in rule.ports if port.end_port is None)
    return policy.pod_selector == _INGRESS_GATEWAY and rule.peers == itself and ports == (STATUS_PORT,)
