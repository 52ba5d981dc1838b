"""The control plane under a bundle, with what stands for objects that its files leave out.

These are a Gateway for the ports that clients use of an ingress gateway, and pods of node-local DNS: a form
that settings don't show, to which Cilium redirects DNS queries.
"""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.analysis.bundle_proof.bundle_report import BundleObjects
from istio_netpol.istio.offered_ports import OUTSIDE_TYPES
from istio_netpol.istio.view.gateways import is_egress_gateway, is_injected_gateway, runs_gateway_proxy
from istio_netpol.istio.view.injection import is_ztunnel
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.gateway_api import KubernetesGateway
from istio_netpol.model.istio_networking import Gateway, GatewayServer
from istio_netpol.model.labels import Labels, Selector
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.references import ASSUMED, ObjectKey, ObjectRef
from istio_netpol.model.services import Service
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.platforms.environments import NODE_LOCAL_DNS_LABELS
from istio_netpol.state.snapshot import Snapshot

EAST_WEST = frozenset({"topology.istio.io/network"})
"""Labels of gateways between networks (istio/istio `samples/multicluster/gen-eastwest-gateway.sh`), whose
clients are the gateways of the others."""


def under_bundle(bundle: BundleObjects, control_plane: BundleObjects, settings: Settings) -> Snapshot:
    """The control plane under the policies of a bundle and no others."""
    snapshot = Snapshot.of([*without_policies(control_plane), *bundle])
    return _with_node_local_dns(snapshot.with_changes(put=tuple(_usual_gateways(snapshot))), settings)


def without_policies(control_plane: BundleObjects) -> list[ClusterObject]:
    """The control plane without its policies."""
    return [part for part in control_plane if not isinstance(part, NetworkPolicy)]


def _usual_gateways(snapshot: Snapshot) -> Iterator[Gateway]:
    """A Gateway on 80 and 443 for each ingress gateway of a control plane that has no Gateway at all,
    whatever the release is called."""
    if any(True for kind in (Gateway, KubernetesGateway) for _ in snapshot.every(kind)):
        return
    told: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
    served = set(_served_by_their_service(snapshot))
    for pod in snapshot.every_workload():
        labels = _telling_labels(pod)
        place = (pod.namespace, tuple(sorted(labels.items())))
        if _is_for_clients(pod) and pod.ref.key not in served and labels and place not in told:
            told.add(place)
            name = "ports-80-and-443" if len(told) == 1 else f"ports-80-and-443-of-{pod.name}"
            ref = ObjectRef("networking.istio.io/v1", "Gateway", pod.namespace, name, ASSUMED)
            yield Gateway(ref, labels, (GatewayServer(80, "HTTP"), GatewayServer(443, "HTTPS")))


def _served_by_their_service(snapshot: Snapshot) -> Iterator[ObjectKey]:
    """The gateways of which a Service says on which ports clients call: see the rule `gateway-services`."""
    for service in snapshot.every(Service):
        if service.type in OUTSIDE_TYPES and service.selector:
            for pod in snapshot.select(service.namespace, Selector.of(service.selector)):
                if is_injected_gateway(pod):
                    yield pod.ref.key


def _is_for_clients(pod: Workload) -> bool:
    is_east_west = not EAST_WEST.isdisjoint(pod.labels) or "eastwest" in pod.labels.get("istio", "")
    is_other = is_ztunnel(pod) or is_egress_gateway(pod) or is_east_west
    return runs_gateway_proxy(pod) and not is_other


def _telling_labels(pod: Workload) -> Labels:
    """The label by which Istio's documentation has Gateways select pods, else all of the pods' selector."""
    if "istio" in pod.labels:
        return {"istio": pod.labels["istio"]}
    return dict(pod.selector.match_labels) if pod.selector else pod.labels


def _with_node_local_dns(snapshot: Snapshot, settings: Settings) -> Snapshot:
    """The snapshot; where the settings say that the environment has node-local DNS, with pods that answer
    besides, unless some are there. A bundle for an environment serves each form that it takes there."""
    dns = settings.dns
    caches = snapshot.select(dns.namespace, Selector.of(NODE_LOCAL_DNS_LABELS))
    if not dns.node_local_address or not all(pods.host_network for pods in caches):
        return snapshot
    ref = ObjectRef("apps/v1", "DaemonSet", dns.namespace, "node-local-dns-in-pods", ASSUMED)
    return snapshot.with_changes(put=[Workload(ref, NODE_LOCAL_DNS_LABELS)])
