"""A form of node-local DNS that settings don't show: pods that Cilium redirects DNS queries to."""

from __future__ import annotations

from istio_netpol.model.labels import Selector
from istio_netpol.model.references import ASSUMED, ObjectRef
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.platforms.environments import NODE_LOCAL_DNS_LABELS
from istio_netpol.state.snapshot import Snapshot


def with_node_local_dns(snapshot: Snapshot, settings: Settings) -> Snapshot:
    """The snapshot; where the settings say that the environment has node-local DNS, with pods that answer
    besides, unless some are there. A bundle for an environment serves each form that it takes there."""
    dns = settings.dns
    caches = snapshot.select(dns.namespace, Selector.of(NODE_LOCAL_DNS_LABELS))
    if not dns.node_local_address or not all(pods.host_network for pods in caches):
        return snapshot
    ref = ObjectRef("apps/v1", "DaemonSet", dns.namespace, "node-local-dns-in-pods", ASSUMED)
    return snapshot.with_changes(put=[Workload(ref, NODE_LOCAL_DNS_LABELS)])
