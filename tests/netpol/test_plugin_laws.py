"""What holds for every cluster as its network plugin sees it."""

from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests import strategies as some
from tests.netpol.naive_plugins import NaiveAws, NaiveCilium
from tests.netpol.tables import parse_range, ports_at

from istio_netpol.model.addresses import AddressSet, IpBlock
from istio_netpol.model.connections import ConnectionSet, Protocol
from istio_netpol.model.flows import AddressPeer, PodsPeer
from istio_netpol.model.labels import EVERYTHING, NAMESPACE_NAME_LABEL, Selector
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Dialled, Front, Service, ServicePort
from istio_netpol.model.settings import NetworkSettings, Settings
from istio_netpol.model.workloads import ContainerPort, Workload
from istio_netpol.netpol.connectivity import connections
from istio_netpol.netpol.evaluate import judge
from istio_netpol.state.network import cluster_network
from istio_netpol.state.snapshot import Snapshot

CLUSTER_IPS = ("10.96.0.10", "10.0.0.7", "192.168.0.50")


def seen_by(objects, plugin):
    """A snapshot as a network plugin judges it."""
    return Snapshot.of(objects).judged_by(cluster_network(Settings(network=NetworkSettings(plugin=plugin))))


HOME = "ns-a"
"""Where policies isolate every pod."""

BOTH = frozenset(Direction)


@st.composite
def isolated(draw, *, has_hosts=True):
    """Pods here and elsewhere, and up to three policies that isolate all of a namespace."""
    some_rules = st.lists(rules(), min_size=1, max_size=2).map(tuple)
    found = [
        NetworkPolicy(policy_ref(name), EVERYTHING, BOTH, draw(some_rules), draw(some_rules))
        for name in draw(st.lists(st.sampled_from(("p0", "p1", "p2")), min_size=1, unique=True))
    ]
    pods = workloads()
    found += draw(st.lists(pods, min_size=2, max_size=4, unique_by=lambda pod: pod.ref))
    ref = ObjectRef("apps/v1", "Deployment", HOME, "subject")
    found.append(Workload(ref, {"app": "x"}, ports=(ContainerPort(draw(PORT_NUMBERS), "http"),)))
    return found if has_hosts else at_one_address(found)


BLOCKS = tuple(
    IpBlock(cidr, exceptions)
    for cidr, exceptions in (
        ("0.0.0.0/0", ()),
        ("0.0.0.0/0", ("10.0.0.0/8",)),
        ("0.0.0.0/0", ("10.0.0.0/16", "192.168.0.0/16")),
        ("10.0.0.0/7", ()),
        ("10.0.0.0/8", ()),
        ("10.0.0.0/8", ("10.0.0.0/9",)),
        ("10.0.0.0/16", ("10.0.0.1/32", "10.0.0.7/32")),
        ("10.1.0.0/16", ()),
        ("192.168.0.0/24", ("192.168.0.0/25",)),
        ("10.0.0.7/32", ()),
    )
)
PROBES = ((Protocol.TCP, 80), (Protocol.TCP, 81), (Protocol.UDP, 80), (Protocol.TCP, 8080))


@st.composite
def rules(draw):
    """A rule of blocks, selectors or no peers, for few ports, so that rules often differ in one thing."""
    names = [Selector.of({NAMESPACE_NAME_LABEL: name}) for name in (HOME, "ns-b")]
    labels = st.sampled_from((EVERYTHING, Selector.of({"app": "x"}), Selector.of({"app": "y"})))
    blocks = st.builds(PolicyPeer, ip_block=st.sampled_from(BLOCKS))
    peers = blocks | blocks | st.builds(PolicyPeer, labels, st.sampled_from((None, *names)))
    ports = st.sampled_from(
        (
            PolicyPort(port=80),
            PolicyPort(port=80, end_port=81),
            PolicyPort(port="http"),
            PolicyPort(port=8080),
            PolicyPort(Protocol.UDP, 80),
            PolicyPort(),
        )
    )
    named = draw(st.lists(peers, min_size=1, max_size=2) | st.just([]))
    return PolicyRule(tuple(named), tuple(draw(st.lists(ports, min_size=1, max_size=1) | st.just([]))))


PORT_NUMBERS = st.sampled_from((80, 81, 8080))


@st.composite
def workloads(draw):
    """Pods of which some are alike in their labels, and not in what they call http."""
    found = draw(some.workloads(namespaces=(HOME, HOME, "ns-b")))
    labels = draw(st.sampled_from(({"app": "x"}, {"app": "y"}, {"app": "x", "tier": "y"})))
    return replace(found, labels=labels, ports=(ContainerPort(draw(PORT_NUMBERS), "http"),))


def policy_ref(name):
    return ObjectRef("networking.k8s.io/v1", "NetworkPolicy", HOME, name)


def at_one_address(objects):
    """Every pod with an address of its own."""
    places = iter(("10.0.0.1", "10.0.0.2", "10.1.0.1", "10.200.0.1", "192.168.0.2", "172.16.0.1"))
    return [
        replace(resource, host_network=False, addresses=(ip_address(next(places)),), node_addresses=())
        if isinstance(resource, Workload)
        else resource
        for resource in objects
    ]


def subject_of(snapshot):
    """The pods that the policies of the namespace isolate."""
    return snapshot.workloads_named(HOME, "Deployment", "subject")[0]


@st.composite
def with_nodes(draw):
    """The same with Nodes."""
    return [*draw(isolated()), *draw(some.nodes())]


@st.composite
def services(draw):
    """Services of which some have a selector that a peer's podSelector may be satisfied by."""
    port = st.builds(ServicePort, st.sampled_from((80, 81, 443)), st.sampled_from((80, 8080, "http")))
    ports = st.lists(port, min_size=1, max_size=2, unique_by=lambda entry: entry.port)
    selecting = st.sampled_from((None, {"app": "x"}, {"app": "y"}, {"app": "x", "tier": "y"}))
    homes = st.sampled_from((HOME, "ns-b"))
    return [
        Service(
            ObjectRef("v1", "Service", draw(homes), f"s{index}"),
            tuple(draw(ports)),
            draw(selecting),
            cluster_ips=(address,),
        )
        for index, address in enumerate(CLUSTER_IPS)
    ]


@settings(max_examples=200)
@given(with_nodes(), st.booleans(), some.outside, st.sampled_from(PROBES), st.data())
def test_judge_agrees_with_naive_cilium(objects, matches_nodes, outside, probe, data):
    """ipBlocks name nobody who has an identity: no pod, and no node unless the mode says so."""
    snapshot = seen_by(objects, "cilium-nodes" if matches_nodes else "cilium")
    naive = NaiveCilium(objects, matches_nodes)
    pods = [PodsPeer(workload) for workload in snapshot.every_workload()]
    subject, peer = PodsPeer(subject_of(snapshot)), data.draw(st.sampled_from([*pods, outside]))
    out, back = judge(snapshot, subject, peer, *probe), judge(snapshot, peer, subject, *probe)
    assert out.egress.allowed == naive.allows(subject, Direction.EGRESS, peer, peer, probe)
    assert back.ingress.allowed == naive.allows(subject, Direction.INGRESS, peer, subject, probe)


@given(with_nodes(), st.sampled_from(("cilium", "cilium-nodes", "aws-vpc-cni")), st.sampled_from(PROBES))
def test_what_is_listed_agrees_with_judge(objects, plugin, probe):
    """A row of a plugin's cluster holds a port exactly where its verdict on that connection is allowed."""
    snapshot = seen_by(objects, plugin)
    peers = {peer.key: peer for peer in map(PodsPeer, snapshot.every_workload())}
    listed = {}
    for source, destination, ports in connections(snapshot):
        listed[source, destination] = ports
        if source in peers and destination in peers:
            continue
        ends = [peers.get(name) or AddressPeer(parse_range(name)) for name in (source, destination)]
        assert ports.contains(*probe) == judge(snapshot, *ends, *probe).allowed
    for source in peers.values():
        for destination in peers.values():
            if source.key != destination.key:
                ports = listed.get((source.key, destination.key), ConnectionSet())
                assert ports.contains(*probe) == judge(snapshot, source, destination, *probe).allowed


@settings(max_examples=300)
@given(isolated(has_hosts=False), st.sampled_from(PROBES), st.data())
def test_judge_agrees_with_the_table_of_the_aws_agent(objects, probe, data):
    """Pods and addresses pass as the longest prefix of their pods' table says."""
    snapshot, naive = seen_by(objects, "aws-vpc-cni"), NaiveAws(objects)
    pods = list(snapshot.every_workload())
    subject, peer = data.draw(st.sampled_from(pods)), data.draw(st.sampled_from(pods))
    place = ip_address(
        data.draw(st.sampled_from(("10.0.0.3", "10.1.0.9", "8.8.8.8", "192.168.0.2", "fd00::1")))
    )
    for pod, address in ((peer, peer.addresses[0]), (None, place)):
        other = PodsPeer(pod) if pod else AddressPeer(AddressSet.of(address))
        packet = (address, *probe)
        verdict = judge(snapshot, PodsPeer(subject), other, *probe)
        assert verdict.egress.allowed == naive.passes(subject, Direction.EGRESS, pod, pod, packet)
        verdict = judge(snapshot, other, PodsPeer(subject), *probe)
        assert verdict.ingress.allowed == naive.passes(subject, Direction.INGRESS, pod, subject, packet)


CALLED_BY = st.sampled_from((Protocol.TCP, Protocol.TCP, Protocol.UDP))


@settings(max_examples=400)
@given(
    isolated(has_hosts=False),
    services(),
    st.sampled_from((Protocol.TCP, Protocol.TCP, Protocol.UDP)),
    st.data(),
)
def test_cluster_ips_agree_with_the_controller_of_aws(objects, added, protocol, data):
    """A Service's address is admitted where its own selector satisfies a peer, or an ipBlock holds it."""
    objects = [*objects, *added]
    snapshot, naive = seen_by(objects, "aws-vpc-cni"), NaiveAws(objects)
    pods = list(snapshot.every_workload())
    client, pod = subject_of(snapshot), data.draw(st.sampled_from(pods))
    service = data.draw(st.sampled_from(added))
    front = Front(service, data.draw(st.sampled_from((80, 81, 443))))
    dialled = Dialled((front,), at_own_address=False)
    verdict = judge(snapshot, PodsPeer(client), PodsPeer(pod), protocol, 80, dialled=dialled)
    packet = (front.address, protocol, front.port)
    expected = naive.passes(client, Direction.EGRESS, None, None, packet, service)
    assert verdict.egress.allowed == expected
    rows = {(row.source, row.destination): row.ports for row in connections(snapshot)}
    called, _ = ports_at(rows, PodsPeer(client).key, front.address)
    assert called.contains(protocol, front.port) == expected


@given(some.questions(tiered=True), st.booleans())
def test_without_a_plugin_nothing_changes(question, at_own_address):
    """How something is dialled counts only where the network judges that."""
    objects, source, destination, protocol, port = question
    front = Front(Service(ObjectRef("v1", "Service", "ns-a", "s"), (ServicePort(80, 80),)), 80)
    plain = judge(Snapshot.of(objects), source, destination, protocol, port)
    told = Dialled((front,), at_own_address)
    assert judge(Snapshot.of(objects), source, destination, protocol, port, dialled=told) == plain
