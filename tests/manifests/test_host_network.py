"""Where pods of the host network will be seen."""

from __future__ import annotations

from ipaddress import ip_address

from msgspec.structs import replace
from tests.values import deployment

from istio_netpol.manifests.load import placed_on_nodes
from istio_netpol.model.labels import Selector
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.workloads import NodeAddresses, Workload

ADDRESSES = (ip_address("172.18.0.2"), ip_address("172.18.0.10"), ip_address("fd00::2"))
NODES = [
    NodeAddresses(ObjectRef("v1", "Node", "", name), addresses, internal=addresses)
    for name, addresses in (("one", ADDRESSES[1:2]), ("two", (ADDRESSES[2], ADDRESSES[0])))
]
EDGE = replace(
    deployment("edge/gateway", app="gateway"), host_network=True, selector=Selector.of({"app": "gateway"})
)


def addresses(*objects: object) -> list[tuple[object, ...]]:
    """Those of the workloads among the objects."""
    return [placed.node_addresses for placed in placed_on_nodes(objects) if isinstance(placed, Workload)]


def test_controllers_of_pods_to_come_may_run_on_every_node() -> None:
    """In the order of the addresses, whatever that of the Nodes."""
    assert addresses(EDGE, *NODES) == addresses(*reversed(NODES), EDGE) == [ADDRESSES]


def test_without_nodes_nothing_is_known() -> None:
    """Nor are addresses on the internet where pods are seen."""
    outside = NodeAddresses(ObjectRef("v1", "Node", "", "one"), ADDRESSES)
    assert addresses(EDGE) == addresses(EDGE, outside) == [()]


def test_others_have_addresses_of_their_own() -> None:
    """Pods of the cluster's network, and those that run already."""
    running = replace(
        deployment("edge/gateway-1", app="gateway"),
        ref=ObjectRef("v1", "Pod", "edge", "gateway-1"),
        host_network=True,
        node_addresses=ADDRESSES[:1],
    )
    assert addresses(replace(EDGE, host_network=False), *NODES) == [()]
    assert addresses(EDGE, running, *NODES) == [(), ADDRESSES[:1]]
