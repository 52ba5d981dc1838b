"""Metrics: scrapers reach the metrics ports of proxies and of istiod, where the settings ask for it.

15020 has the merged metrics of agent, Envoy and application, 15090 Envoy's own; ztunnel has 15020, istiod and
the CNI agent 15014. Of Kyma's modules those count whose metrics no policy of their own opens. Every pod of
the namespaces that the administrator names scrapes, or anybody where none is named.
"""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.components import CNI_NODE, component_of
from istio_netpol.istio.rule import Outcome, Rule
from istio_netpol.istio.view.injection import is_ztunnel
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AnyPeer, FlowKind, Peer, PodsPeer, RequiredFlow, Via
from istio_netpol.model.workloads import Workload
from istio_netpol.platforms.kyma_modules import kyma_workload
from istio_netpol.platforms.kyma_workload import KymaNeed

AGENT_PORT, ENVOY_PORT, ISTIOD_PORT, CNI_PORT = 15020, 15090, 15014, 15014


def outcomes(workload: Workload, view: MeshView) -> Iterator[Outcome]:
    """Flows onto the metrics ports of one workload; none unless `check_scrape` is set."""
    if not view.settings.check_scrape or workload.host_network:
        return
    for port, metrics in _metrics_ports(workload, view):
        for source in _scrapers(workload, view):
            yield RequiredFlow(
                kind=FlowKind.SCRAPE,
                object=workload.ref,
                source=source,
                destination=PodsPeer(workload),
                protocol=Protocol.TCP,
                port=port,
                reason=f"{metrics} of {workload.ref} are scraped there",
                via=Via(administered=True),
            )


def _metrics_ports(workload: Workload, view: MeshView) -> Iterator[tuple[int, str]]:
    if workload in view.every_istiod():
        yield ISTIOD_PORT, "the metrics"
    elif is_ztunnel(workload):
        yield AGENT_PORT, "the metrics"
    elif component_of(workload) is CNI_NODE:
        yield CNI_PORT, "the metrics"
    elif view.injection(workload).injected or view.is_gateway(workload):
        yield AGENT_PORT, "the merged metrics"
        yield ENVOY_PORT, "the proxy metrics"
    module = kyma_workload(workload.namespace, workload.labels)
    if module is not None and module.lacks(KymaNeed.METRICS):
        yield from ((port, "the metrics") for port in module.metrics)


def _scrapers(workload: Workload, view: MeshView) -> Iterator[Peer]:
    namespaces = view.settings.scrape_namespaces
    if not namespaces:
        yield AnyPeer("whoever scrapes metrics")
    for namespace in namespaces:
        for scraper in view.workloads(namespace):
            if scraper is not workload:
                yield PodsPeer(scraper)


RULE = Rule(
    name="scrape",
    kind=FlowKind.SCRAPE,
    subjects=(Workload,),
    sources=(
        "https://istio.io/latest/docs/ops/deployment/application-requirements/ (ports; Istio 1.28)",
        "istio/istio manifests/charts/istio-cni/templates/daemonset.yaml (15014; 1.28 to 1.31)",
        "kyma-project/istio 1.30.0 config/manager; kyma-project/api-gateway 3.10.0 config/manager",
    ),
    outcomes=outcomes,
)
