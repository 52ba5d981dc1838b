"""Says on whose word each end of a connection may be opened.

Policies are written with rights that the author of an object does not have, so the author's object decides
for the author's own namespace only. Each real end is asked, the pods that send and the pods that receive, on
the port on the wire, after names, delegates, waypoints and tunnels are resolved:

- The author's own namespace has the object's word, and where only administrators write, an object has a word
  for everybody.
- Pods that receive elsewhere have the word of their own namespace for this client: `called-by`, an ALLOW
  AuthorizationPolicy, a grant. If they delegate a route, that is such a word for shared gateways and their
  own clients.
- A Gateway whose `allowedListeners` take a ListenerSet is its namespace's word for the ports that this adds.
- A shared gateway sends to pods that agree, and receives on its own ports. Only an administrator opens its
  way to addresses. A gateway of others sends where its own Gateway admits the author by name.
- A waypoint receives what it was chosen for by namespaces that its Gateway admits, from their own pods and
  for their own objects. Only an administrator opens its way to addresses that these name.
- istiod sends to the keys that a RequestAuthentication names, and receives on its discovery port.

Whoever decides who is behind a name (a Service, a ServiceEntry, a route) leads a sender to pods of its own
namespace, never to others, and never opens a receiver that is not its own. Addresses give no word: limits
hold for them (`host_policy.py`). Nothing here believes a label; see `istio/view/gateways.py`.
"""

from __future__ import annotations

from typing import Protocol

from istio_netpol.model.flows import AddressPeer, Agreement, FlowKind, HostPeer, PodsPeer, RequiredFlow
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload

GATEWAY_KINDS = frozenset({FlowKind.GATEWAY_TO_WORKLOAD, FlowKind.HBONE})
CALLED_KINDS = frozenset({FlowKind.GATEWAY_TO_WORKLOAD, FlowKind.WORKLOAD_TO_WORKLOAD})
"""Flows for which the mode of the receiving namespace counts too."""

DISCOVERY_KINDS = frozenset({FlowKind.PROXY_TO_ISTIOD, FlowKind.GATEWAY_TO_ISTIOD})

Words = frozenset[str] | None
_ADMINISTRATOR_ALONE: frozenset[str] = frozenset()


class Witness(Protocol):
    """The facts of the cluster on which agreements rest. Each comes from objects of the namespace that it is
    about, or of administrators."""

    def is_trusted(self, namespace: str) -> bool:
        """Whether only administrators write there. The empty namespace, of objects that have none, counts as
        such."""
        ...

    def is_shared_gateway(self, workload: Workload) -> bool:
        """Whether the pods run a gateway proxy where only administrators write."""
        ...

    def offers(self, gateway: Workload, port: int) -> bool:
        """Whether gateway pods or their Service declare a port, which is not the proxy's own."""
        ...

    def serves_proxies(self, workload: Workload, port: int) -> bool:
        """Whether the pods are an istiod, and the port is that on which it serves every proxy."""
        ...

    def admits(self, client: Workload, target: Workload, port: int, service: Service | None) -> bool:
        """Whether the target's namespace names the client as one that may call this port."""
        ...


def agreement_of(flow: RequiredFlow, witness: Witness) -> Agreement:
    """The words for both ends of a flow. An end that is not a pod has no policies, and so needs no word."""
    ingress = _receiving(flow, witness)
    return Agreement(_sending(flow, ingress, witness), ingress)


def _receiving(flow: RequiredFlow, witness: Witness) -> Words:
    peer, author = flow.destination, flow.object.namespace
    if not isinstance(peer, PodsPeer):
        return frozenset({author})
    home = peer.workload.namespace
    if flow.kind in DISCOVERY_KINDS and witness.serves_proxies(peer.workload, flow.port):
        return frozenset({home})
    if flow.via.meant is not None and flow.via.meant is not peer.workload:
        # A waypoint serves whom the pods behind it agree to. Its own Gateway admitted those pods.
        behind = _pods_agree(flow, flow.via.meant, flow.via.meant_port, witness)
        return None if behind is None else behind | {home}
    return _pods_agree(flow, peer.workload, flow.via.meant_port or flow.port, witness)


def _pods_agree(flow: RequiredFlow, target: Workload, port: int, witness: Witness) -> Words:
    """The words for pods that receive, on their own port."""
    author, home, via = flow.object.namespace, target.namespace, flow.via
    client = flow.source.workload if isinstance(flow.source, PodsPeer) else None
    if _is_vouched_for(flow, home, witness) and _is_accepted(flow, client, home, witness):
        # An object without a namespace has no mode: that of the pods' own namespace counts.
        is_elsewhere = bool(author) and author != home and witness.is_trusted(author)
        if is_elsewhere and flow.kind not in CALLED_KINDS:
            return frozenset({author})
        return frozenset({author, home}) if is_elsewhere else frozenset({home})
    if via.admitted and client is None:
        # A Gateway of these pods takes the ListenerSet, so they listen for it.
        return frozenset({home})
    if via.taken_in and client is not None and client.namespace == author:
        # The waypoint's Gateway takes in what the client calls.
        return frozenset({home})
    if via.administered:
        # Pods that serve everybody are opened to everybody. A word for one client does not mean that.
        return _ADMINISTRATOR_ALONE
    if client is not None and witness.admits(client, target, port, via.service):
        return frozenset({home})
    if witness.is_shared_gateway(target) and witness.offers(target, port):
        return frozenset({home}) if client is not None else _ADMINISTRATOR_ALONE
    return None


def _is_vouched_for(flow: RequiredFlow, home: str, witness: Witness) -> bool:
    """Whether everybody who chose the pods that receive may speak for their namespace."""
    via = flow.via
    authors = () if via.granted else (via.delegate or flow.object.namespace,)
    return all(chooser == home or witness.is_trusted(chooser) for chooser in (*authors, *via.choosers))


def _is_accepted(flow: RequiredFlow, client: Workload | None, home: str, witness: Witness) -> bool:
    """Whether the receiving namespace, or an administrator, chose who sends. A delegate and a grant leave
    that to the author, so there it has to be a shared gateway, or pods of a namespace that the grant
    names."""
    author = flow.object.namespace
    if author == home or witness.is_trusted(author):
        return True
    if client is None:
        return False
    granted = flow.via.granted and (client.namespace == author or flow.via.admitted)
    return granted or client.namespace == home or witness.is_shared_gateway(client)


def _sending(flow: RequiredFlow, ingress: Words, witness: Witness) -> Words:
    author = flow.object.namespace
    if not isinstance(flow.source, PodsPeer):
        return frozenset({author})
    home = flow.source.workload.namespace
    if _is_led_rightly(flow, home, witness) and (author == home or witness.is_trusted(author)):
        return frozenset({author})
    if _is_door(flow, flow.source.workload, ingress, witness):
        return frozenset({author, home})
    if flow.via.admitted and isinstance(flow.destination, PodsPeer) and ingress is not None:
        return frozenset({home})
    if flow.via.admitted and not isinstance(flow.destination, PodsPeer):
        # The waypoint sends where objects lead whose namespace its Gateway admits.
        return _ADMINISTRATOR_ALONE
    is_way_out = _leads_outside(flow, witness) and witness.is_shared_gateway(flow.source.workload)
    return _ADMINISTRATOR_ALONE if flow.via.administered or is_way_out else None


def _is_led_rightly(flow: RequiredFlow, home: str, witness: Witness) -> bool:
    """Whether everybody who chose the destination may lead these senders there. Administrators and the
    senders' own namespace may lead them anywhere, others to pods of their own."""
    peer, via = flow.destination, flow.via
    called = via.meant or (peer.workload if isinstance(peer, PodsPeer) else None)
    return all(
        chooser == home or witness.is_trusted(chooser) or (called is not None and called.namespace == chooser)
        for chooser in via.leaders
    )


def _is_door(flow: RequiredFlow, sender: Workload, ingress: Words, witness: Witness) -> bool:
    """Whether the flow is one of the two that a tenant's object may open out of a namespace where only
    administrators write: from a shared gateway to pods that agree, and from istiod to the keys that a
    RequestAuthentication names."""
    is_istiod = flow.kind is FlowKind.ISTIOD_TO_JWKS and witness.is_trusted(sender.namespace)
    if not isinstance(flow.destination, PodsPeer):
        return is_istiod and _leads_outside(flow, witness)
    is_gateway = flow.kind in GATEWAY_KINDS and witness.is_shared_gateway(sender)
    return (is_gateway or is_istiod) and ingress is not None


def _leads_outside(flow: RequiredFlow, witness: Witness) -> bool:
    """Whether the author, or an administrator, chose the addresses to which the flow leads."""
    author, via = flow.object.namespace, flow.via
    return isinstance(flow.destination, AddressPeer | HostPeer) and all(
        chooser == author or witness.is_trusted(chooser) for chooser in via.leaders
    )
