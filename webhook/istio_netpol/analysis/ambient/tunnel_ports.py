"""Policies that admit an application's port between pods whose TCP goes through a tunnel, and not the tunnel.

Between pods of the mesh of which one is in ambient mode, TCP crosses the network on port 15008, whatever port
the application listens on. A rule for that port alone lets nothing through
(istio.io/latest/docs/ambient/usage/networkpolicy/, Istio 1.28). Nobody has to have declared the connection:
the rule itself says that it is meant to pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from istio_netpol.analysis.ambient.tunnels import has_ambient_mode
from istio_netpol.istio.hbone import HBONE_PORT, tunnels
from istio_netpol.istio.offered_ports import served_ports
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.connections import ConnectionSet, Protocol
from istio_netpol.model.failures import NOT_CONTAINED, Failure
from istio_netpol.model.findings import Finding, Issue, Severity, not_judged
from istio_netpol.model.flows import PodsPeer
from istio_netpol.model.labels import EVERYTHING
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyRule
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.evaluate import judge
from istio_netpol.netpol.peers import addresses_of, covers
from istio_netpol.netpol.ports import admits_port, opened
from istio_netpol.state.snapshot import Snapshot

_TCP = ConnectionSet.of(Protocol.TCP)


def closed_tunnels(
    policies: Iterable[NetworkPolicy], snapshot: Snapshot, view: MeshView
) -> Iterator[Finding]:
    """A warning for each rule of these policies that can't let through what it names. An error in one policy
    ends what is said of it, and nothing else."""
    if not has_ambient_mode(snapshot):
        return
    for policy in policies:
        try:
            yield from _of_policy(policy, snapshot, view)
        except NOT_CONTAINED:
            raise
        except Exception as error:
            yield not_judged(policy.ref, Failure.of("tunnel ports", error))


def _of_policy(policy: NetworkPolicy, snapshot: Snapshot, view: MeshView) -> Iterator[Finding]:
    for direction in Direction:
        if direction not in policy.policy_types:
            continue
        for index, rule in enumerate(policy.rules(direction)):
            if opened(rule.ports, None).contains(Protocol.TCP, HBONE_PORT):
                continue
            found = next(_TunnelRule(policy, direction, rule, snapshot, view).cut_off(), None)
            if found is not None:
                yield _finding(policy, f"spec.{direction.lower()}[{index}]", found)


class _PodPair(Struct, frozen=True):
    """Two pods that a rule means to connect, and the TCP ports that it names."""

    client: Workload
    server: Workload
    ports: ConnectionSet


class _TunnelRule(Struct, frozen=True):
    """One rule of a policy, and the cluster in which it is read."""

    policy: NetworkPolicy
    direction: Direction
    rule: PolicyRule
    snapshot: Snapshot
    view: MeshView

    def cut_off(self) -> Iterator[_PodPair]:
        """The pairs of which the rule names a port that is served, while no policy of its side admits their
        tunnel."""
        for subject in self._subjects():
            for peer in self._peers():
                client, server = (peer, subject) if self._is_ingress else (subject, peer)
                if client is server or not tunnels(self.view, client, server):
                    continue
                ports = self._meant(server)
                if ports and not self._admits_tunnel(client, server):
                    yield _PodPair(client, server, ports)

    @property
    def _is_ingress(self) -> bool:
        return self.direction is Direction.INGRESS

    def _subjects(self) -> Iterator[Workload]:
        """The pods that the policy selects, one for all that the same policies isolate and that give the
        rule's ports the same meaning."""
        seen: set[object] = set()
        for workload in self.snapshot.select(self.policy.namespace, self.policy.pod_selector):
            if workload.host_network or not self.view.in_mesh(workload):
                continue
            ports = self._meant(workload) if self._is_ingress else None
            kind = self.view.is_ambient(workload), self.view.is_gateway(workload)
            alike = (self.snapshot.policies_for(workload), kind, ports)
            if alike not in seen:
                seen.add(alike)
                yield workload

    def _peers(self) -> Iterator[Workload]:
        if not self.rule.peers:
            yield from self.snapshot.every_workload()
        for peer in self.rule.selectors:
            yield from self._named(peer)
        if named := self.rule.addresses:
            everybody = self.snapshot.every_workload()
            yield from (workload for workload in everybody if covers(named, addresses_of(workload)))

    def _named(self, peer: PolicyPeer) -> Iterator[Workload]:
        homes: Iterable[str] = (self.policy.namespace,)
        if peer.namespace_selector is not None:
            homes = sorted(self.snapshot.select_namespaces(peer.namespace_selector))
        for home in homes:
            yield from self.snapshot.select(home, peer.pod_selector or EVERYTHING)

    def _meant(self, server: Workload) -> ConnectionSet:
        """The TCP ports of the rule that the pods serve. Where nothing declares their ports, all that the
        rule names if it means just these pods: else it may mean others."""
        named = opened(self.rule.ports, server) & _TCP
        served = served_ports(self.view, server)
        if served:
            return named & ConnectionSet.union(ConnectionSet.of(Protocol.TCP, port) for port in served)
        is_exact = not self.policy.pod_selector.is_everything
        if not self._is_ingress:
            is_exact = any(
                peer.pod_selector is not None
                and not peer.pod_selector.is_everything
                and peer.pod_selector.matches(server.labels)
                for peer in self.rule.selectors
            )
        return named if is_exact else ConnectionSet()

    def _admits_tunnel(self, client: Workload, server: Workload) -> bool:
        if admits_port(self.rule.ports, server, Protocol.TCP, HBONE_PORT):
            return True
        verdict = judge(self.snapshot, PodsPeer(client), PodsPeer(server), Protocol.TCP, HBONE_PORT)
        return verdict.side(self.direction).allowed


def _finding(policy: NetworkPolicy, place: str, pair: _PodPair) -> Finding:
    message = (
        f"{policy.ref}: {place} admits {pair.ports} from {pair.client.ref} to {pair.server.ref}, but ambient "
        f"mode carries TCP between them to port {HBONE_PORT}, which no policy of this side admits, so "
        f"nothing gets through; add TCP {HBONE_PORT} to the ports of the rule"
    )
    return Finding(Issue.TUNNEL_PORT, Severity.WARNING, policy.ref, message, field=f"{place}.ports")
