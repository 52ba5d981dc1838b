"""Places pods of the host network, as far as the Nodes of an input tell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from istio_netpol.model.addresses import Address
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.workloads import NodeAddresses, Workload


def placed_on_nodes(objects: Sequence[ClusterObject]) -> tuple[ClusterObject, ...]:
    """The objects, with the addresses of all Nodes for each controller of hostNetwork pods of which the input
    has none: nothing says on which Nodes they will run."""
    internal = {address for node in objects if isinstance(node, NodeAddresses) for address in node.internal}
    if not internal:
        return tuple(objects)
    addresses = tuple(sorted(internal, key=lambda address: (address.version, int(address))))
    pods = [workload for workload in objects if isinstance(workload, Workload) and workload.ref.kind == "Pod"]
    return tuple(_placed(placed, addresses, pods) for placed in objects)


def _placed(value: ClusterObject, addresses: tuple[Address, ...], pods: Iterable[Workload]) -> ClusterObject:
    if not isinstance(value, Workload) or not value.host_network or value.ref.kind == "Pod":
        return value
    return value if any(_is_of(pod, value) for pod in pods) else replace(value, node_addresses=addresses)


def _is_of(pod: Workload, controller: Workload) -> bool:
    selector = controller.selector
    same_namespace = pod.namespace == controller.namespace
    return same_namespace and selector is not None and selector.matches(pod.labels)
