"""Makes the control plane that is assumed where the input holds none, as the standard charts install it."""

from __future__ import annotations

from msgspec import Struct

from istio_netpol.model.assumptions import Assumption
from istio_netpol.model.connections import Protocol
from istio_netpol.model.labels import Labels
from istio_netpol.model.references import ASSUMED, ObjectRef
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import ContainerPort, Workload
from istio_netpol.state.reader import EarlierAnswers, Reader, question


class StandIn(Struct, frozen=True):
    """A workload that is assumed, and the sentence that reports it."""

    workload: Workload
    assumption: Assumption


class StandIns:
    """Makes the stand-ins. Each is a question, so the objects that took one are known, and it is gone with
    the last of them."""

    def __init__(self, reader: Reader, settings: Settings) -> None:
        self.reader = reader
        self._settings = settings
        reader.take(self)

    @question
    def istiod(self, not_counted: tuple[str, ...] = ()) -> StandIn:
        """The istiod of the standard chart; `not_counted` are namespaces whose istiod is not trusted."""
        remark = ""
        if not_counted:
            remark = (
                f"; the one of namespace {' and '.join(not_counted)} does not count until the "
                "setting admission.trustedNamespaces says that only administrators write there"
            )
        mesh = self._settings.mesh
        ports = (
            ContainerPort(mesh.discovery_port, "tls-xds"),
            ContainerPort(mesh.injection_webhook_port, "webhooks"),
        )
        return _stand_in(self._workload("istiod", mesh.istiod_labels, ports), "istiod", remark)

    def standard_gateway(self) -> StandIn:
        """The ingress gateway of the standard chart."""
        return self.gateway(self._settings.mesh.gateway_labels, self._settings.mesh.root_namespace)

    def gateway(self, labels: Labels, namespace: str) -> StandIn:
        """An ingress gateway with these labels, in a namespace unless settings name another one."""
        place = self._settings.mesh.gateway_namespace or namespace
        return self._gateway(tuple(sorted(labels.items())), place)

    @question
    def _gateway(self, labels: tuple[tuple[str, str], ...], namespace: str) -> StandIn:
        ports = (ContainerPort(8080, "http2"), ContainerPort(8443, "https"))
        workload = self._workload("istio-ingressgateway", dict(labels), ports, namespace)
        return _stand_in(workload, "an ingress gateway")

    @question
    def dns(self) -> StandIn:
        """Cluster DNS, as the settings describe it."""
        dns = self._settings.dns
        ports = (
            ContainerPort(dns.port, "dns", Protocol.UDP),
            ContainerPort(dns.port, "dns-tcp", Protocol.TCP),
        )
        ref = ObjectRef("apps/v1", "Deployment", dns.namespace, "coredns", ASSUMED)
        return _stand_in(Workload(ref=ref, labels=dns.labels, ports=ports), "cluster DNS")

    @question
    def caller(self, labels: tuple[tuple[str, str], ...], namespace: str) -> StandIn:
        """The pods out of which the API server calls webhooks, as the settings describe them."""
        ref = ObjectRef("apps/v1", "Deployment", namespace, "api-server-caller", ASSUMED)
        return _stand_in(Workload(ref=ref, labels=dict(labels)), "a caller of webhooks")

    def _workload(
        self, name: str, labels: Labels, ports: tuple[ContainerPort, ...], namespace: str = ""
    ) -> Workload:
        place = namespace or self._settings.mesh.root_namespace
        ref = ObjectRef("apps/v1", "Deployment", place, name, ASSUMED)
        return Workload(ref=ref, labels=labels, ports=ports, service_account=f"{name}-service-account")


def _stand_in(workload: Workload, what: str, remark: str = "") -> StandIn:
    labels = ", ".join(f"{key}={value}" for key, value in sorted(workload.labels.items()))
    assumed = f"{what} in namespace {workload.namespace} with labels {labels}, which nothing isolates{remark}"
    return StandIn(
        workload, Assumption(f"the input holds no {what.removeprefix('an ').removeprefix('a ')}", assumed)
    )


def stand_ins_in(answers: EarlierAnswers) -> tuple[StandIn, ...]:
    """The stand-ins among the answers to questions, each once, sorted."""
    values = (answer.value for answer in answers.values())
    found = {value.assumption: value for value in values if isinstance(value, StandIn)}
    return tuple(found[assumption] for assumption in sorted(found))


def assumptions_in(answers: EarlierAnswers) -> tuple[Assumption, ...]:
    """What the answers to questions assume, sorted."""
    values = (answer.value for answer in answers.values())
    alone = {value for value in values if isinstance(value, Assumption)}
    return tuple(sorted(alone | {stand_in.assumption for stand_in in stand_ins_in(answers)}))
