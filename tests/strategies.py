"""Hypothesis strategies of clusters. The alphabets are small, so that selectors and blocks often match."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import strategies as st

from istio_netpol.model.addresses import AddressSet, IpBlock
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AddressPeer, AnyPeer, HostPeer, PodsPeer
from istio_netpol.model.labels import EVERYTHING, NAMESPACE_NAME_LABEL, Operator, Requirement, Selector
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.tiers import Action, Tier, TierPolicy, TierRule
from istio_netpol.model.workloads import ContainerPort, Namespace, NodeAddresses, Workload

NAMESPACES = ("ns-a", "ns-b", "ns-c")
PORTS = (1, 80, 81, 8080, 65535)
PROBED_PORTS = (1, 2, 79, 80, 81, 82, 8079, 8080, 8081, 65534, 65535)
"""A port in each stretch that `PORTS` divides the ports into."""
PORT_NAMES = ("http", "grpc")
POD_ADDRESSES = ("10.0.0.1", "10.0.0.2", "10.1.0.1", "fd00::1", "fd00::2")
NODE_ADDRESSES = ("192.168.0.1", "192.168.0.2", "10.0.0.9", "fd00::9")
BLOCKS = (
    "0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/8", "10.0.0.1/30", "10.0.0.1/32", "10.1.0.0/16",
    "192.168.0.0/16", "192.168.0.1/32", "::/0", "::/1", "8000::/1", "fd00::/8", "fd00::1/128",
)  # fmt: skip
EXCEPTIONS = {
    "0.0.0.0/0": ("10.0.0.0/8", "192.168.0.2/32", "169.254.169.254/32", "224.0.0.0/3"),
    "10.0.0.0/8": ("10.0.0.1/32", "10.1.0.0/16", "10.0.0.0/9"),
    "::/0": ("fd00::/8", "fe80::/9", "ff02::1/128"),
    "fd00::/8": ("fd00::1/128",),
}

protocols = st.sampled_from(Protocol)
directions = st.sampled_from(Direction)
labels = st.dictionaries(st.sampled_from(("app", "tier")), st.sampled_from("xyz"), max_size=2)

requirements = st.builds(
    Requirement,
    st.sampled_from(("app", "tier")),
    st.sampled_from((Operator.IN, Operator.NOT_IN)),
    st.frozensets(st.sampled_from("xyz"), min_size=1, max_size=2),
) | st.builds(
    Requirement,
    st.sampled_from(("app", "tier")),
    st.sampled_from((Operator.EXISTS, Operator.DOES_NOT_EXIST)),
)
selectors = st.builds(Selector.of, labels) | st.builds(
    lambda some, expressions: Selector(Selector.of(some).match_labels, tuple(expressions)),
    labels,
    st.lists(requirements, max_size=2),
)

namespace_labels = st.dictionaries(st.just("team"), st.sampled_from("xyz"), max_size=1)
namespace_selectors = (
    st.builds(Selector.of, namespace_labels)
    | st.builds(lambda name: Selector.of({NAMESPACE_NAME_LABEL: name}), st.sampled_from(NAMESPACES))
    | st.builds(
        lambda operator, values: Selector((), (Requirement("team", operator, frozenset(values)),)),
        st.sampled_from((Operator.IN, Operator.NOT_IN)),
        st.sets(st.sampled_from("xyz"), min_size=1, max_size=2),
    )
    | st.builds(
        lambda operator: Selector((), (Requirement("team", operator),)),
        st.sampled_from((Operator.EXISTS, Operator.DOES_NOT_EXIST)),
    )
)


def addresses(texts: tuple[str, ...]) -> st.SearchStrategy[tuple]:
    """Up to three of these addresses: one or both families, or none known."""
    return st.lists(st.sampled_from(texts), unique=True, max_size=3).map(
        lambda some: tuple(ip_address(text) for text in some)
    )


container_ports = st.lists(
    st.builds(ContainerPort, st.sampled_from(PORTS), st.sampled_from(("", *PORT_NAMES)), protocols),
    max_size=3,
).map(tuple)


@st.composite
def workloads(draw, namespaces=NAMESPACES, names=("w0", "w1", "w2")):
    """A Deployment with labels, ports and addresses; sometimes in the host's network."""
    ref = ObjectRef("apps/v1", "Deployment", draw(st.sampled_from(namespaces)), draw(st.sampled_from(names)))
    return Workload(
        ref,
        draw(labels),
        ports=draw(container_ports),
        host_network=draw(st.integers(0, 5)) == 0,
        addresses=draw(addresses(POD_ADDRESSES)),
        node_addresses=draw(addresses(NODE_ADDRESSES)),
    )


def _port(protocol: Protocol, port: int | str | None, end: int | None) -> PolicyPort:
    has_range = isinstance(port, int) and end is not None and end >= port
    return PolicyPort(protocol, port, end if has_range else None)


policy_ports = st.builds(
    _port,
    protocols,
    st.none() | st.sampled_from(PORTS) | st.sampled_from(PORT_NAMES),
    st.none() | st.sampled_from(PORTS),
)


@st.composite
def ip_blocks(draw):
    """A CIDR, with exceptions within it where the table has some."""
    cidr = draw(st.sampled_from(BLOCKS))
    exceptions = EXCEPTIONS.get(cidr, ())
    return IpBlock(cidr, tuple(exception for exception in exceptions if draw(st.booleans())))


policy_peers = (
    st.builds(PolicyPeer, pod_selector=selectors)
    | st.builds(PolicyPeer, namespace_selector=namespace_selectors)
    | st.builds(PolicyPeer, pod_selector=selectors, namespace_selector=namespace_selectors)
    | st.builds(PolicyPeer, ip_block=ip_blocks())
)
policy_rules = st.builds(
    PolicyRule,
    st.lists(policy_peers, max_size=3).map(tuple),
    st.lists(policy_ports, max_size=2).map(tuple),
)
rule_lists = st.lists(policy_rules, max_size=3).map(tuple)


def policies(names=("p0", "p1", "p2", "p3")) -> st.SearchStrategy[NetworkPolicy]:
    """A policy with rules in both directions, of which its policyTypes may leave one unused."""
    return st.builds(
        NetworkPolicy,
        st.builds(
            ObjectRef,
            st.just("networking.k8s.io/v1"),
            st.just("NetworkPolicy"),
            st.sampled_from(NAMESPACES),
            st.sampled_from(names),
        ),
        selectors,
        st.frozensets(directions, min_size=1),
        rule_lists,
        rule_lists,
    )


DOMAINS = ("example.com", "*.example.com", "other.example.org")
node_selectors = st.builds(Selector.of, st.dictionaries(st.just("zone"), st.sampled_from("xy"), max_size=1))


@st.composite
def tier_rules(draw, direction: Direction):
    """A rule of a tier; networks, nodes and domain names are for egress alone, and have no port names."""
    action = draw(st.sampled_from(Action))
    selecting = st.builds(PolicyPeer, namespace_selector=namespace_selectors) | st.builds(
        PolicyPeer, pod_selector=selectors, namespace_selector=namespace_selectors
    )
    nodes = domains = ()
    if direction is Direction.EGRESS:
        networks = st.builds(PolicyPeer, ip_block=st.builds(IpBlock, st.sampled_from(BLOCKS)))
        everywhere = [PolicyPeer(ip_block=IpBlock(cidr)) for cidr in ("0.0.0.0/0", "::/0")]
        peers = draw(st.lists(selecting | networks, max_size=3) | st.just(everywhere))
        nodes = tuple(draw(st.lists(node_selectors, max_size=1)))
        if action is Action.ACCEPT:
            domains = tuple(draw(st.lists(st.sampled_from(DOMAINS), max_size=1)))
    else:
        peers = draw(st.lists(selecting, min_size=1, max_size=2))
    has_names = not nodes and not domains and all(peer.ip_block is None for peer in peers)
    ports = [entry for entry in draw(st.lists(policy_ports, max_size=2)) if entry.port is not None]
    named = [port for port in ports if has_names or not isinstance(port.port, str)]
    return TierRule(action, tuple(peers), nodes, domains, tuple(named))


def tier_ref(name: str) -> ObjectRef:
    return ObjectRef("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", "", name)


def tier_rule_for_all(action: Action) -> TierRule:
    """A rule that matches everybody, wherever they are."""
    networks = tuple(PolicyPeer(ip_block=IpBlock(cidr)) for cidr in ("0.0.0.0/0", "::/0"))
    return TierRule(action, (PolicyPeer(namespace_selector=EVERYTHING), *networks))


@st.composite
def tier_policies(draw, names=("t0", "t1", "t2", "t3")):
    """A policy of one of the tiers; priorities are often equal."""
    name = draw(st.sampled_from(names))
    tier = draw(st.sampled_from(Tier))
    ingress, egress = (
        tuple(draw(st.lists(tier_rules(direction), max_size=3)))
        for direction in (Direction.INGRESS, Direction.EGRESS)
    )
    subject = (draw(namespace_selectors), draw(st.just(EVERYTHING) | selectors))
    return TierPolicy(tier_ref(name), tier, draw(st.sampled_from((0, 5, 5, 1000))), *subject, ingress, egress)


@st.composite
def nodes(draw):
    """Two Nodes, or none."""
    if not draw(st.booleans()):
        return []
    return [
        NodeAddresses(
            ObjectRef("v1", "Node", "", f"n{index}"),
            (ip_address(address),),
            (),
            {"zone": draw(st.sampled_from("xy"))},
        )
        for index, address in enumerate(NODE_ADDRESSES[:2])
    ]


@st.composite
def clusters(draw, tiered=False):
    """The objects of a cluster, each reference once; some namespaces are only implied."""
    found = [
        Namespace(
            ObjectRef("v1", "Namespace", "", name), {NAMESPACE_NAME_LABEL: name} | draw(namespace_labels)
        )
        for name in NAMESPACES
        if draw(st.booleans())
    ]
    found += draw(st.lists(workloads(), min_size=1, max_size=6, unique_by=lambda workload: workload.ref))
    found += draw(st.lists(policies(), max_size=6, unique_by=lambda policy: policy.ref))
    if tiered:
        found += draw(
            st.lists(tier_policies(), min_size=1, max_size=4, unique_by=lambda tier_policy: tier_policy.ref)
        )
        found += draw(nodes())
    return found


outside = st.builds(
    lambda texts: AddressPeer(AddressSet.of(*texts)),
    st.lists(st.sampled_from((*POD_ADDRESSES, *NODE_ADDRESSES, *BLOCKS, "8.8.8.8")), min_size=1, max_size=2),
) | st.sampled_from(
    (
        AnyPeer(),
        AnyPeer("pods", in_cluster=True),
        HostPeer("example.com"),
        AddressPeer(AddressSet.of("8.8.8.8"), "www.example.com"),
    )
)


@st.composite
def questions(draw, tiered=False):
    """The objects of a cluster, and a source, destination, protocol and port to ask it about."""
    objects = draw(clusters(tiered=tiered))
    pods = st.sampled_from([PodsPeer(resource) for resource in objects if isinstance(resource, Workload)])
    source, destination = draw(st.tuples(pods, pods | outside) | st.tuples(outside, pods))
    return objects, source, destination, draw(protocols), draw(st.sampled_from(PROBED_PORTS))
