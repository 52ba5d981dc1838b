"""PEER in the JSON documents: one of four shapes, as `docs/cli.md` defines them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from istio_netpol.model.flows import AddressPeer, HostPeer, Peer, PodsPeer, RequiredFlow


def peer_shapes(peer: Peer) -> Iterator[dict[str, Any]]:
    """The PEER objects of a peer: one, or one a CIDR where nothing else names a set of addresses."""
    match peer:
        case PodsPeer(workload=workload):
            ref = workload.ref
            labels = dict(sorted(workload.labels.items()))
            yield {"namespace": ref.namespace, "kind": ref.kind, "name": ref.name, "labels": labels}
        case AddressPeer(addresses=addresses, host=host):
            networks = [str(network) for network in addresses.networks()]
            if host and len(networks) != 1:
                yield {"host": host}
            else:
                yield from ({"cidr": network} for network in networks)
        case HostPeer(host=host):
            yield {"host": host}
        case _:
            yield {"any": True}


def flow_shapes(flow: RequiredFlow | None) -> Iterator[dict[str, Any] | None]:
    """The `flow` of a finding; several only where a peer is several CIDRs without a name."""
    if flow is None:
        yield None
        return
    for source, destination in product(peer_shapes(flow.source), peer_shapes(flow.destination)):
        yield {
            "source": source,
            "destination": destination,
            "protocol": str(flow.protocol),
            "port": flow.port,
        }
