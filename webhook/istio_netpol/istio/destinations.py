"""Finds what answers for the destination of a VirtualService's route, by ExternalName Services too.

Such a Service is one more name of what Istio's registry holds. Istio makes no cluster for a host that the
registry does not hold. A route to it answers 503, or 500 if it is an HTTPRoute, and connects to nobody,
whatever DNS says of the host. A client without such a route asks DNS.

Source: `resolveServiceAliases` in `pilot/pkg/model/push_context.go`, Istio 1.31; seen on a running mesh.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from istio_netpol.istio.rule import unknown
from istio_netpol.istio.view.backends import Backend
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.connections import Protocol
from istio_netpol.model.findings import Finding
from istio_netpol.model.istio_networking import Destination, ServiceEntry
from istio_netpol.model.labels import Labels
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload


class Resolved(Struct, frozen=True):
    """The Service or ServiceEntry that a host means, and what is behind it. `through` are the namespaces of
    the Services that are another name for it."""

    target: Service | ServiceEntry
    backends: tuple[Backend, ...]
    through: tuple[str, ...] = ()

    def choosers(self, backend: Backend) -> tuple[str, ...]:
        """The namespaces that decide which pods a backend is."""
        return (*self.through, self.target.ref.namespace, *backend.choosers)


class DestinationQuery(Struct, frozen=True):
    """A destination, who wrote it, and who follows it: the client's namespace decides what is visible.

    `ports` are those that the client listens on, of which one is taken where the destination names none.
    `root` is the VirtualService that has the gateways, where `written_in` is its delegate."""

    destination: Destination
    written_in: ObjectRef
    client_namespace: str
    ports: frozenset[int]
    root: ObjectRef

    @property
    def authors(self) -> tuple[str, ...]:
        """The namespaces that say where the client connects."""
        return (self.written_in.namespace, self.root.namespace)


def answers(asked: DestinationQuery, view: MeshView) -> tuple[Resolved | None, tuple[Finding, ...]]:
    """The backends of a destination, as far as they can be found, and findings for the rest.

    Names are compared in full, they are not looked up by DNS: `cart.shop` is not a Service here, though a pod
    could resolve it (`ResolveShortnameToFQDN` in `pilot/pkg/model/virtualservice.go`, Istio 1.28).
    """
    host = view.full_name(asked.destination.host, asked.written_in.namespace)
    target = view.resolve_host(host, asked.client_namespace, asked.authors)
    if target is None:
        return None, (_unknown(asked, "", _no_such_host(asked.destination.host, host)),)
    if isinstance(target, Service) and host != view.service_host(target):
        sentence = (
            f"Istio takes a host with a dot for one in full, so {asked.destination.host} stands for nothing; "
            f"write {view.service_host(target)}"
        )
        return None, (_unknown(asked, "", sentence),)
    ports = _ports(asked, target)
    if isinstance(ports, Finding):
        return None, (ports,)
    if isinstance(target, ServiceEntry):
        found = _over_tcp(backend for port in ports for backend in view.entry_backends(target, port))
        nobody = (
            ()
            if found
            else (_unknown(asked, "host", f"{target.ref} names nothing that can be connected to"),)
        )
        return Resolved(target, found), nobody
    return _of_service(asked, target, ports, host, view)


def _over_tcp(backends: Iterable[Backend]) -> tuple[Backend, ...]:
    """Backends over TCP: a route carries nothing else, even where a Service offers the same port over UDP."""
    return tuple(backend for backend in backends if backend.protocol is Protocol.TCP)


def _of_service(
    asked: DestinationQuery, service: Service, ports: tuple[int, ...], host: str, view: MeshView
) -> tuple[Resolved | None, tuple[Finding, ...]]:
    subset: Labels | None = None
    name = asked.destination.subset
    if name:
        subset = view.subset_labels(host, name, asked.client_namespace)
        if subset is None:
            sentence = (
                f"no DestinationRule defines subset {name} of {service.ref}; create it, or correct the name"
            )
            return None, (_unknown(asked, "subset", sentence),)
    if service.external_name:
        return _of_alias(asked, service, ports, subset, view)
    found = _over_tcp(backend for port in ports for backend in view.backends(service, port, subset))
    findings = [
        _undeclared(asked, service, pod, port) for pod, port in view.undeclared(service, ports, subset)
    ]
    if not found and not findings:
        findings.append(_unknown(asked, "host", no_pods(service, name)))
    return Resolved(service, found), tuple(findings)


def _of_alias(
    asked: DestinationQuery, service: Service, ports: tuple[int, ...], subset: Labels | None, view: MeshView
) -> tuple[Resolved | None, tuple[Finding, ...]]:
    """The backends of an ExternalName, by the ports of what it is another name for."""
    target, through = aliased(service, asked.client_namespace, view, asked.authors)
    if target is None:
        return None, (_unknown(asked, "host", no_such_alias(service)),)
    found = _over_tcp(
        backend
        for port in ports
        for backend in (
            view.entry_backends(target, port)
            if isinstance(target, ServiceEntry)
            else view.backends(target, port, subset)
        )
    )
    if not found:
        listed = ", ".join(str(number) for number in ports)
        sentence = f"{service.ref} is another name for {target.ref}, behind which nothing answers on {listed}"
        return None, (_unknown(asked, "host", sentence),)
    return Resolved(target, found, through), ()


def _ports(asked: DestinationQuery, target: Service | ServiceEntry) -> tuple[int, ...] | Finding:
    """The target's ports that are meant.

    If none is named, it is the only one; if there are several, those on which the client itself listens.

    Source: `GetDestinationCluster` in `pilot/pkg/networking/core/route/route.go`, Istio 1.28.
    """
    ports = offered(target)
    wanted = asked.destination.port
    listed = ", ".join(str(number) for number in ports) or "none"
    if wanted is not None:
        if wanted in ports or (isinstance(target, Service) and target.external_name and not ports):
            return (wanted,)
        sentence = f"{target.ref} has no port {wanted}; its ports: {listed}"
        return _unknown(asked, "port.number", sentence)
    if len(ports) == 1:
        return ports
    found = tuple(sorted(asked.ports & set(ports)))
    if found:
        return found
    sentence = f"no port is named, and {target.ref} has several or none; name one of its ports: {listed}"
    return _unknown(asked, "port", sentence)


def is_about_ports(asked: DestinationQuery, finding: Finding) -> bool:
    """Whether a finding says that the destination names no port."""
    return finding.field == f"{asked.destination.field}.port"


def offered(target: Service | ServiceEntry) -> tuple[int, ...]:
    """The ports of a Service or ServiceEntry."""
    if isinstance(target, ServiceEntry):
        return tuple(dict.fromkeys(number.number for number in target.ports))
    return tuple(dict.fromkeys(declared.port for declared in target.ports))


def _unknown(asked: DestinationQuery, part: str, sentence: str) -> Finding:
    """A finding about a part of the destination, told of the object that wrote it."""
    base = asked.destination.field
    field = ".".join(name for name in (base, part or "host") if name)
    return unknown(asked.written_in, field, sentence)


def _no_such_host(written: str, full: str) -> str:
    meant = f"{written} ({full})" if written != full else written
    return f"there is no Service or ServiceEntry with the host {meant}; create it, or correct the host"


def no_pods(service: Service, subset: str = "") -> str:
    """A sentence about a Service, or a subset of it, behind which there are no pods."""
    if not service.selector:
        return f"{service.ref} has no selector, and the input holds no endpoints for it; add them"
    part = f"subset {subset} of {service.ref}" if subset else f"{service.ref}"
    return f"{part} selects no pods of the input; add its workload, or correct the selector"


def _undeclared(asked: DestinationQuery, service: Service, pod: Workload, port: str) -> Finding:
    return _unknown(asked, "host", undeclared_port(service, pod, port))


def undeclared_port(service: Service, pod: Workload, port: str) -> str:
    """A sentence about a target port by name that the pods of a Service do not have."""
    return (
        f"no container of {pod.ref} declares the target port {port!r} of {service.ref}; "
        "name the container port, or use its number"
    )


def aliased(
    service: Service, namespace: str, view: MeshView, authors: tuple[str, ...] = ()
) -> tuple[Service | ServiceEntry | None, tuple[str, ...]]:
    """The end of a chain of ExternalNames, None for a ring and for a host that Istio does not know by just
    that name; and the namespaces of the Services that lead there. `authors` are as in
    `MeshView.resolve_host`."""
    seen: dict[ObjectRef, None] = {}
    while service.external_name and service.ref not in seen:
        seen[service.ref] = None
        host = service.external_name.rstrip(".").lower()
        homes = tuple(dict.fromkeys(ref.namespace for ref in seen))
        target = view.resolve_host(host, namespace, (*authors, *homes))
        if isinstance(target, ServiceEntry):
            return (target if host in target.hosts else None), homes
        if target is None or host != view.service_host(target):
            return None, homes
        service = target
    homes = tuple(dict.fromkeys(ref.namespace for ref in seen))
    return (None if service.external_name else service), homes


def no_such_alias(service: Service) -> str:
    """What a finding says of an ExternalName that leads nowhere."""
    return (
        f"{service.ref} is another name for {service.external_name}, a host that Istio does not know, so it "
        "routes there nowhere; add a ServiceEntry for the host, or name a Service in full"
    )
