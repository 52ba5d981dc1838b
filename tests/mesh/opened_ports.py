"""What policies open, port by port, held against the connections that were really made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from tests.mesh.connections import Connected

if TYPE_CHECKING:
    from tests.mesh.mesh import Mesh

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Opened:
    """A port that a policy of a kind opens in one direction."""

    kind: str
    direction: str
    protocol: str
    port: int


def unused(mesh: Mesh, policies: Iterable[Manifest], made: set[Connected]) -> set[Opened]:
    """What the policies open and no connection used."""
    pods = mesh.api.request("GET", "/api/v1/pods").object["items"]
    spaces = mesh.api.request("GET", "/api/v1/namespaces").object["items"]
    labels = {space["metadata"]["name"]: space["metadata"]["labels"] for space in spaces}
    addresses = Addresses(pods, labels)
    return {opened for policy in policies for opened in _unused(policy, addresses, made)}


@dataclass(frozen=True, slots=True)
class Addresses:
    """Who is where: Pods, and the labels of namespaces."""

    pods: list[Manifest]
    namespaces: dict[str, dict[str, str]]

    def of(self, namespace: str, selector: Manifest) -> set[str]:
        """The addresses of a namespace's pods with these labels."""
        return {
            pod["status"].get("podIP", "")
            for pod in self.pods
            if pod["metadata"]["namespace"] == namespace and _matches(selector, pod["metadata"]["labels"])
        }

    def admits(self, peers: list[Manifest], home: str, address: str) -> bool:
        """Whether an address is one of a rule's peers; without any, everybody is."""
        return not peers or any(self._is(peer, home, address) for peer in peers)

    def _is(self, peer: Manifest, home: str, address: str) -> bool:
        if "ipBlock" in peer:
            return ip_address(address) in ip_network(peer["ipBlock"]["cidr"])
        spaces = [home]
        if "namespaceSelector" in peer:
            spaces = [
                name
                for name, labels in self.namespaces.items()
                if _matches(peer["namespaceSelector"], labels)
            ]
        return any(address in self.of(space, peer.get("podSelector", {})) for space in spaces)


def _unused(policy: Manifest, addresses: Addresses, found: set[Connected]) -> Iterator[Opened]:
    metadata, spec = policy["metadata"], policy["spec"]
    home = metadata["namespace"]
    own = addresses.of(home, spec["podSelector"])
    for direction, side in (("ingress", "from"), ("egress", "to")):
        for rule in spec.get(direction, ()):
            for port in rule["ports"]:
                opened = Opened(
                    metadata["labels"]["istio-netpol.io/flow"], direction, port["protocol"], port["port"]
                )
                peers = rule.get(side, [])
                if not any(_uses(made, opened, own, peers, home, addresses) for made in found):
                    yield opened


def _uses(
    made: Connected, opened: Opened, own: set[str], peers: list[Manifest], home: str, addresses: Addresses
) -> bool:
    if (made.protocol, made.port) != (opened.protocol, opened.port):
        return False
    ends = (
        (made.destination, made.source) if opened.direction == "ingress" else (made.source, made.destination)
    )
    return ends[0] in own and addresses.admits(peers, home, ends[1])


def _matches(selector: Manifest, labels: dict[str, str]) -> bool:
    assert selector.keys() <= {"matchLabels"}, f"not understood here: {selector}"
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
