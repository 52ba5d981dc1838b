"""Where everything of the mesh is, and the commands that lay it out.

The functions return commands for whoever runs them: the tests through a sandbox, the node agent in it.
`script` makes one shell script of them, which is one process to start instead of ten.

    pytest ── 169.254.x.y/30 ── control-plane ── 172.18.0.0/16 ── worker ── pods, outside

The worker is the sandbox's own network namespace, everything else one that has a name. Pods and the outside
are routed, each over a link of its own: there is no bridge, so every packet of theirs passes the worker's
`forward` hook, where NetworkPolicies are enforced.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable
from pathlib import Path

Command = list[str]

WORKER_NODE = "node1"
WORKER = "172.18.0.3"
CONTROL_PLANE = "172.18.0.2"
API_SERVER_PORT = 6443
NODE_RANGE = "172.18.0.0/16"
POD_RANGE = "10.244.0.0/16"
SERVICE_RANGE = "10.96.0.0/16"
KUBERNETES_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"
CLUSTER_DOMAIN = "cluster.local"

CONTROL_PLANE_NETWORK = "control-plane"

CLIENT = "192.0.2.10"
IDENTITY = "198.51.100.10"
OUTSIDE_DNS = "198.51.100.53"
OUTSIDE_API = "203.0.113.10"
OUTSIDE = {"client": CLIENT, "identity": IDENTITY, "dns": OUTSIDE_DNS, "api": OUTSIDE_API}
"""Network namespaces that are no part of the cluster, with addresses of the ranges for documentation."""

OUTSIDE_ZONE = "example.test"
LOAD_BALANCERS = "192.0.2.100"
"""The first address that a Service of type LoadBalancer gets; the others follow it."""

GATEWAY = "169.254.1.1"
"""The next hop of everything that hangs on the worker. It is on the worker's loopback, of scope `link` so
that nothing is ever masqueraded as it: the node is seen as `WORKER`."""

RESOLV_CONF = "/etc/netns/{network}/resolv.conf"
"""What `ip netns exec` puts in the place of /etc/resolv.conf."""


def script(commands: Iterable[Command]) -> Command:
    """One command that runs all of them in order, up to the first that fails."""
    return ["sh", "-ec", "\n".join(map(shlex.join, commands))]


def worker() -> list[Command]:
    """Makes the sandbox's own network namespace a node that forwards, and that tells of every packet which it
    rejects. By default the kernel tells each sender once a second, and a client of DNS waits for timeouts."""
    return [
        _sysctl(
            "net.ipv4.ip_forward=1",
            "net.ipv4.icmp_ratelimit=0",
            "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.default.rp_filter=0",
            "net.ipv4.conf.all.route_localnet=1",
            "net.ipv6.conf.all.disable_ipv6=1",
            "net.ipv6.conf.default.disable_ipv6=1",
        ),
        _ip("link set lo up"),
        _ip(f"address add {GATEWAY}/32 dev lo scope link"),
    ]


def control_plane() -> list[Command]:
    """Makes the network namespace of the control plane, which reaches pods by way of the worker."""
    name, bits = CONTROL_PLANE_NETWORK, NODE_RANGE.partition("/")[2]
    return [
        _ip(f"netns add {name}"),
        _inside(name, "sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 net.ipv4.conf.all.rp_filter=0"),
        _ip(f"link add {name} type veth peer name eth0 netns {name}"),
        _ip(f"address add {WORKER}/{bits} dev {name}"),
        _ip(f"link set {name} up"),
        _ip(f"route add {SERVICE_RANGE} dev lo src {WORKER}"),  # for the node itself; kube-proxy redirects it
        _ip(f"-n {name} address add {CONTROL_PLANE}/{bits} dev eth0"),
        _ip(f"-n {name} link set lo up"),
        _ip(f"-n {name} link set eth0 up"),
        _ip(f"-n {name} route add default via {WORKER}"),
    ]


def to_host(interface: str, address: str) -> list[Command]:
    """Gives the control plane an interface of the worker whose other end is on the host."""
    name = CONTROL_PLANE_NETWORK
    return [
        _ip(f"link set {interface} netns {name}"),
        _ip(f"-n {name} address add {address}/30 dev {interface}"),
        _ip(f"-n {name} link set {interface} up"),
    ]


def outside() -> list[Command]:
    """Makes the network namespaces outside the cluster."""
    return [command for name, address in OUTSIDE.items() for command in attach(name, address)]


def attach(network: str, address: str) -> list[Command]:
    """Makes a network namespace with one address on a link to the worker: that of a pod, or one outside."""
    link = link_of(network)
    return [
        _ip(f"netns add {network}"),
        _inside(network, "sysctl -q -w net.ipv6.conf.all.disable_ipv6=1"),
        _ip(f"link add {link} type veth peer name eth0 netns {network}"),
        _ip(f"link set {link} up"),
        _ip(f"route add {address}/32 dev {link} src {WORKER}"),
        _ip(f"-n {network} address add {address}/32 dev eth0"),
        _ip(f"-n {network} link set lo up"),
        _ip(f"-n {network} link set eth0 up"),
        _ip(f"-n {network} route add default via {GATEWAY} dev eth0 onlink"),
    ]


def detach(network: str) -> list[Command]:
    """Removes a network namespace; its link first, which would stay for as long as a process is in it."""
    return [_ip(f"link delete {link_of(network)}"), _ip(f"netns delete {network}")]


def pod_network(namespace: str, pod: str) -> str:
    """The name of a pod's network namespace."""
    return f"{namespace}.{pod}"


def link_of(network: str) -> str:
    """The name of the worker's end of a link: the kernel allows fifteen characters."""
    return "to-" + hashlib.sha256(network.encode()).hexdigest()[:12]


def resolve_by(network: str, resolv_conf: str) -> Command:
    """Gives a network namespace a resolv.conf of its own."""
    path = Path(RESOLV_CONF.format(network=network))
    write = 'mkdir -p "$1" && printf %s "$2" >"$1/$3"'
    return ["sh", "-ec", write, "sh", str(path.parent), resolv_conf, path.name]


def _ip(words: str) -> Command:
    return ["ip", *words.split()]


def _inside(network: str, words: str) -> Command:
    return ["ip", "netns", "exec", network, *words.split()]


def _sysctl(*settings: str) -> Command:
    return ["sysctl", "-q", "-w", *settings]
