"""The control plane that is assumed where the input holds none, as the standard charts install it."""

from __future__ import annotations

from dataclasses import dataclass

from istio_netpol.model.connections import Protocol
from istio_netpol.model.labels import Labels
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import ContainerPort, Workload
from istio_netpol.state.reader import Answers, Reader, question

ASSUMED = "(assumed)"
"""The file of what was read nowhere."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """A workload that is assumed, and the sentence that says so."""

    workload: Workload
    sentence: str


class StandIns:
    """Makes the stand-ins. Each is a question, so that whoever took one is known, and with the last of them
    it is gone."""

    def __init__(self, reader: Reader, settings: Settings) -> None:
        self.reader = reader
        self._settings = settings
        reader.take(self)

    def __contains__(self, workload: Workload) -> bool:
        """Whether a workload is one: by where it was read."""
        return workload.ref.file == ASSUMED

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

    def gateway(self, labels: Labels | None = None) -> StandIn:
        """The ingress gateway of the standard chart; with `labels`, one that carries exactly these."""
        chosen = self._settings.mesh.gateway_labels if labels is None else labels
        return self._gateway(tuple(sorted(chosen.items())))

    @question
    def _gateway(self, labels: tuple[tuple[str, str], ...]) -> StandIn:
        ports = (ContainerPort(8080, "http2"), ContainerPort(8443, "https"))
        return _stand_in(self._workload("istio-ingressgateway", dict(labels), ports), "an ingress gateway")

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

    def _workload(self, name: str, labels: Labels, ports: tuple[ContainerPort, ...]) -> Workload:
        ref = ObjectRef("apps/v1", "Deployment", self._settings.mesh.root_namespace, name, ASSUMED)
        return Workload(ref=ref, labels=labels, ports=ports, service_account=f"{name}-service-account")


def _stand_in(workload: Workload, what: str, remark: str = "") -> StandIn:
    labels = ", ".join(f"{key}={value}" for key, value in sorted(workload.labels.items()))
    sentence = (
        f"the input holds no {what.removeprefix('an ')}: assumed {what} in namespace "
        f"{workload.namespace} with labels {labels}, which nothing isolates{remark}"
    )
    return StandIn(workload, sentence)


def assumptions_in(answers: Answers) -> tuple[str, ...]:
    """The sentences of the stand-ins among the answers to questions, sorted."""
    values = (answer.value for answer in answers.values())
    return tuple(sorted({value.sentence for value in values if isinstance(value, StandIn)}))
