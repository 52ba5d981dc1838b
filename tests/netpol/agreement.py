"""What the engine and the naive evaluator have to agree on, for any cluster."""

from tests import strategies as some
from tests.netpol.naive import NaiveCluster
from tests.netpol.tables import parse_range, ports_at, table

from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.connections import ConnectionSet, Protocol
from istio_netpol.model.flows import AddressPeer, PodsPeer
from istio_netpol.model.policies import Direction
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.connectivity import connections
from istio_netpol.netpol.evaluate import judge
from istio_netpol.state.snapshot import Snapshot

PROBES = [(protocol, port) for protocol in Protocol for port in some.PROBED_PORTS]


def judge_agrees(question):
    """Both sides of a verdict are what the API reference says, read literally."""
    objects, source, destination, protocol, port = question
    naive = NaiveCluster(objects)
    verdict = judge(Snapshot.of(objects), source, destination, protocol, port)
    for side, direction, subject, peer in (
        (verdict.egress, Direction.EGRESS, source, destination),
        (verdict.ingress, Direction.INGRESS, destination, source),
    ):
        assert side.allowed == naive.allows(subject, direction, peer, destination, (protocol, port))


def connections_between_workloads_agree(objects):
    """A pair of workloads is listed with exactly the ports that both sides allow."""
    naive = NaiveCluster(objects)
    peers = [PodsPeer(resource) for resource in objects if isinstance(resource, Workload)]
    listed = table(objects)
    for source in peers:
        for destination in peers:
            if source.key == destination.key:
                continue
            ports = listed.get((source.key, destination.key), ConnectionSet())
            for protocol, port in PROBES:
                assert ports.contains(protocol, port) == (
                    naive.allows(source, Direction.EGRESS, destination, destination, (protocol, port))
                    and naive.allows(destination, Direction.INGRESS, source, destination, (protocol, port))
                )


def connections_with_addresses_agree(objects):
    """Every address is in a range with exactly the ports that the workload's side allows."""
    naive = NaiveCluster(objects)
    listed = table(objects)
    families = (4, 6) if any(":" in name and "." not in name for pair in listed for name in pair) else (4,)
    for workload in (resource for resource in objects if isinstance(resource, Workload)):
        inside = PodsPeer(workload)
        for address in (landmark for landmark in naive.landmarks if landmark.version in families):
            outside = AddressPeer(AddressSet.of(address))
            called, calling = ports_at(listed, inside.key, address)
            for protocol, port in PROBES:
                assert called.contains(protocol, port) == naive.allows(
                    inside, Direction.EGRESS, outside, outside, (protocol, port)
                )
                assert calling.contains(protocol, port) == naive.allows(
                    inside, Direction.INGRESS, outside, inside, (protocol, port)
                )


def connections_agree_with_judge(objects, probe):
    """A row holds a port exactly where the verdict on that connection is allowed."""
    snapshot = Snapshot.of(objects)
    peers = {peer.key: peer for peer in map(PodsPeer, snapshot.every_workload())}
    for source, destination, ports in connections(snapshot):
        ends = [peers.get(name) or AddressPeer(parse_range(name)) for name in (source, destination)]
        assert ports.contains(*probe) == judge(snapshot, *ends, *probe).allowed
