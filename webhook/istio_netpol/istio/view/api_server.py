"""Finds where pods reach the API server, and out of which pods it calls webhooks, as policies see it.

A client in a pod dials KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT (client-go, `InClusterConfig`).
The kubelet sets them to the ClusterIP of Service default/kubernetes; platforms set them to something else,
in pods that they admit, not in their controllers: Gardener in all of them, AKS in those that ask for it.

Where the control plane lies outside of the cluster's network, a tunnel carries its calls, and they come out
of the pods at the end of it: an ipBlock of the API server does not match them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.istio.view.backends import Backends
from istio_netpol.istio.view.stand_ins import StandIns
from istio_netpol.model.addresses import AddressSet, parse_address
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import API_SERVER, API_SERVER_SERVICE, AddressPeer, Peer, PodsPeer
from istio_netpol.model.labels import Selector
from istio_netpol.model.references import KUBERNETES_SERVICE
from istio_netpol.model.services import EndpointSlice, Service
from istio_netpol.model.settings import CallerSettings, Settings, Translation
from istio_netpol.model.workloads import DialledApiServer, Workload
from istio_netpol.platforms.environments import AKS_HOST_ANNOTATION, GARDENER_OPT_OUT, WEBHOOK_CALLERS
from istio_netpol.platforms.network_model import network_model
from istio_netpol.state.reader import Reader, question

_OWN_NAMES = frozenset({"kubernetes", "kubernetes.default", "kubernetes.default.svc"})
_HTTPS = 443


class ApiServerTarget(Struct, frozen=True):
    """One place at which pods reach the API server.

    `why` is a clause on what is dialled to get there, empty for the Service's endpoints. `service` is the
    Service whose address is dialled, `choosers` the namespaces that decide who is behind its name.
    `is_administered` says that the pods' own author did not choose it.
    """

    peer: Peer
    port: int
    why: str = ""
    service: Service | None = None
    choosers: tuple[str, ...] = ()
    is_administered: bool = True


class SeenHost(Struct, frozen=True):
    """What running pods dial, and the pods that show it."""

    dialled: DialledApiServer
    seen_at: str


class ApiServer:
    """What pods dial for the API server, by one reader."""

    def __init__(
        self,
        reader: Reader,
        settings: Settings,
        backends: Backends,
        trusted: Callable[[], frozenset[str]],
    ) -> None:
        self.reader = reader
        self._settings = settings.api_server
        self._model = network_model(settings)
        self._own_names = _OWN_NAMES | {f"kubernetes.default.svc.{settings.mesh.cluster_domain}"}
        self._backends = backends
        self._trusted = trusted
        reader.take(self)

    @question
    def endpoints(self) -> AddressSet:
        """The addresses behind the Service, as settings or its EndpointSlice name them; empty if unknown."""
        if self._settings.addresses:
            return AddressSet.of(*self._settings.addresses)
        listed = (endpoint for slice_ in self._slices() for endpoint in slice_.endpoints)
        return AddressSet.of(*(address for endpoint in listed for address in endpoint.addresses))

    @question
    def of_service(self) -> ApiServerTarget:
        """What policies see of a packet to the Service: its own address, or the endpoints'."""
        service = self.reader.find(Service, *KUBERNETES_SERVICE)
        if self._model.judges is Translation.BEFORE:
            return self._before_translation(service)
        addresses = self.endpoints()
        ports = [port.port for slice_ in self._slices() for port in slice_.ports]
        port = ports[0] if ports else self._settings.port
        return ApiServerTarget(AddressPeer(addresses) if addresses else API_SERVER, port, service=service)

    def targets(self, workload: Workload) -> tuple[ApiServerTarget, ...]:
        """All that the workload's pods may dial: the Service, and what their variables say instead."""
        service, instead = self.of_service(), tuple(self._dialled_instead(workload))
        if instead and not service.why:
            why = "pods that are told nothing else dial Service default/kubernetes, behind which it is"
            service = replace(service, why=why)
        found: dict[tuple[str, int], ApiServerTarget] = {}
        for target in (service, *instead):
            found.setdefault((target.peer.key, target.port), target)
        return tuple(found.values())

    @question
    def injected(self) -> tuple[SeenHost, ...]:
        """What pods dial where only administrators write, by the variables that they were given when they
        were admitted. Pods in the host's network are left out: network plugins are told in their own way."""
        found: dict[DialledApiServer, str] = {}
        for namespace in sorted(self._trusted()):
            for pods in self.reader.pods(namespace):
                for dialled in () if pods.host_network else pods.injected_api_servers:
                    found.setdefault(dialled, str(pods.ref))
        return tuple(SeenHost(dialled, found[dialled]) for dialled in sorted(found))

    def _before_translation(self, service: Service | None) -> ApiServerTarget:
        """The Service's address and port. Only the first address counts, since the variables hold no
        other."""
        why = "policies see the address of Service default/kubernetes, which is dialled"
        own = next(iter(service.cluster_ips), "") if service else ""
        address = parse_address(own) or parse_address(self._settings.service_address)
        port = next((port.port for port in service.ports), _HTTPS) if service else _HTTPS
        if address is None:
            return ApiServerTarget(API_SERVER_SERVICE, port, why, service)
        return ApiServerTarget(AddressPeer(AddressSet.of(address)), port, why, service)

    def _dialled_instead(self, workload: Workload) -> Iterator[ApiServerTarget]:
        """What the pods' own variables say; otherwise what other pods were given; otherwise what the settings
        say."""
        told = self._told_by_administrators(workload)
        if workload.api_servers:
            is_trusted = workload.namespace in self._trusted()
            meant = {seen.dialled for seen in self.injected()} | {seen.dialled for seen in told}
            places = {(dialled.host, dialled.port) for dialled in meant}
            for dialled in workload.api_servers:
                is_administered = is_trusted or (dialled.host, dialled.port) in places
                why = f"its pods dial {_place(dialled)} (KUBERNETES_SERVICE_HOST of their containers)"
                yield from self._at(dialled, why, is_administered, workload)
            return
        for seen in told:
            why = f"its pods dial {_place(seen.dialled)} ({seen.seen_at})"
            yield from self._at(seen.dialled, why, True, workload)

    def _told_by_administrators(self, workload: Workload) -> tuple[SeenHost, ...]:
        if workload.host_network or self._opts_out(workload):
            return ()
        asks = AKS_HOST_ANNOTATION in workload.annotations
        found = tuple(
            SeenHost(seen.dialled, f"KUBERNETES_SERVICE_HOST of {seen.seen_at}")
            for seen in self.injected()
            if asks or not seen.dialled.of_these_pods
        )
        if found or not self._settings.host:
            return found
        dialled = DialledApiServer(self._settings.host.rstrip("."), self._settings.host_port)
        return (SeenHost(dialled, "setting apiServer.host"),)

    def _opts_out(self, workload: Workload) -> bool:
        """Whether Gardener leaves the pods alone, by their label or by that of their namespace."""
        key, value = GARDENER_OPT_OUT
        namespace = self.reader.namespace(workload.namespace)
        return workload.labels.get(key) == value or namespace.labels.get(key) == value

    def _at(
        self, dialled: DialledApiServer, why: str, is_administered: bool, workload: Workload
    ) -> Iterator[ApiServerTarget]:
        """What answers there; nothing for other names of the Service itself."""
        if dialled.host in self._own_names or self._is_own_address(dialled.host):
            return
        for backend in self._backends.of_host(dialled.host, workload.namespace, dialled.port):
            if backend.protocol is Protocol.TCP:
                yield ApiServerTarget(
                    backend.peer, backend.port, why, backend.service, backend.choosers, is_administered
                )

    def _is_own_address(self, host: str) -> bool:
        service = self.reader.find(Service, *KUBERNETES_SERVICE)
        return host == self._settings.service_address or (service is not None and host in service.cluster_ips)

    def _slices(self) -> list[EndpointSlice]:
        """The slices that the API server keeps for itself. Anybody who writes in the namespace could write
        others."""
        slices = self.reader.all(EndpointSlice, KUBERNETES_SERVICE[0])
        return [slice_ for slice_ in slices if slice_.service == slice_.ref.name == KUBERNETES_SERVICE[1]]


def _place(dialled: DialledApiServer) -> str:
    host = f"[{dialled.host}]" if ":" in dialled.host else dialled.host
    return f"{host}:{dialled.port}"


class WebhookCallers:
    """Finds the callers of webhooks, by one reader."""

    def __init__(self, reader: Reader, settings: Settings, stand_ins: StandIns) -> None:
        self.reader = reader
        self._told = settings.api_server.callers
        self._stand_ins = stand_ins
        reader.take(self)

    @question
    def all(self) -> tuple[Peer, ...]:
        """The pods that settings name; otherwise those of a platform that are there; otherwise somebody at an
        unknown address, who may come out of pods of which sources contradict each other."""
        if self._told:
            pods = [pod for caller in self._told for pod in self._of_settings(caller)]
        else:
            pods = list(self._of_platforms(is_disputed=False))
        found = {pod.ref.key: PodsPeer(pod) for pod in pods}
        if found:
            return tuple(found[key] for key in sorted(found))
        disputed = () if self._told else tuple(self._of_platforms(is_disputed=True))
        return (replace(API_SERVER, pods=disputed),)

    def _of_platforms(self, *, is_disputed: bool) -> Iterator[Workload]:
        """The pods count only in kube-system, since elsewhere anybody may label pods so. They count even
        where the input says nothing of the namespace."""
        for caller in WEBHOOK_CALLERS:
            if caller.is_disputed is not is_disputed:
                continue
            namespace = self.reader.namespace(caller.namespace)
            is_marked = caller.namespace_labels.items() <= namespace.labels.items()
            if is_marked or not namespace.declared:
                for pods in self.reader.pods(caller.namespace, Selector.of(caller.pod_labels)):
                    if not pods.host_network:
                        yield pods

    def _of_settings(self, caller: CallerSettings) -> tuple[Workload, ...]:
        """The pods that are meant; a stand-in where the input lacks them and their namespace is named."""
        selector, wanted = Selector.of(caller.pod_labels), caller.namespace_labels.items()
        labelled = self.reader.namespaces_labelled(next(iter(caller.namespace_labels), ""))
        found = tuple(
            pods
            for place in ((caller.namespace,) if caller.namespace else labelled)
            if wanted <= self.reader.namespace(place).labels.items()
            for pods in self.reader.pods(place, selector)
        )
        if found or not caller.namespace:
            return found
        labels = tuple(sorted(caller.pod_labels.items()))
        return (self._stand_ins.caller(labels, caller.namespace).workload,)
