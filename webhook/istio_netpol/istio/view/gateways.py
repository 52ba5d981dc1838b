"""Finds which pods are gateways, and which Gateway they serve."""

from __future__ import annotations

from collections.abc import Iterable

from istio_netpol.istio.view.backends import Backends
from istio_netpol.istio.view.control_plane import ControlPlane
from istio_netpol.istio.view.kubernetes_gateways import (
    DEPLOYED,
    GATEWAY_NAME_LABEL,
    GatewayClasses,
    GatewayRole,
    service_to_be_deployed,
    to_be_deployed,
)
from istio_netpol.istio.view.service_registry import Hosts
from istio_netpol.istio.view.stand_ins import StandIns
from istio_netpol.model.control_plane import STATUS_ANNOTATION, TEMPLATES_ANNOTATION
from istio_netpol.model.gateway_api import KubernetesGateway
from istio_netpol.model.istio_networking import Gateway
from istio_netpol.model.labels import LabelPair, Labels, Operator, Requirement, Selector
from istio_netpol.model.own_names import KUBERNETES_NAMESPACES
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Service
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.state.reader import Reader, question
from istio_netpol.state.reads import Index

AUTO_PASSTHROUGH = "AUTO_PASSTHROUGH"
OLDER_GATEWAY_NAME_LABEL = "istio.io/gateway-name"

_GATEWAY_TEMPLATES = frozenset({"gateway", "grpc-gateway"})

SERVED_BY_THE_STANDARD_GATEWAY = frozenset({("kyma-system", "kyma-gateway")})
"""Gateways that everybody refers to, and whose pods run elsewhere: Kyma's default one selects those of
istio-system (kyma-project/api-gateway, `internal/reconciliations/gateway/kyma_gateway.yaml`)."""


class Gateways:
    """Matches gateways with their pods, by one reader."""

    def __init__(
        self,
        reader: Reader,
        settings: Settings,
        hosts: Hosts,
        backends: Backends,
        control_plane: ControlPlane,
        stand_ins: StandIns,
        classes: GatewayClasses,
    ) -> None:
        self.reader = reader
        self._settings = settings
        self._hosts = hosts
        self._backends = backends
        self._control_plane = control_plane
        self._stand_ins = stand_ins
        self._classes = classes
        reader.take(self)

    def is_gateway(self, workload: Workload, has_sidecar: bool) -> bool:
        """Whether pods run a gateway proxy: their labels say so, or a Gateway selects them and they have no
        sidecar."""
        if is_declared_gateway(workload):
            return not self._is_of_another_controller(workload)
        if has_sidecar and (not workload.has_proxy or STATUS_ANNOTATION in workload.annotations):
            return False
        return is_labelled_gateway(workload) or self._is_selected(workload)

    def _is_of_another_controller(self, workload: Workload) -> bool:
        """Whether pods without an istio-proxy belong to a Gateway whose class is not Istio's. Other
        implementations of the Gateway API label their pods with its name too."""
        name = workload.labels.get(GATEWAY_NAME_LABEL)
        if workload.has_proxy or name is None or is_injected_gateway(workload):
            return False
        gateway = self.reader.find(KubernetesGateway, workload.namespace, name, kind="Gateway")
        return gateway is not None and self._classes.role(gateway) not in DEPLOYED

    def _is_selected(self, workload: Workload) -> bool:
        """Whether a Gateway that may speak of these pods selects them."""
        pairs = workload.labels.items()
        is_in_question = any(not self.reader.lacks(GATEWAY_SELECTORS, pair) for pair in pairs)
        return is_in_question and self._is_meant(workload)

    @question
    def _is_meant(self, workload: Workload) -> bool:
        """The same for pods that have a label of a Gateway. It has to be a Gateway of their own namespace or
        of administrators; where administrators run a bare proxy, it may be any."""
        own, labels, trusted = (
            workload.namespace,
            workload.labels.items(),
            self._control_plane.trusted_namespaces(),
        )
        is_bare_proxy = own in trusted and workload.has_proxy
        return any(
            selector <= labels
            and (
                own in homes
                or (not self._control_plane.scopes_gateways() and (is_bare_proxy or bool(homes & trusted)))
            )
            for pair in labels
            if not self.reader.lacks(GATEWAY_SELECTORS, pair)
            for selector, homes in self._selectors_with(pair).items()
        )

    @question
    def _selectors_with(self, pair: LabelPair) -> dict[frozenset[LabelPair], frozenset[str]]:
        """The selectors of Gateways that begin with a pair, each with the namespaces of its Gateways."""
        homes: dict[frozenset[LabelPair], set[str]] = {}
        for gateway in self.reader.by_key(GATEWAY_SELECTORS, pair):
            homes.setdefault(frozenset(gateway.selector.items()), set()).add(gateway.ref.namespace)
        return {selector: frozenset(named) for selector, named in homes.items()}

    def of(self, gateway: Gateway) -> tuple[Workload, ...]:
        """The pods that a Gateway selects and that are believed to run its proxy; an empty selector selects
        every gateway.

        Stand-ins where the input holds none.
        """
        scope = gateway.ref.namespace if self._control_plane.scopes_gateways() else None
        if gateway.selector:
            selector = Selector.of(gateway.selector)
            found = self.reader.pods(scope, selector) if scope else self.reader.pods_anywhere(selector)
        else:
            found = tuple(workload for workload in self.real() if scope in (None, workload.namespace))
        believed = self._believed(found, gateway.ref.namespace)
        return believed or (() if found else self._assumed(gateway))

    def _believed(self, pods: Iterable[Workload], home: str) -> tuple[Workload, ...]:
        """The pods that run a gateway proxy in the Gateway's own namespace, or where only administrators
        write. Elsewhere a label proves nothing, and a selector may name anybody's pods."""
        places = (self._control_plane.trusted_namespaces() - KUBERNETES_NAMESPACES) | {home}
        return tuple(pod for pod in pods if pod.namespace in places and runs_gateway_proxy(pod))

    @question
    def east_west(self) -> tuple[Gateway, ...]:
        """The Gateways that pass on what other networks send."""
        return tuple(self.reader.by_key(TLS_MODES, AUTO_PASSTHROUGH))

    def is_served(self, pods: Workload) -> bool:
        """Whether a Gateway of the input, of whichever kind, opens ports on gateway pods."""
        home, labels = pods.namespace, pods.labels
        if GATEWAY_NAME_LABEL in labels or OLDER_GATEWAY_NAME_LABEL in labels:
            return True
        hosts = [
            written
            for service in self._backends.services_of(pods)
            for written in (service.name, *_names_in_full(service.name, home, self._settings))
        ]
        if any(self.reader.by_key(GATEWAY_ADDRESSES, *hosts)):
            return True
        return any(
            selector <= labels.items()
            for pair in labels.items()
            if not self.reader.lacks(GATEWAY_SELECTORS, pair)
            for selector in self._selectors_with(pair)
        )

    @question
    def any_real(self) -> bool:
        """Whether the input holds a gateway."""
        return bool(self.real())

    @question
    def real(self) -> tuple[Workload, ...]:
        """The gateways of the input that can be recognised by their labels."""
        exists = (
            Selector(match_expressions=(Requirement("istio", Operator.EXISTS),)),
            Selector(match_expressions=(Requirement(GATEWAY_NAME_LABEL, Operator.EXISTS),)),
            Selector.of({TEMPLATES_ANNOTATION: "gateway"}),
        )
        found = {workload: None for selector in exists for workload in self.reader.pods_anywhere(selector)}
        return tuple(workload for workload in found if self.is_gateway(workload, has_sidecar=False))

    def assumed_ingress(self) -> Workload | None:
        """The stand-in for an ingress gateway, unless the input holds a gateway."""
        return None if self.any_real() else self._stand_ins.standard_gateway().workload

    def assumed_for(self, namespace: str, name: str) -> Workload | None:
        """The stand-in for the pods of a Gateway that the input lacks, with the standard chart's labels in
        the Gateway's own namespace; unless the input holds a gateway."""
        if (namespace, name) in SERVED_BY_THE_STANDARD_GATEWAY:
            return self.assumed_ingress()
        if self.any_real():
            return None
        return self._stand_ins.gateway(self._settings.mesh.gateway_labels, namespace).workload

    def _assumed(self, gateway: Gateway) -> tuple[Workload, ...]:
        """The stand-in for the pods that a Gateway selects: the standard chart's, wherever the Gateway is, or
        some beside the Gateway. Not every mesh has an egress gateway."""
        if self.any_real() or labels_egress(gateway.selector):
            return ()
        if gateway.selector.items() <= self._settings.mesh.gateway_labels.items():
            return (self._stand_ins.standard_gateway().workload,)
        if self._control_plane.real_istiods():
            return ()
        return (self._stand_ins.gateway(gateway.selector, gateway.ref.namespace).workload,)

    def of_kubernetes(self, gateway: KubernetesGateway) -> tuple[Workload, ...]:
        """The pods behind the Services that a Gateway's addresses name, or otherwise those that istiod
        deploys for it.

        Where these do not run yet the answer holds them as they will be. They are not a stand-in: policies of
        their namespace apply.
        """
        ref, role = gateway.ref, self._classes.role(gateway)
        if role is GatewayRole.REMOTE:
            return ()
        if gateway.hostnames and role is not GatewayRole.FOREIGN:
            found = tuple(pod for host in gateway.hostnames for pod in self._behind(host, ref.namespace))
            return self._believed(found, ref.namespace)
        return self._deployed(ref) or self._predicted(gateway)

    def yet_to_come(self, gateway: KubernetesGateway) -> tuple[Workload, ...]:
        """The pods that istiod has yet to deploy for a Gateway."""
        return () if gateway.hostnames or self._deployed(gateway.ref) else self._predicted(gateway)

    def services_of(self, gateway: KubernetesGateway, pods: Workload) -> tuple[Service, ...]:
        """The Services in front of a Gateway's pods; the one that istiod will make, where there is none."""
        found = self._backends.services_of(pods)
        name = "" if gateway.hostnames else self._classes.deployed_name(gateway)
        if found or not name:
            return found
        return (service_to_be_deployed(gateway, self._classes.role(gateway), name),)

    def _deployed(self, ref: ObjectRef) -> tuple[Workload, ...]:
        for label in (GATEWAY_NAME_LABEL, OLDER_GATEWAY_NAME_LABEL):
            found = self.reader.pods(ref.namespace, Selector.of({label: ref.name}))
            if found:
                return found
        return ()

    @question
    def _predicted(self, gateway: KubernetesGateway) -> tuple[Workload, ...]:
        name = self._classes.deployed_name(gateway)
        if not name:
            return ()
        role = self._classes.role(gateway)
        return (to_be_deployed(gateway, role, name, in_ambient_mesh=self._control_plane.may_be_ambient()),)

    def _behind(self, host: str, namespace: str) -> tuple[Workload, ...]:
        service: Service | None = self._hosts.service(host, namespace)
        if service is not None and service.selector:
            return self.reader.pods(service.namespace, Selector.of(service.selector))
        named = self._hosts.service_name(host, namespace)
        if service is None and named and named[0] == self._settings.mesh.root_namespace:
            assumed = self.assumed_ingress()
            return (assumed,) if assumed else ()
        return ()


def is_declared_gateway(workload: Workload) -> bool:
    """Whether labels and annotations ask for a gateway proxy, or name the Gateway that the pods are for."""
    if is_injected_gateway(workload):
        return True
    return GATEWAY_NAME_LABEL in workload.labels or OLDER_GATEWAY_NAME_LABEL in workload.labels


def is_labelled_gateway(workload: Workload) -> bool:
    """Whether the pods themselves say that they are a gateway, not only some Gateway that selects them."""
    return is_declared_gateway(workload) or workload.labels.get("istio", "").endswith("gateway")


def runs_gateway_proxy(workload: Workload) -> bool:
    """Whether pods have a proxy that is not a sidecar, or labels and annotations that bring one."""
    is_sidecar = STATUS_ANNOTATION in workload.annotations and not is_declared_gateway(workload)
    return (workload.has_proxy and not is_sidecar) or is_labelled_gateway(workload)


def is_injected_gateway(workload: Workload) -> bool:
    """Whether the pods ask for the injection template of a gateway, as the `gateway` chart's do."""
    templates = workload.annotations.get(TEMPLATES_ANNOTATION) or workload.labels.get(
        TEMPLATES_ANNOTATION, ""
    )
    return bool(_GATEWAY_TEMPLATES & {template.strip() for template in templates.split(",")})


def is_egress_gateway(workload: Workload) -> bool:
    """Whether gateway pods serve the mesh's way out."""
    return labels_egress(workload.labels)


def labels_egress(labels: Labels) -> bool:
    """Whether labels are those of the `istio-egress` chart."""
    return "egress" in labels.get("istio", "") or "egress" in labels.get("app", "")


def _names_in_full(service: str, namespace: str, settings: Settings) -> tuple[str, ...]:
    """The ways to write the host of a Service with its namespace."""
    name = f"{service}.{namespace}"
    return (name, f"{name}.svc", f"{name}.svc.{settings.mesh.cluster_domain}")


def _first_pair(gateway: Gateway) -> list[LabelPair]:
    return sorted(gateway.selector.items())[:1]


GATEWAY_SELECTORS = Index("gateway-selectors", Gateway, _first_pair)


def _tls_modes(gateway: Gateway) -> set[str]:
    return {server.tls_mode for server in gateway.servers if server.tls_mode == AUTO_PASSTHROUGH}


TLS_MODES = Index("gateway-tls-modes", Gateway, _tls_modes)
GATEWAY_ADDRESSES = Index("gateway-addresses", KubernetesGateway, lambda gateway: gateway.hostnames)
"""The Gateways of the Gateway API by the hosts of Services that others deployed for them."""
