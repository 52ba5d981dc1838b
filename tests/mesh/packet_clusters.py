"""Clusters of the property tests as manifests whose pods are on a `PacketNetwork`, and what is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from click.testing import CliRunner
from hypothesis import strategies as st
from tests.mesh.packet_network import Attempt
from tests.strategies import PORTS, clusters

from istio_netpol.cli.main import program
from istio_netpol.manifests.encode import encode_policy
from istio_netpol.model.connections import Protocol
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.workloads import Namespace, Workload

Manifest = Mapping[str, Any]

POD_ADDRESSES = (
    "10.0.0.1", "10.0.0.2", "10.1.0.1", "10.244.0.1", "10.1.0.2", "10.130.0.1",
    "172.20.0.1", "10.0.0.5", "192.168.0.5", "10.1.255.255", "10.2.0.0", "200.0.0.5",
)  # fmt: skip
"""Inside and outside of the blocks that the policies of the property tests name, and next to their ends."""

NODE_ADDRESSES = ("192.168.0.1", "192.168.0.2", "10.0.0.9")
"""Of nodes beside the worker: what a hostNetwork pod sends comes from there."""

OUTSIDE_ADDRESSES = (
    "8.8.8.8", "200.0.0.1", "10.0.0.3", "10.1.9.9", "10.100.0.1", "10.200.0.1", "192.168.0.9",
    "169.254.169.254",
)  # fmt: skip

UNNAMED_PORT = 2
PROBED_PORTS = (*PORTS, UNNAMED_PORT)
PROTOCOLS = (Protocol.TCP, Protocol.UDP)
"""SCTP is compiled as these are, but few kernels have it."""

NETWORKS: dict[str, Sequence[str]] = {
    **{f"pod-{place}": (address,) for place, address in enumerate(POD_ADDRESSES)},
    **{f"node-{place}": (address,) for place, address in enumerate(NODE_ADDRESSES)},
    "outside": OUTSIDE_ADDRESSES,
}

Allows = Callable[[str, str, Protocol, int], bool]
"""Whether somebody may call somebody: peers as `list` names pods, or addresses."""


@dataclass(frozen=True, slots=True)
class PlacedCluster:
    """The manifests, and the addresses of their pods by the names that `list` has for them; `hosts` are the
    pods in the network of a node."""

    manifests: tuple[Manifest, ...]
    pods: Mapping[str, str]
    hosts: Mapping[str, str]
    ports: tuple[int, ...]

    def attempts(self) -> Iterator[tuple[str, str, Attempt]]:
        """Every pair of which one is a pod, and every port that a policy or a pod names plus one."""
        outside = {address: address for address in OUTSIDE_ADDRESSES}
        peers = {**self.pods, **self.hosts, **outside}
        for source, sent_from in peers.items():
            for destination, sent_to in peers.items():
                if sent_from == sent_to or not (source in self.pods or destination in self.pods):
                    continue
                for protocol in PROTOCOLS:
                    for port in self.ports:
                        yield source, destination, Attempt(sent_from, sent_to, protocol, port)


@st.composite
def placed_clusters(draw) -> PlacedCluster:
    """A cluster of which each workload has one pod or two, somewhere."""
    free = list(draw(st.permutations(POD_ADDRESSES)))
    objects = draw(clusters())
    pods: dict[Workload, tuple[str, ...]] = {}
    for workload in (item for item in objects if isinstance(item, Workload)):
        if workload.host_network:
            pods[workload] = (draw(st.sampled_from(NODE_ADDRESSES)),)
        else:
            pods[workload] = tuple(free.pop() for _ in range(draw(st.integers(1, 2))))
    return placed(objects, pods)


def placed(objects: Iterable[object], pods: Mapping[Workload, Sequence[str]]) -> PlacedCluster:
    """These policies and namespaces, with a pod at each of the addresses of each workload."""
    objects = list(objects)
    policies = [item for item in objects if isinstance(item, NetworkPolicy)]
    manifests: list[Manifest] = [_namespace(item) for item in objects if isinstance(item, Namespace)]
    manifests += [encode_policy(policy) for policy in policies]
    found: dict[bool, dict[str, str]] = {True: {}, False: {}}
    for workload, addresses in pods.items():
        for place, address in enumerate(addresses):
            name = f"{workload.ref.name}-{place}"
            manifests.append(_pod(workload, name, address))
            found[workload.host_network][f"{workload.namespace}/Pod/{name}"] = address
    return PlacedCluster(tuple(manifests), found[False], found[True], tuple(_ports(policies, pods)))


def listed(manifests: Sequence[Manifest]) -> Allows:
    """What `istio-netpol list` says of manifests, as a person would ask it."""
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
    done = CliRunner().invoke(program, ["list", "-", "-f", "json"], input=given)
    assert done.exit_code == 0, done.output
    rows: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    ranges: set[str] = set()
    for row in json.loads(done.stdout)["connections"]:
        rows[row["source"], row["destination"]] = row["ports"]
        ranges |= {end for end in (row["source"], row["destination"]) if "/" not in end}

    def names(peer: str) -> list[str]:
        if "/" in peer:
            return [peer]
        return [addresses for addresses in ranges if _holds(addresses, peer)]

    def allows(source: str, destination: str, protocol: Protocol, port: int) -> bool:
        return any(
            entry["protocol"] == protocol and entry["from"] <= port <= entry["to"]
            for source_name in names(source)
            for destination_name in names(destination)
            for entry in rows.get((source_name, destination_name), ())
        )

    return allows


def _holds(addresses: str, address: str) -> bool:
    low, _, high = addresses.partition("-")
    first, last, wanted = map(ip_address, (low, high, address))
    return first.version == wanted.version and int(first) <= int(wanted) <= int(last)


def _ports(policies: Sequence[NetworkPolicy], workloads: Iterable[Workload]) -> Iterator[int]:
    named = {
        port
        for policy in policies
        for rule in (*policy.ingress, *policy.egress)
        for entry in rule.ports
        for port in (entry.port, entry.end_port)
        if isinstance(port, int)
    }
    named |= {port.number for workload in workloads for port in workload.ports}
    yield from sorted(named)
    yield UNNAMED_PORT


def _namespace(namespace: Namespace) -> Manifest:
    metadata = {"name": namespace.name, "labels": dict(namespace.labels)}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _pod(workload: Workload, name: str, address: str) -> Manifest:
    ports = [
        {
            "containerPort": port.number,
            "protocol": str(port.protocol),
            **({"name": port.name} if port.name else {}),
        }
        for port in workload.ports
    ]
    metadata = {"namespace": workload.namespace, "name": name, "labels": dict(workload.labels)}
    host = address if workload.host_network else NODE_ADDRESSES[0]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "hostNetwork": workload.host_network,
            "containers": [{"name": "main", "image": "main", "ports": ports}],
        },
        "status": {"phase": "Running", "hostIP": host, "podIP": address, "podIPs": [{"ip": address}]},
    }
