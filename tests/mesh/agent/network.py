"""The network namespace of a pod: `eth0` with an address of its own, and a route to everything by the node.

There is no bridge: each packet of a pod is routed by the node, so it passes the node's `forward` hook.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from tests.mesh import topology

UNPRIVILEGED = "net.ipv4.ip_unprivileged_port_start=0"
"""As container runtimes do: every user may listen on low ports."""


class Addresses:
    """Gives each pod an address that none had before: a policy never meets a stranger at a known one."""

    def __init__(self) -> None:
        self._numbers = itertools.count(10)

    def take(self) -> str:
        """The next one."""
        return str(IPv4Network(topology.POD_RANGE)[next(self._numbers)])


@dataclass(frozen=True, slots=True)
class Network:
    """A pod's network, in the namespace `name`; the node's own where the name is empty."""

    name: str
    address: str

    @property
    def entry(self) -> list[str]:
        """The command that runs another one in it."""
        return ["nsenter", f"--net=/run/netns/{self.name}", "--"] if self.name else []

    @property
    def resolver(self) -> str:
        """Its `resolv.conf`."""
        path = topology.RESOLV_CONF.format(network=self.name) if self.name else "/etc/resolv.conf"
        return Path(path).read_text()

    def remove(self) -> None:
        """Takes it away, with its interface; nothing happens if it is gone already."""
        if self.name:
            for command in topology.detach(self.name):
                subprocess.run(command, check=False, capture_output=True)
            shutil.rmtree(Path(topology.RESOLV_CONF.format(network=self.name)).parent, ignore_errors=True)


def make_network(pod: Mapping[str, Any], addresses: Addresses) -> Network:
    """Makes the pod's network. Raises OSError if the kernel refuses."""
    if pod["spec"].get("hostNetwork"):
        return Network("", topology.WORKER)
    name = topology.pod_network(pod["metadata"]["namespace"], pod["metadata"]["name"])
    network = Network(name, addresses.take())
    network.remove()  # what an attempt that failed has left
    commands = [
        topology.resolve_by(name, _resolver(pod)),
        *topology.attach(name, network.address),
        [*network.entry, "sysctl", "-q", "-w", UNPRIVILEGED],
    ]
    done = subprocess.run(topology.script(commands), text=True, capture_output=True, check=False)
    if done.returncode:
        raise OSError(f"the network of {name} can't be made: {done.stderr.strip()}")
    return network


def _resolver(pod: Mapping[str, Any]) -> str:
    """What the pod's dnsPolicy and dnsConfig ask for."""
    namespace, zone = pod["metadata"]["namespace"], topology.CLUSTER_DOMAIN
    servers, searches, options = [], [], []
    if pod["spec"].get("dnsPolicy") == "Default":
        servers = [topology.OUTSIDE_DNS]
    elif pod["spec"].get("dnsPolicy") != "None":
        servers = [topology.DNS_SERVICE]
        searches = [f"{namespace}.svc.{zone}", f"svc.{zone}", zone]
        options = ["ndots:5"]
    more = pod["spec"].get("dnsConfig", {})
    servers += more.get("nameservers", ())
    searches += more.get("searches", ())
    options += [":".join(filter(None, (o["name"], o.get("value")))) for o in more.get("options", ())]
    lines = [f"nameserver {server}" for server in servers]
    lines += [f"search {' '.join(searches)}"] if searches else []
    lines += [f"options {' '.join(options)}"] if options else []
    return "".join(f"{line}\n" for line in lines)
