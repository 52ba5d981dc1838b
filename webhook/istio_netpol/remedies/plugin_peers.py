"""Whom a policy names where the cluster's network plugin judges otherwise than by the pods' addresses."""

from __future__ import annotations

from istio_netpol.model.addresses import IpBlock
from istio_netpol.model.flows import FlowKind
from istio_netpol.model.labels import Selector, namespace_named
from istio_netpol.model.policies import Direction, PolicyPeer, PolicyPort, PolicyRule
from istio_netpol.model.services import Front
from istio_netpol.netpol.fronts import names_front
from istio_netpol.remedies.denied_sides import Opening
from istio_netpol.state.snapshot import Snapshot

PeersAtPort = tuple[tuple[PolicyPeer, ...], int]
"""Peers, and the port at which they are to be opened."""

_PORT_ALONE = {
    Direction.EGRESS: frozenset({FlowKind.TO_APISERVER, FlowKind.DNS}),
    Direction.INGRESS: frozenset({FlowKind.WEBHOOK_FROM_APISERVER}),
}
"""Flows to and from what administrators run, without which nothing works: these are opened by their port
alone where no peer can be named."""


def at_front(front: Front, opening: Opening, snapshot: Snapshot) -> PeersAtPort | str:
    """The peers that admit a Service's own address: the pods that its selector means, where their port brings
    it in, else the address on the Service's port; or why neither can be written."""
    flow, home = opening.flow, opening.subject.namespace
    if front.service.selector:
        peer = _behind(front, home)
        rule = PolicyRule((peer,), (PolicyPort(flow.protocol, flow.port),))
        if names_front(rule, home, front, flow.protocol, snapshot):
            return (peer,), flow.port
    if front.address is None:
        setting = ", or name it by apiServer.serviceAddress" if flow.kind is FlowKind.TO_APISERVER else ""
        return (
            f"policies see the ClusterIP of {front.service.ref}, which is not known; add the Service as it "
            f"is in the cluster to the input{setting}"
        )
    address = front.address
    return (PolicyPeer(ip_block=IpBlock(f"{address}/{address.max_prefixlen}")),), front.port


def _behind(front: Front, home: str) -> PolicyPeer:
    pods = Selector.of(front.service.selector or {})
    if front.service.namespace == home:
        return PolicyPeer(pod_selector=pods)
    return PolicyPeer(pod_selector=pods, namespace_selector=namespace_named(front.service.namespace))


def beyond_ip_blocks(opening: Opening, snapshot: Snapshot) -> tuple[PolicyPeer, ...] | str:
    """No peers, so that the port alone is opened, or why nothing is: no ipBlock matches the other end."""
    if opening.flow.kind in _PORT_ALONE[opening.direction]:
        return ()
    return (
        f"{opening.counterpart} is at addresses that no ipBlock matches with {snapshot.network.name}, and a "
        "rule for the port alone would open it to everybody; write a policy of the plugin itself"
    )
