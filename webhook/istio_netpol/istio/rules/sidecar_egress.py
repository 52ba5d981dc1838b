"""Sidecar: the hosts that `egress` names exactly are those that the selected workloads call.

A Sidecar enforces nothing; it says which destinations its workloads know. `ns/host` with a host in full is as
good as a declaration that they call it. Wildcards (`*/*`, `./*`, `ns/*`, `*.example.com`) only bound what
they might call, and a Sidecar of the root namespace without a selector is the default of every namespace:
neither names a need.
"""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.call_flows import Declaration, backends_on, called
from istio_netpol.istio.destinations import offered
from istio_netpol.istio.mesh_routes import Call, mesh_routes, routes_on
from istio_netpol.istio.rule import Outcome, Rule, unknown
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.findings import Finding
from istio_netpol.model.flows import FlowKind
from istio_netpol.model.istio_networking import ServiceEntry, Sidecar
from istio_netpol.model.labels import Selector
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload


def outcomes(sidecar: Sidecar, view: MeshView) -> Iterator[Outcome]:
    """Flows from every selected workload to every host that is named exactly; a finding for a host that is
    not known."""
    if sidecar.ref.namespace == view.root_namespace and not sidecar.workload_selector:
        return
    clients = _clients(sidecar, view)
    for index, listener in enumerate(sidecar.egress):
        for position, entry in enumerate(listener.hosts):
            home, _, host = entry.rpartition("/")
            if "*" in host or home == "~":
                continue
            field = f"spec.egress[{index}].hosts[{position}]"
            target = _target(sidecar, home or "*", host, field, view)
            if isinstance(target, Finding):
                yield target
                continue
            declared = Declaration(
                sidecar.ref, field, f"{sidecar.ref} names {entry} among the hosts that its workloads call"
            )
            yield from _called(host.rstrip(".").lower(), declared, target, listener.port, clients, view)


def _called(
    host: str,
    declared: Declaration,
    target: Service | ServiceEntry,
    port: int,
    clients: tuple[Workload, ...],
    view: MeshView,
) -> Iterator[Outcome]:
    """The flows to a host, on one port or on all (0), as routes of the mesh lead them."""
    routes = mesh_routes(view, host, declared.ref.namespace)
    for number in offered(target) if not port else (port,):
        direct = backends_on(view, target, number)
        for client in clients:
            call = Call(client, host, number, routes_on(target, number))
            yield from called(view, declared, call, target, direct, routes)


def _clients(sidecar: Sidecar, view: MeshView) -> tuple[Workload, ...]:
    """The selected pods that have a sidecar. A Sidecar does not concern gateways and pods in ambient mode."""
    selected = view.selected(sidecar.ref.namespace, Selector.of(sidecar.workload_selector or {}))
    return tuple(pod for pod in selected if view.injection(pod).injected and not view.is_gateway(pod))


def _target(
    sidecar: Sidecar, home: str, host: str, field: str, view: MeshView
) -> Service | ServiceEntry | Finding:
    own = sidecar.ref.namespace
    # An entry that names a namespace chooses the names that are written there.
    target = view.resolve_host(host, own, () if home in ("*", ".") else (home,))
    if target is None:
        return unknown(
            sidecar.ref,
            field,
            f"there is no Service or ServiceEntry with the host {host}; create it, or correct the entry",
        )
    if isinstance(target, Service):
        full = view.service_host(target)
        if host.rstrip(".").lower() != full:
            return unknown(
                sidecar.ref, field, f"Istio compares full names, so {host} matches nothing; write {full}"
            )
    expected = own if home == "." else home
    if expected not in ("*", target.ref.namespace):
        return unknown(
            sidecar.ref,
            field,
            f"{target.ref} is not in namespace {expected}, so {home}/{host} matches nothing; correct the "
            "namespace",
        )
    return target


RULE = Rule(
    name="sidecar-egress",
    kind=FlowKind.WORKLOAD_TO_WORKLOAD,
    subjects=(Sidecar,),
    sources=(
        "https://istio.io/latest/docs/reference/config/networking/sidecar/#IstioEgressListener (Istio 1.28)",
    ),
    outcomes=outcomes,
)
