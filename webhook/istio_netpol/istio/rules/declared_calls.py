"""The annotation `istio-netpol.io/calls` on a workload: connections that no other object tells of.

It opens egress in the workload's own namespace; the callee's ingress needs its consent. A sidecar also
connects where VirtualServices route what is called.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from msgspec import Struct

from istio_netpol.istio.call_flows import (
    Declaration,
    backends_on,
    called,
    dialled,
    flows_to,
    follows_routes,
    routes_for,
)
from istio_netpol.istio.calls import (
    FIELD,
    AddressCall,
    ApiServerWord,
    BadCall,
    HostCall,
    ServiceCall,
    parse_calls,
)
from istio_netpol.istio.control_plane_flows import to_api_server
from istio_netpol.istio.mesh_routes import Call, rerouted, routes_on, unheeded_routes
from istio_netpol.istio.rule import Outcome, Rule, Unjudged, foreign_routing, unknown
from istio_netpol.istio.view.backends import Backend
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.findings import Finding
from istio_netpol.model.flows import AddressPeer, FlowKind
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload


class _CallEntry(Struct, frozen=True):
    """One entry of a workload's annotation, in the words of its author."""

    workload: Workload
    text: str

    @property
    def declared(self) -> Declaration:
        reason = f"{self.workload.ref} declares that it calls {self.text}"
        return Declaration(self.workload.ref, FIELD, reason)

    def unknown(self, sentence: str) -> Finding:
        return unknown(self.workload.ref, FIELD, f"{self.text}: {sentence}")


def outcomes(workload: Workload, view: MeshView) -> Iterator[Outcome]:
    """The flows of every entry; a finding for each entry that can't be read or found."""
    calls = list(parse_calls(workload.calls))
    literals = (call.addresses.single for _, call in calls if isinstance(call, AddressCall))
    own = view.own_among(literal for literal in literals if literal)
    for text, call in calls:
        entry = _CallEntry(workload, text)
        match call:
            case BadCall():
                yield entry.unknown(f"the entry is not understood: {call.because}")
            case ApiServerWord():
                yield from to_api_server(workload, view, entry.declared.reason, FIELD)
            case AddressCall():
                yield from flows_to(view, entry.declared, workload, None, _at_address(entry, call, own, view))
            case HostCall():
                yield from _to_host(entry, call, view)
            case ServiceCall():
                yield from _to_named(entry, call, view)


def _at_address(
    entry: _CallEntry, call: AddressCall, own: frozenset[Hashable], view: MeshView
) -> tuple[Backend, ...]:
    """What answers at an address or range: pods where it is one address, and may be the cluster's `own`."""
    address, home = call.addresses.single, entry.workload.namespace
    behind: tuple[Backend, ...] = ()
    if address is not None and address in own:
        behind = view.behind_address(address, home, call.port, call.protocol)
    return behind or (Backend(AddressPeer(call.addresses), call.protocol, call.port),)


def _to_named(entry: _CallEntry, call: ServiceCall, view: MeshView) -> Iterator[Outcome]:
    namespace = call.namespace or entry.workload.namespace
    service = view.find_service(namespace, call.name)
    if service is None:
        yield entry.unknown(f"there is no Service {namespace}/{call.name}; create it, or correct the entry")
    else:
        yield from _to_service(entry, service, call.port, view)


def _to_host(entry: _CallEntry, call: HostCall, view: MeshView) -> Iterator[Outcome]:
    workload = entry.workload
    target = view.resolve_host(call.host, workload.namespace)
    foreign = view.unheeded_entry(call.host, workload.namespace)
    if foreign is not None:
        yield foreign_routing(workload.ref, FIELD, entry.text, foreign.ref)
    if isinstance(target, Service):
        yield from _to_service(entry, target, call.port, view)
        return
    if call.port is None:
        yield entry.unknown(
            f"there is no Service of this name, and a host needs a port, {entry.text}:443 for example"
        )
        return
    found = view.entry_backends(target, call.port) if target is not None else ()
    found = found or view.address_backends(call.host, workload.namespace, call.port)
    if not found:
        yield entry.unknown("there is no Service of this name; create it, or correct the entry")
    if target is None:
        yield from flows_to(view, entry.declared, workload, None, found)
        return
    host = call.host.rstrip(".").lower()
    yield from _foreign_routes(entry, host, view)
    asked = Call(workload, host, call.port, routes_on(target, call.port))
    yield from called(view, entry.declared, asked, target, found, routes_for(view, workload, host))


def _to_service(
    entry: _CallEntry, service: Service, port: int | str | None, view: MeshView
) -> Iterator[Outcome]:
    ports = [
        declared.port for declared in service.ports if port in (None, declared.port, declared.name or None)
    ]
    if not ports and (service.external_name or service.is_headless) and isinstance(port, int):
        ports = [port]
    if not ports:
        yield entry.unknown(_no_such_port(service, port))
        return
    client, host = entry.workload, view.service_host(service)
    routes = routes_for(view, client, host)
    yield from _foreign_routes(entry, host, view)
    calls = [Call(client, host, number, routes_on(service, number)) for number in ports]
    find = dialled if isinstance(port, int) else backends_on
    direct = {call.port: find(view, service, call.port) for call in calls}
    left = [call for call in calls if not rerouted(routes, call).is_whole]
    if left and not any(direct[call.port] for call in left):
        yield entry.unknown(
            f"nothing answers for {service.ref}; compare its selector and ports with the pods'"
        )
    for call in calls:
        yield from called(view, entry.declared, call, service, direct[call.port], routes)


def _foreign_routes(entry: _CallEntry, host: str, view: MeshView) -> Iterator[Finding]:
    """What other tenants' routes do to a call, which nothing is opened for."""
    client = entry.workload
    for foreign in unheeded_routes(view, host, client.namespace) if follows_routes(view, client) else ():
        yield foreign_routing(client.ref, FIELD, entry.text, foreign.ref)


def _no_such_port(service: Service, port: int | str | None) -> str:
    if port is None:
        return f"{service.ref} declares no ports; add one to the entry"
    known = (
        f"{declared.port} ({declared.name})" if declared.name else f"{declared.port}"
        for declared in service.ports
    )
    return f"{service.ref} has no port {port}; its ports: {', '.join(known) or 'none'}"


RULE = Rule(
    name="declared-calls",
    kind=FlowKind.WORKLOAD_TO_WORKLOAD,
    subjects=(Workload,),
    sources=(
        "docs/annotations: istio-netpol.io/calls; Kubernetes DNS for Services and Pods (Kubernetes 1.36)",
        "https://istio.io/latest/docs/reference/config/networking/virtual-service/ (gateways; Istio 1.28)",
    ),
    outcomes=outcomes,
    unjudged=(
        Unjudged(
            "calls that no annotation, Sidecar, ServiceEntry, route or AuthorizationPolicy declares",
            "nothing in the objects says that they exist",
            "under a deny-all, `undeclared` lists workloads of which nothing is known",
        ),
    ),
)
