"""The list of all allowed connections: what is listed, as what, and in which order."""

import pytest
from tests.netpol.tables import table
from tests.values import (
    EGRESS,
    INGRESS,
    TCP,
    UDP,
    address,
    block,
    deny_all,
    deployment,
    host_daemon,
    namespaces,
    pods,
    policy,
    port,
    rule,
)

from istio_netpol.model.connections import ALL_CONNECTIONS, ConnectionSet
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import EndpointAddress, EndpointSlice, Service
from istio_netpol.model.workloads import ContainerPort, NodeAddresses
from istio_netpol.netpol.connectivity import connections
from istio_netpol.state.snapshot import Snapshot

ALL_IPV4 = "0.0.0.0-255.255.255.255"
ALL_IPV6 = "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
CART, DB = "shop/Deployment/cart", "data/Deployment/db"


def pairs(*objects):
    return [(source, destination) for source, destination, _ in connections(Snapshot.of(objects))]


def ports(*objects, source=CART, destination=DB):
    return str(table(objects).get((source, destination), ""))


def deny_ingress(where):
    """Nothing is called there, so that rows are about egress alone."""
    return policy(f"{where}/deny-ingress", types=[INGRESS])


def test_an_open_cluster_connects_everybody():
    """Without policies each workload reaches each other one and all addresses, on all ports."""
    rows = list(connections(Snapshot.of([deployment("shop/cart"), deployment("data/db")])))
    assert rows == [
        (ALL_IPV4, DB, ALL_CONNECTIONS),
        (ALL_IPV4, CART, ALL_CONNECTIONS),
        (DB, ALL_IPV4, ALL_CONNECTIONS),
        (DB, CART, ALL_CONNECTIONS),
        (CART, ALL_IPV4, ALL_CONNECTIONS),
        (CART, DB, ALL_CONNECTIONS),
    ]


def test_a_cluster_without_workloads_has_no_connections():
    """There is nobody to connect."""
    assert pairs(deny_all("shop")) == []


def test_a_denied_workload_is_not_listed():
    """Pairs without any port have no row."""
    assert pairs(deployment("shop/cart"), deny_all("shop")) == []


def test_a_connection_to_oneself_is_left_out():
    """Replicas of a workload reach each other here, which no row says."""
    assert pairs(deployment("shop/cart")) == [(ALL_IPV4, CART), (CART, ALL_IPV4)]


def test_a_row_holds_what_both_sides_allow():
    """Egress opens 80 to 90 and ingress 85 to 95, so 85 to 90 is what can flow."""
    calls = policy("shop/out", egress=[rule(namespaces(), port(80, end=90))])
    door = policy("data/in", ingress=[rule(namespaces(), port(85, end=95))])
    assert ports(deployment("shop/cart"), deployment("data/db"), calls, door) == "TCP 85-90"


def test_rules_that_admit_the_same_peer_add_up():
    """Ports of several rules, protocols and policies are one set, in canonical order."""
    objects = [
        deployment("shop/cart"),
        deployment("data/db"),
        policy("data/in", ingress=[rule(port(81)), rule(namespaces(), port(80), port(53, UDP))]),
        policy("data/more", ingress=[rule(namespaces(), port(443))]),
    ]
    assert ports(*objects) == "TCP 80-81, TCP 443, UDP 53"


def test_port_names_are_resolved_for_each_destination():
    """An egress rule opens another number on each pod, or several, or none where the name is unknown."""
    objects = [
        deployment("shop/cart", ContainerPort(1, "http")),
        deployment("data/db", ContainerPort(8080, "http")),
        deployment("data/twice", ContainerPort(8081, "http"), ContainerPort(9090, "http")),
        deployment("data/other", ContainerPort(7070, "grpc")),
        deployment("data/none"),
        policy(
            "shop/out", egress=[rule(port("http")), rule(pods(), port("grpc")), rule(namespaces(), port(22))]
        ),
    ]
    listed = table(objects)
    assert {
        name: str(listed[CART, f"data/Deployment/{name}"]) for name in ("db", "twice", "other", "none")
    } == {
        "db": "TCP 22, TCP 8080",
        "twice": "TCP 22, TCP 8081, TCP 9090",
        "other": "TCP 22",
        "none": "TCP 22",
    }


def test_several_port_names_are_resolved_together():
    """Destinations may agree on one name and not on another."""
    both = ContainerPort(80, "http"), ContainerPort(90, "grpc")
    objects = [
        deployment("shop/cart"),
        deployment("data/both", *both),
        deployment("data/http", both[0]),
        deployment("data/grpc", both[1], ContainerPort(91, "grpc")),
        policy("shop/out", egress=[rule(port("http"), port("grpc"))]),
    ]
    listed = table(objects)
    assert {name: str(listed[CART, f"data/Deployment/{name}"]) for name in ("both", "http", "grpc")} == {
        "both": "TCP 80, TCP 90",
        "http": "TCP 80",
        "grpc": "TCP 90-91",
    }


def test_pods_of_one_policy_resolve_its_ingress_port_names_for_themselves():
    """The same policy opens another port on each workload that it selects."""
    objects = [
        deployment("data/db", ContainerPort(8080, "http")),
        deployment("data/other", ContainerPort(9090, "http")),
        policy("data/in", ingress=[rule(port("http"))]),
    ]
    listed = table(objects)
    assert str(listed[ALL_IPV4, DB]) == "TCP 8080"
    assert str(listed[ALL_IPV4, "data/Deployment/other"]) == "TCP 9090"


def test_a_port_name_opens_no_address():
    """Rows to addresses hold numbered ports only."""
    out = policy("shop/out", egress=[rule(port("http"), port(443))])
    objects = [deployment("shop/cart", ContainerPort(80, "http")), out]
    assert ports(*objects, destination=ALL_IPV4) == "TCP 443"


def test_ranges_are_cut_where_ports_change():
    """Blocks divide the addresses into ranges, each with the ports of all blocks that hold it."""
    out = policy(
        "shop/out",
        egress=[rule(block("10.0.0.0/8", "10.1.0.0/16"), port(443)), rule(block("10.255.0.0/16"), port(80))],
    )
    assert [
        (destination, str(opened)) for _, destination, opened in connections(
            Snapshot.of([deployment("shop/cart"), out, deny_ingress("shop")])
        )
    ] == [
        ("10.0.0.0-10.0.255.255", "TCP 443"),
        ("10.2.0.0-10.254.255.255", "TCP 443"),
        ("10.255.0.0-10.255.255.255", "TCP 80, TCP 443"),
    ]  # fmt: skip


def test_adjacent_ranges_with_equal_ports_are_one():
    """Two halves make a whole, whichever rules they come from."""
    halves = [rule(block("0.0.0.0/1"), port(443)), rule(block("128.0.0.0/1"), port(443))]
    out = policy("shop/out", egress=halves)
    assert pairs(deployment("shop/cart"), out, deny_ingress("shop")) == [(CART, ALL_IPV4)]


def test_a_rule_for_all_is_joined_with_blocks():
    """Ports of a rule without peers are open at every address, beside those of a block."""
    out = policy("shop/out", egress=[rule(port(443)), rule(block("128.0.0.0/1"), port(80))])
    listed = table([deployment("shop/cart"), out])
    assert str(listed[CART, "0.0.0.0-127.255.255.255"]) == "TCP 443"
    assert str(listed[CART, "128.0.0.0-255.255.255.255"]) == "TCP 80, TCP 443"


def test_rows_are_sorted_by_source_and_destination():
    """Address ranges come first in order of address, workloads after them in order of name."""
    door = policy("shop/in", ingress=[rule(block("10.0.0.0/8")), rule(block("9.0.0.0/8"), port(80))])
    objects = [deployment("shop/cart"), deployment("shop/b"), deployment("a-b/x"), deployment("a/x"), door]
    wide = "9.0.0.0-9.255.255.255", "10.0.0.0-10.255.255.255"
    sources = list(dict.fromkeys(source for source, _ in pairs(*objects)))
    assert sources == [
        ALL_IPV4, *wide, "a-b/Deployment/x", "a/Deployment/x", "shop/Deployment/b", CART
    ]  # fmt: skip
    assert [destination for source, destination in pairs(*objects) if source == "a/Deployment/x"] == [
        ALL_IPV4, "a-b/Deployment/x"
    ]  # fmt: skip


def test_destinations_with_different_ports_are_sorted_by_name():
    """The order does not follow the ports."""
    objects = [deployment(f"data/{name}") for name in ("a", "b", "c")]
    doors = [
        policy(f"data/{name}", selects={"app": name}, ingress=[rule(namespaces(), port(number))])
        for name, number in (("a", 80), ("b", 443), ("c", 80))
    ]
    listed = [row for row in pairs(deployment("shop/cart"), *objects, *doors) if row[0] == CART]
    assert [destination for _, destination in listed] == [
        ALL_IPV4, "data/Deployment/a", "data/Deployment/b", "data/Deployment/c"
    ]  # fmt: skip


def test_ranges_that_begin_alike_are_sorted_by_their_end():
    """The shorter one first."""
    objects = [
        deployment("a/wide"),
        deployment("b/narrow"),
        policy("a/in", ingress=[rule(block("10.0.0.0/8"))]),
        policy("b/in", ingress=[rule(block("10.0.0.0/16"))]),
    ]
    assert pairs(*objects)[:2] == [
        ("10.0.0.0-10.0.255.255", "b/Deployment/narrow"),
        ("10.0.0.0-10.255.255.255", "a/Deployment/wide"),
    ]


IPV6_SOMEWHERE = {
    "pod": deployment("x/x", at=["fd00::1"]),
    "node of a pod": host_daemon("x/x", at=["fd00::1"]),
    "ingress block": policy("x/x", ingress=[rule(block("fd00::/8"))]),
    "egress block": policy("x/x", egress=[rule(block("10.0.0.0/8"), block("fd00::/8"))]),
    "Service": Service(ObjectRef("v1", "Service", "x", "x"), cluster_ips=("10.0.0.1", "fd00::1")),
    "endpoint": EndpointSlice(
        ObjectRef("discovery.k8s.io/v1", "EndpointSlice", "x", "x"),
        "x",
        (EndpointAddress((address("fd00::1"),)),),
    ),
    "node": NodeAddresses(ObjectRef("v1", "Node", "", "x"), (address("10.0.0.1"), address("fd00::1"))),
}


@pytest.mark.parametrize("where", IPV6_SOMEWHERE)
def test_ipv6_is_listed_if_anything_in_the_cluster_has_it(where):
    """IPv4 and IPv6 are ranges of their own."""
    listed = pairs(deployment("shop/cart"), IPV6_SOMEWHERE[where])
    assert (CART, ALL_IPV4) in listed
    assert (CART, ALL_IPV6) in listed
    assert (ALL_IPV6, CART) in listed


def test_ipv6_is_not_listed_in_a_cluster_without_it():
    """Nothing here has an IPv6 address, so no row is about one."""
    objects = [
        deployment("shop/cart", at=["10.0.0.1"]),
        host_daemon("x/x", at=["192.168.0.1"]),
        Service(ObjectRef("v1", "Service", "x", "x"), cluster_ips=("10.0.0.1",)),
        EndpointSlice(
            ObjectRef("discovery.k8s.io/v1", "EndpointSlice", "x", "x"),
            "x",
            (EndpointAddress((address("10.0.0.1"),)),),
        ),
        NodeAddresses(ObjectRef("v1", "Node", "", "x"), (address("10.0.0.1"),)),
        policy("shop/out", egress=[rule(block("10.0.0.0/8")), rule()]),
    ]
    assert not [name for row in pairs(*objects) for name in row if "::" in name]


def test_an_ipv6_block_ends_with_its_family():
    """The last IPv4 address and the first IPv6 address are no neighbours."""
    out = policy("shop/out", egress=[rule(block("255.0.0.0/8")), rule(block("::/8"))])
    assert pairs(deployment("shop/cart"), out, deny_ingress("shop")) == [
        (CART, "255.0.0.0-255.255.255.255"),
        (CART, "::-ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ]


def test_host_network_pods_are_peers_that_nothing_isolates():
    """They reach and are reached by all that is open, whatever policies their namespace has."""
    agent = "kube-system/DaemonSet/agent"
    objects = [host_daemon("kube-system/agent"), deny_all("kube-system"), deployment("shop/cart")]
    assert pairs(*objects) == [
        (ALL_IPV4, agent), (ALL_IPV4, CART), (agent, ALL_IPV4), (agent, CART), (CART, ALL_IPV4), (CART, agent)
    ]  # fmt: skip


def test_host_network_pods_are_admitted_by_blocks_and_not_by_selectors():
    """They are addresses of nodes; where those are unknown only a complete family has them."""
    known, unknown = "x/DaemonSet/known", "x/DaemonSet/unknown"
    objects = [
        host_daemon("x/known", ContainerPort(1, "http"), at=["192.168.0.1"]),
        host_daemon("x/unknown"),
        deployment("shop/cart"),
        policy(
            "shop/out",
            egress=[
                rule(namespaces(), port(1)),
                rule(block("192.168.0.0/16"), port(2)),
                rule(block("0.0.0.0/0"), port(3)),
                rule(port(4)),
                rule(port("http")),
            ],
        ),
    ]
    assert ports(*objects, destination=known) == "TCP 2-4"
    assert ports(*objects, destination=unknown) == "TCP 3-4"


def test_pods_are_admitted_by_blocks_at_all_of_their_addresses():
    """The ports that are open at every replica's address are what a row can promise."""
    objects = [
        deployment("shop/cart"),
        deployment("data/db", at=["10.0.0.1", "10.0.1.1"]),
        deployment("data/near", at=["10.0.0.2"]),
        policy(
            "shop/out",
            egress=[
                rule(block("10.0.0.0/24"), port(1)),
                rule(block("10.0.1.0/24"), port(1), port(2)),
                rule(block("10.0.0.0/16"), port(3)),
            ],
        ),
    ]
    assert ports(*objects) == "TCP 1, TCP 3"
    assert ports(*objects, destination="data/Deployment/near") == "TCP 1, TCP 3"


def test_a_rule_may_list_every_other_port():
    """What a tenant can store must not keep everybody else waiting."""
    odd = policy("shop/in", ingress=[rule(*(port(number) for number in range(1, 65536, 2)))])
    listed = table([deployment("shop/cart"), odd])[ALL_IPV4, CART]
    assert len(listed.intervals(TCP)) == 32768


def test_a_rule_may_list_many_blocks():
    """As many as fit into an object, each a range of its own."""
    blocks = [block(f"10.{number >> 7}.{number & 127}.0/25") for number in range(20000)]
    out = policy("shop/out", egress=[rule(*blocks)])
    assert len(pairs(deployment("shop/cart"), out, deny_ingress("shop"))) == 20000


def test_rows_come_one_at_a_time():
    """A caller that stops early does not pay for the rest."""
    rows = connections(Snapshot.of([deployment("shop/cart"), deployment("data/db")]))
    assert next(rows) == (ALL_IPV4, DB, ALL_CONNECTIONS)


def test_a_row_says_what_it_is():
    """Rows have named fields."""
    row = next(
        connections(Snapshot.of([deployment("shop/cart"), policy("shop/in", ingress=[rule(port(80))])]))
    )
    assert (row.source, row.destination, row.ports) == (ALL_IPV4, CART, ConnectionSet.of(TCP, 80))


def test_a_policy_of_one_direction_leaves_the_other_listed():
    """Egress is denied, ingress is not."""
    assert pairs(deployment("shop/cart"), policy("shop/out", types=[EGRESS])) == [(ALL_IPV4, CART)]
