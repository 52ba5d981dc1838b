"""Replaces flows to hosts whose addresses turn out to be the cluster's own."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from istio_netpol.istio.hbone import meant_by, reached
from istio_netpol.istio.view.backends import Backend
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.istio.witness import MeshWitness
from istio_netpol.model.addresses import NO_ADDRESSES, Address, AddressSet
from istio_netpol.model.flows import FlowKey, FlowKind, PodsPeer, RequiredFlow
from istio_netpol.trust.agreement import agreement_of

_MOST_ADDRESSES = 256
"""How many addresses of one range are looked at: more adjacent ones than a host has."""


def led_inside(
    flow: RequiredFlow, addresses: AddressSet, view: MeshView
) -> tuple[tuple[RequiredFlow, ...], AddressSet]:
    """The flows to the pods behind those of a host's addresses that are the cluster's own, and its other
    addresses. The agreement is worked out again, since the pods' namespace has a word of its own."""
    inside: dict[FlowKey, RequiredFlow] = {}
    others = NO_ADDRESSES
    for low, high in addresses.ranges():
        if int(high) - int(low) >= _MOST_ADDRESSES:
            others |= AddressSet.from_range(low.version, int(low), int(high))
            continue
        for value in range(int(low), int(high) + 1):
            address = type(low)(value)
            found = {destination.key: destination for destination in _to_pods(flow, address, view)}
            inside.update(found)
            others = others if found else others | AddressSet.of(address)
    return tuple(inside.values()), others


def _to_pods(flow: RequiredFlow, address: Address, view: MeshView) -> Iterator[RequiredFlow]:
    for backend in view.behind_address(address, flow.object.namespace, flow.port, flow.protocol):
        client = flow.source
        if not isinstance(client, PodsPeer):
            yield _to(flow, backend, backend, view)
            continue
        for wire in reached(view, client.workload, backend.service, backend):
            yield _to(flow, backend, wire, view)


def _to(flow: RequiredFlow, backend: Backend, wire: Backend, view: MeshView) -> RequiredFlow:
    meant, meant_port = meant_by(backend, wire)
    is_call = flow.kind is FlowKind.WORKLOAD_TO_EXTERNAL and isinstance(wire.peer, PodsPeer)
    led = replace(
        flow,
        kind=FlowKind.WORKLOAD_TO_WORKLOAD if is_call else flow.kind,
        destination=wire.peer,
        port=wire.port,
        via=replace(
            flow.via,
            service=backend.service,
            choosers=(*flow.via.choosers, *backend.choosers),
            granted=False,
            meant=meant,
            meant_port=meant_port,
        ),
    )
    return led.with_agreement(agreement_of(led, MeshWitness(view)))
