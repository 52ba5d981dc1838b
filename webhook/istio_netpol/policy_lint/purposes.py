"""What a rule may be for where no required flow passes through it.

Metrics and spans, of which the objects of a control plane do not say who takes them; pods that opt in by a
label; and what Kyma may run: a bundle has policies for all its modules, of which clusters run some.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.flows.table import FlowTable
from istio_netpol.istio.rules.gateway_services import ISTIOD_PORTS, STATUS_PORT
from istio_netpol.istio.rules.scrape import ENVOY_PORT
from istio_netpol.istio.view.gateways import runs_gateway_proxy
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import FlowKind, PodsPeer
from istio_netpol.model.labels import EVERYTHING, NAMESPACE_NAME_LABEL, Selector
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.peers import names_pod
from istio_netpol.platforms.kyma_modules import KYMA_WORKLOADS
from istio_netpol.platforms.kyma_workload import KYMA_NAMESPACE
from istio_netpol.policy_lint.breadth import has_opted_in, is_dns
from istio_netpol.state.snapshot import Snapshot

ADMIN_PORT = 15000
"""The first of the ports of Istio's proxies, whose last is Envoy's metrics (Istio 1.32,
ops/deployment/application-requirements)."""

METRICS = (
    "it serves whoever scrapes metrics; the settings checkScrape and scrapeNamespaces say who does, so that "
    "this can be proved"
)
SPANS = (
    "it serves spans and access logs of the gateways; the mesh config of the control plane, which was not "
    "given, says where they go"
)
HEALTH = "it serves whoever asks for the health of gateways, which no object says"
OPTED_IN = "it is for pods that opt in by a label, and the control plane has none"


class Purposes(Struct, frozen=True):
    """What rules without required flows may be for in a snapshot. `metrics` are the ports on which workloads
    offer metrics, empty where the settings say who scrapes; `are_spans_known` says that the mesh config was
    read."""

    snapshot: Snapshot
    metrics: frozenset[tuple[str, int]] = frozenset()
    are_spans_known: bool = True

    def of(self, policy: NetworkPolicy, direction: Direction, rule: PolicyRule) -> str:
        """What a rule may be for, as a clause; empty where nobody knows. It names whom it is for: what opens
        to everybody is for nothing that is known."""
        are_opted_in = bool(rule.peers) and all(map(has_opted_in, rule.peers))
        if are_opted_in and (direction is Direction.EGRESS or _spares_proxies(rule)):
            return OPTED_IN
        if not rule.peers or not all(map(_is_bounded, rule.peers)):
            return ""
        if self._is_for_health(policy, direction, rule):
            return HEALTH
        if self._is_for_metrics(policy, direction, rule):
            return METRICS
        return SPANS if self._is_for_spans(policy, direction, rule) else ""

    def _is_for_health(self, policy: NetworkPolicy, direction: Direction, rule: PolicyRule) -> bool:
        pods = self.snapshot.select(policy.namespace, policy.pod_selector)
        ports = {(port.protocol, port.port, port.end_port) for port in rule.ports}
        is_status = direction is Direction.INGRESS and ports == {(Protocol.TCP, STATUS_PORT, None)}
        return is_status and any(map(runs_gateway_proxy, pods))

    def _is_for_metrics(self, policy: NetworkPolicy, direction: Direction, rule: PolicyRule) -> bool:
        offering = list(self._offering(policy, direction, rule))
        return bool(rule.ports and offering) and all(
            port.protocol is Protocol.TCP
            and port.end_port in (None, port.port)
            and any((pods.peer_name, port.port) in self.metrics for pods in offering)
            for port in rule.ports
        )

    def _offering(self, policy: NetworkPolicy, direction: Direction, rule: PolicyRule) -> Iterator[Workload]:
        """The pods whose ports a rule opens, where they are the control plane's."""
        if direction is Direction.INGRESS:
            yield from self.snapshot.select(policy.namespace, policy.pod_selector)
            return
        names = {key for key, _ in self.metrics}
        for pods in (pods for pods in self.snapshot.every_workload() if pods.peer_name in names):
            if any(names_pod(peer, policy.namespace, pods, self.snapshot) for peer in rule.peers):
                yield pods

    def _is_for_spans(self, policy: NetworkPolicy, direction: Direction, rule: PolicyRule) -> bool:
        if self.are_spans_known or direction is Direction.INGRESS or not _are_for_spans(rule):
            return False
        pods = self.snapshot.select(policy.namespace, policy.pod_selector)
        are_named = all(peer.pod_selector and peer.namespace_selector for peer in rule.peers)
        return bool(pods) and are_named and all(map(runs_gateway_proxy, pods))


def _is_bounded(peer: PolicyPeer) -> bool:
    """Whether a peer names the pods of a namespace, or some of them."""
    if peer.ip_block is not None or not _names_a_place(peer.namespace_selector):
        return False
    return peer.namespace_selector is not None or not (peer.pod_selector or EVERYTHING).is_everything


def _names_a_place(selector: Selector | None) -> bool:
    return selector is None or not selector.is_loose


def _spares_proxies(rule: PolicyRule) -> bool:
    """Whether a rule lists ports, and opens none of those by which proxies are looked into."""
    return bool(rule.ports) and not any(map(_is_a_proxys, rule.ports))


def _is_a_proxys(port: PolicyPort) -> bool:
    if isinstance(port.port, str):
        return False
    return port.port is None or (port.port <= ENVOY_PORT and (port.end_port or port.port) >= ADMIN_PORT)


def _are_for_spans(rule: PolicyRule) -> bool:
    """Whether a rule lists TCP ports that are neither those of DNS nor istiod's."""
    return bool(rule.ports) and all(
        port.protocol is Protocol.TCP
        and port.port is not None
        and port.end_port in (None, port.port)
        and not is_dns(port)
        and port.port not in ISTIOD_PORTS
        for port in rule.ports
    )


def purposes_of(snapshot: Snapshot, settings: Settings) -> Purposes:
    """The ports on which workloads offer metrics, unless the settings say who scrapes; and whether the mesh
    config says where spans go."""
    asked = settings if settings.check_scrape else replace(settings, check_scrape=True, scrape_namespaces=())
    table = FlowTable.of(snapshot, asked)
    metrics = frozenset(
        (flow.destination.key, flow.port)
        for flow in table.flows()
        if flow.kind is FlowKind.SCRAPE and isinstance(flow.destination, PodsPeer)
    )
    are_spans_known = table.view.mesh_config() is not None
    return Purposes(snapshot, frozenset() if settings.check_scrape else metrics, are_spans_known)


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
