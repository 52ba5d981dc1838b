"""The control plane that is assumed where the input holds none, as the standard charts install it."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property

from istio_netpol.model.connections import Protocol
from istio_netpol.model.labels import Labels
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import ContainerPort, Workload

ASSUMED = "(assumed)"
"""The file of what was read nowhere."""


class StandIns:
    """Makes each stand-in once, and remembers which were taken."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._gateways: dict[tuple[tuple[str, str], ...], Workload] = {}
        self._taken: dict[Workload, str] = {}

    def __contains__(self, workload: Workload) -> bool:
        """Whether a workload is one, of this snapshot or of an earlier one: by where it was read."""
        return workload.ref.file == ASSUMED

    @property
    def assumptions(self) -> tuple[str, ...]:
        """One sentence for each stand-in that was taken, sorted."""
        return tuple(sorted(set(self._taken.values())))

    @property
    def namespaces(self) -> frozenset[str]:
        """Where the stand-ins that were taken are assumed to run."""
        return frozenset(workload.namespace for workload in self._taken)

    def istiod(self, not_counted: Collection[str] = ()) -> Workload:
        """The istiod of the standard chart; `not_counted` are namespaces whose istiod is not trusted."""
        remark = ""
        if not_counted:
            remark = (
                f"; the one of namespace {' and '.join(sorted(not_counted))} does not count until the "
                "setting admission.trustedNamespaces says that only administrators write there"
            )
        return self._take(self._istiod, "istiod", remark)

    def dns(self) -> Workload:
        return self._take(self._dns, "cluster DNS")

    def gateway(self, labels: Labels | None = None) -> Workload:
        """The ingress gateway of the standard chart; with `labels`, one that carries exactly these."""
        labels = self._settings.mesh.gateway_labels if labels is None else labels
        key = tuple(sorted(labels.items()))
        if key not in self._gateways:
            ports = (ContainerPort(8080, "http2"), ContainerPort(8443, "https"))
            self._gateways[key] = self._workload("istio-ingressgateway", labels, ports)
        return self._take(self._gateways[key], "an ingress gateway")

    @cached_property
    def _istiod(self) -> Workload:
        mesh = self._settings.mesh
        ports = (
            ContainerPort(mesh.discovery_port, "tls-xds"),
            ContainerPort(mesh.injection_webhook_port, "webhooks"),
        )
        return self._workload("istiod", mesh.istiod_labels, ports)

    @cached_property
    def _dns(self) -> Workload:
        dns = self._settings.dns
        ports = (
            ContainerPort(dns.port, "dns", Protocol.UDP),
            ContainerPort(dns.port, "dns-tcp", Protocol.TCP),
        )
        ref = ObjectRef("apps/v1", "Deployment", dns.namespace, "coredns", ASSUMED)
        return Workload(ref=ref, labels=dns.labels, ports=ports)

    def _workload(self, name: str, labels: Labels, ports: tuple[ContainerPort, ...]) -> Workload:
        ref = ObjectRef("apps/v1", "Deployment", self._settings.mesh.root_namespace, name, ASSUMED)
        return Workload(ref=ref, labels=labels, ports=ports, service_account=f"{name}-service-account")

    def _take(self, workload: Workload, what: str, remark: str = "") -> Workload:
        if workload not in self._taken:
            labels = ", ".join(f"{key}={value}" for key, value in sorted(workload.labels.items()))
            self._taken[workload] = (
                f"the input holds no {what.removeprefix('an ')}: assumed {what} in namespace "
                f"{workload.namespace} with labels {labels}, which nothing isolates{remark}"
            )
        return workload
