"""NetworkPolicies in nftables: one table, of which a transaction replaces the content.

Each direction has a set of the isolated pods and a set of what may pass: the pod's address, a range of peers,
the protocol and a range of ports. The forward hook comes after kube-proxy's DNAT, so Services are judged as
the pods that they stand for. Only packets of the pod network count as pods'; one that has an address there
which no pod is known to have is dropped, so that a pod has no moment without its policies.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address
from typing import NamedTuple

from tests.mesh.enforcement.cluster import Cluster
from tests.mesh.enforcement.compiler import Compiler, Range, Rules
from tests.mesh.enforcement.protocol import Style

from istio_netpol.model.connections import Protocol
from istio_netpol.model.policies import Direction

TABLE = "ip network_policies"
COMMAND = ("nft", "--file", "-")

DECLARATIONS = """\
table ip network_policies {
  set pods { type ipv4_addr; }
  set isolated_egress { type ipv4_addr; }
  set isolated_ingress { type ipv4_addr; }
  set allowed_egress { type ipv4_addr . ipv4_addr . inet_proto . inet_service; flags interval; }
  set allowed_ingress { type ipv4_addr . ipv4_addr . inet_proto . inet_service; flags interval; }
  set refused { type ipv4_addr . ipv4_addr . inet_proto . inet_service; flags dynamic; size 65535; }
  chain refuse { }
  chain egress { }
  chain ingress { }
  chain forward { type filter hook forward priority filter; policy accept; }
}
"""
"""Declared again, sets and chains stay as they are."""

SETS = ("pods", *(f"{kind}_{side}" for side in ("egress", "ingress") for kind in ("isolated", "allowed")))

RULES = """\
table ip network_policies {{
  chain refuse {{
    add @refused {{ ip saddr . ip daddr . meta l4proto . th dport }}
    {refusal}
  }}
  chain egress {{
    meta l4proto {{ tcp, udp, sctp }} ip saddr . ip daddr . meta l4proto . th dport @allowed_egress return
    goto refuse
  }}
  chain ingress {{
    meta l4proto {{ tcp, udp, sctp }} ip daddr . ip saddr . meta l4proto . th dport @allowed_ingress return
    goto refuse
  }}
  chain forward {{
    ct state established,related accept
    ip saddr {pod_network} ip saddr != @pods drop
    ip daddr {pod_network} ip daddr != @pods drop
    ip saddr @isolated_egress jump egress
    ip daddr @isolated_ingress jump ingress
  }}
}}
"""

REFUSALS = {
    Style.REJECT: "meta l4proto tcp reject with tcp reset\n    reject with icmp port-unreachable",
    Style.DROP: "drop",
}


TRANSPORTS = {protocol.lower(): protocol for protocol in Protocol}


class Refused(NamedTuple):
    """A packet that was refused, as it was after translation."""

    source: str
    destination: str
    protocol: Protocol
    port: int


class Nftables:
    """The firewall of the network namespace that this process is in."""

    def __init__(self, pod_network: str) -> None:
        self._pod_network = pod_network
        self._compiler = Compiler()

    def enforce(self, cluster: Cluster, style: Style) -> None:
        """Replaces all rules at once. Raises CalledProcessError, which says what nft said, and then nothing
        has changed."""
        run(ruleset(self._compiler.compile(cluster), style, self._pod_network))

    def lift(self) -> None:
        run(f"table {TABLE}\ndelete table {TABLE}\n")


def run(script: str) -> None:
    """Runs a script of nft as one transaction."""
    done = subprocess.run(COMMAND, input=script, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"nft: {done.stderr.strip()}")


def ruleset(rules: Rules, style: Style, pod_network: str) -> str:
    """A script that makes the table mean these rules."""
    lines = [DECLARATIONS, f"flush table {TABLE}", *(f"flush set {TABLE} {name}" for name in SETS)]
    lines.append(RULES.format(refusal=REFUSALS[style], pod_network=pod_network))
    lines += _elements("pods", map(str, rules.pods))
    for direction in Direction:
        side = direction.lower()
        lines += _elements(f"isolated_{side}", map(str, rules.isolated[direction]))
        lines += _elements(
            f"allowed_{side}",
            (
                f"{row.pod} . {_addresses(row.peers)} . {protocol.lower()} . {_range(ports)}"
                for row in rules.rows[direction]
                for protocol, ports in row.ports
            ),
        )
    return "\n".join(lines) + "\n"


def _elements(name: str, elements: Iterable[str]) -> Iterator[str]:
    if text := ", ".join(elements):
        yield f"add element {TABLE} {name} {{ {text} }}"


def _addresses(addresses: Range) -> str:
    low, high = map(IPv4Address, addresses)
    return str(low) if low == high else f"{low}-{high}"


def _range(ports: Range) -> str:
    low, high = ports
    return str(low) if low == high else f"{low}-{high}"


def refused(listing: str) -> list[Refused]:
    """The packets in what `nft --json list set ip network_policies refused` prints, each once."""
    (found,) = (entry["set"] for entry in json.loads(listing)["nftables"] if "set" in entry)
    packets: Sequence[Sequence[str | int]] = [element["concat"] for element in found.get("elem", ())]
    return sorted(
        Refused(str(source), str(destination), TRANSPORTS[str(protocol)], int(port))
        for source, destination, protocol, port in packets
        if protocol in TRANSPORTS
    )
