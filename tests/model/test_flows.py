"""Required flows and their peers: identity, order and text."""

import pytest
from msgspec.structs import replace
from tests.values import TCP, UDP, deployment

from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.flows import AddressPeer, AnyPeer, FlowKind, HostPeer, PodsPeer, RequiredFlow
from istio_netpol.model.references import ObjectRef

CART = PodsPeer(deployment("shop/cart"))
FLOW = RequiredFlow(
    FlowKind.DNS,
    ObjectRef("apps/v1", "Deployment", "shop", "cart"),
    CART,
    HostPeer("example.com"),
    TCP,
    53,
    "its sidecar looks up names",
)


@pytest.mark.parametrize(
    ("peer", "text", "key"),
    [
        (CART, "Deployment shop/cart", "shop/Deployment/cart"),
        (HostPeer("example.com"), "example.com", "host|example.com"),
        (AnyPeer(), "anywhere", "any|anywhere"),
        (AnyPeer("clients"), "clients", "any|clients"),
        (
            AddressPeer(AddressSet.of("10.0.0.0/24", "1.1.1.1")),
            "1.1.1.1/32, 10.0.0.0/24",
            "|1.1.1.1/32, 10.0.0.0/24",
        ),
        (AddressPeer(AddressSet.of("1.1.1.1"), "one"), "one (1.1.1.1/32)", "one|1.1.1.1/32"),
    ],
)
def test_peers_have_a_text_and_a_key(peer, text, key):
    """The text is for people, the key tells peers apart."""
    assert str(peer) == text
    assert peer.key == key


def test_the_same_flow_before_and_after_a_change_has_one_key():
    """Neither the reason, nor the version of the object's API, nor the values' identity matters."""
    later = replace(
        FLOW,
        object=ObjectRef("apps/v2", "Deployment", "shop", "cart"),
        source=PodsPeer(deployment("shop/cart")),
        reason="of something else",
    )
    assert later.key == FLOW.key


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": FlowKind.SCRAPE},
        {"object": ObjectRef("apps/v1", "Deployment", "shop", "db")},
        {"source": AnyPeer()},
        {"destination": HostPeer("example.org")},
        {"protocol": UDP},
        {"port": 54},
    ],
)
def test_another_flow_has_another_key_and_place(changed):
    """Each part that makes a connection counts, for identity and for order."""
    other = replace(FLOW, **changed)
    assert other.key != FLOW.key
    assert other.sort_key != FLOW.sort_key


def test_flows_are_sorted_by_object_first():
    """Namespace, kind, name, then what the flow is."""
    early = replace(FLOW, object=ObjectRef("apps/v1", "Deployment", "a", "z"), kind=FlowKind.TRACING)
    late = replace(FLOW, object=ObjectRef("apps/v1", "Deployment", "b", "a"))
    assert sorted([late, early], key=lambda flow: flow.sort_key) == [early, late]
