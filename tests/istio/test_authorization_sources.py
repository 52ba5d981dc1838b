"""AuthorizationPolicy ALLOW: the named clients connect to the protected pods."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from msgspec.structs import replace
from tests.istio.outcomes import (
    ambient,
    findings,
    first_flow,
    flows,
    gateway_api_gateway,
    injected,
    listening,
    mesh_config,
    ref,
    service,
    waypoint,
)
from tests.values import UDP, deployment

from istio_netpol.istio.rules.authorization_sources import RULE
from istio_netpol.model.istio_security import (
    AuthorizationPolicy,
    AuthorizationRule,
    AuthorizationSource,
    PortMatch,
)
from istio_netpol.model.references import TargetRef
from istio_netpol.model.workloads import ContainerPort, Workload

CART = listening("shop/cart", 8080)


def pod(key: str, account: str, *at: str) -> Workload:
    return listening(key, 80, service_account=account, addresses=tuple(ip_address(text) for text in at))


MESH = (
    injected("shop"),
    CART,
    injected("web-eu"),
    pod("web-eu/front", "front", "10.0.0.1"),
    pod("web-eu/back", "back", "10.0.1.1"),
    injected("web-us"),
    pod("web-us/front", "front"),
)


def policy(
    source: AuthorizationSource | None, *ports: int, key: str = "shop/allow", **fields: Any
) -> AuthorizationPolicy:
    rule = AuthorizationRule((source,) if source else (), (PortMatch(ports),) if ports else ())
    return AuthorizationPolicy(
        ref("AuthorizationPolicy", key), rules=(rule,), **{"selector": {"app": "cart"}, **fields}
    )


def clients(**source: Any) -> list[str]:
    """Who is let in to the cart by a source of these lists."""
    lists = {name: tuple(values) for name, values in source.items()}
    found = flows(RULE, policy(AuthorizationSource(**lists)), *MESH)
    assert all(line.endswith(" -> shop/cart TCP 8080") for line in found)
    return [line.partition(" -> ")[0] for line in found]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"principals": ["cluster.local/ns/web-eu/sa/front"]}, ["web-eu/front"]),
        ({"principals": ["*/ns/web-eu/sa/back"]}, ["web-eu/back"]),
        ({"principals": ["cluster.local/ns/web-eu/*"]}, ["web-eu/back", "web-eu/front"]),
        ({"principals": ["*/sa/front"]}, ["web-eu/front", "web-us/front"]),
        ({"principals": ["foreign/ns/web-eu/sa/front"]}, []),
        ({"principals": ["cluster.local/ns/gone/sa/front"]}, []),
        ({"namespaces": ["web-eu"]}, ["web-eu/back", "web-eu/front"]),
        ({"namespaces": ["web-*"]}, ["web-eu/back", "web-eu/front", "web-us/front"]),
        ({"service_accounts": ["web-us/front"]}, ["web-us/front"]),
        ({"service_accounts": ["front"]}, []),
        ({"ip_blocks": ["192.0.2.0/24", "198.51.100.7"]}, ["192.0.2.0/24, 198.51.100.7/32"]),
        ({"ip_blocks": ["192.0.2.0/24"], "remote_ip_blocks": ["203.0.113.0/24"]}, ["192.0.2.0/24"]),
    ],
)
def test_source_names_clients(source: dict[str, list[str]], expected: list[str]) -> None:
    """Principals, namespaces, service accounts and address blocks stand for pods and addresses."""
    assert clients(**source) == expected


@pytest.mark.parametrize(
    "source",
    [
        {},
        {"principals": ["*"]},
        {"namespaces": ["*"]},
        {"ip_blocks": ["0.0.0.0/0"]},
        {"ip_blocks": ["::/0"]},
        {"request_principals": ["issuer/subject"]},
        {"remote_ip_blocks": ["203.0.113.0/24"]},
        {"not_namespaces": ["web-eu"]},
        {"ip_blocks": ["0.0.0.0/0"], "not_ip_blocks": ["192.0.2.0/24"]},
    ],
)
def test_source_that_means_anybody_asks_for_nothing(source: dict[str, Any]) -> None:
    """Nobody in particular is named by `*`, by all addresses, or by what a request carries."""
    lists = {name: tuple(value) if isinstance(value, list) else value for name, value in source.items()}
    assert flows(RULE, policy(AuthorizationSource(**lists)), *MESH) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"principals": ["*/sa/front"], "namespaces": ["web-us"]}, ["web-us/front"]),
        ({"principals": ["*"], "namespaces": ["web-us"]}, ["web-us/front"]),
        ({"namespaces": ["web-*"], "service_accounts": ["web-eu/back"]}, ["web-eu/back"]),
        ({"namespaces": ["web-eu"], "ip_blocks": ["10.0.0.0/24"]}, ["web-eu/front"]),
        ({"namespaces": ["web-us"], "ip_blocks": ["10.0.0.0/24"]}, ["web-us/front"]),
    ],
)
def test_lists_of_a_source_hold_together(source: dict[str, list[str]], expected: list[str]) -> None:
    """A client has to be in every list; pods at unknown addresses may be in any block."""
    assert clients(**source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"namespaces": ["web-*"], "not_namespaces": ["web-us"]}, ["web-eu/back", "web-eu/front"]),
        ({"namespaces": ["web-eu"], "not_principals": ["*/sa/back"]}, ["web-eu/front"]),
        ({"namespaces": ["web-eu"], "not_service_accounts": ["web-eu/front"]}, ["web-eu/back"]),
        ({"namespaces": ["web-*"], "not_ip_blocks": ["10.0.0.0/24"]}, ["web-eu/back", "web-us/front"]),
        ({"ip_blocks": ["192.0.2.0/24"], "not_ip_blocks": ["192.0.2.128/25"]}, ["192.0.2.0/25"]),
    ],
)
def test_exclusions_take_clients_away(source: dict[str, list[str]], expected: list[str]) -> None:
    """Nothing is opened for a client that the policy itself excepts."""
    assert clients(**source) == expected


EU = AuthorizationSource(namespaces=("web-us",))


def test_ports_of_the_operation_count() -> None:
    """`to.operation.ports` are the pods' ports."""
    assert flows(RULE, policy(EU, 9090, 9091), *MESH) == [
        "web-us/front -> shop/cart TCP 9090",
        "web-us/front -> shop/cart TCP 9091",
    ]


def test_without_ports_all_served_ones_count() -> None:
    """Container ports over TCP and target ports of Services, the proxy's own left out."""
    cart = deployment(
        "shop/cart",
        ContainerPort(8080),
        ContainerPort(53, protocol=UDP),
        ContainerPort(15090),
        ContainerPort(9000, "m"),
    )
    others = (service("shop/cart", (80, 8081), (90, "m"), (91, "gone")), injected("shop"), *MESH[5:])
    assert flows(RULE, policy(EU), cart, *others) == [
        "web-us/front -> shop/cart TCP 8080",
        "web-us/front -> shop/cart TCP 8081",
        "web-us/front -> shop/cart TCP 9000",
    ]


@pytest.mark.parametrize(
    ("operations", "conditions", "expected"),
    [
        ((PortMatch((9090,)), PortMatch()), (), [8080, 8081, 9090]),
        ((PortMatch(not_ports=(8081,)),), (), [8080]),
        ((PortMatch((8080, 9090), (9090,)),), (), [8080]),
        ((), (PortMatch((9090,)),), [9090]),
        ((), (PortMatch(not_ports=(8080,)),), [8081]),
        ((PortMatch((8080, 8081)),), (PortMatch((8081, 9090)),), [8081]),
    ],
)
def test_ports_by_operations_and_conditions(
    operations: tuple[PortMatch, ...], conditions: tuple[PortMatch, ...], expected: list[int]
) -> None:
    """An operation without ports opens all of them; `notPorts` and conditions on `destination.port` close."""
    rule = AuthorizationRule((EU,), operations, conditions)
    subject = replace(policy(None), rules=(rule,))
    others = (listening("shop/cart", 8080, 8081), *MESH[:1], *MESH[2:])
    assert flows(RULE, subject, *others) == [f"web-us/front -> shop/cart TCP {port}" for port in expected]


def test_flow_is_consented_and_says_why() -> None:
    """The called namespace itself wrote the policy."""
    flow = first_flow(RULE, policy(EU), *MESH)
    assert flow.agreement.ingress is not None
    assert flow.field == "spec.rules[0].from[0].source"
    assert (
        flow.reason
        == "AuthorizationPolicy shop/allow allows Deployment web-us/front to call Deployment shop/cart"
    )


def test_other_actions_ask_for_nothing() -> None:
    """DENY, AUDIT and CUSTOM let nobody in."""
    for action in ("DENY", "AUDIT", "CUSTOM"):
        assert flows(RULE, policy(EU, action=action), *MESH) == []


def test_rule_without_sources_asks_for_nothing() -> None:
    """A rule that lets anybody in names nobody."""
    assert flows(RULE, policy(None), *MESH) == []


def test_policy_of_the_whole_mesh_asks_for_nothing() -> None:
    """A policy of the root namespace without selector protects everybody, so nobody in particular."""
    assert flows(RULE, policy(EU, key="istio-system/allow", selector=None), *MESH) == []


def test_selector_of_the_root_namespace_selects_anywhere() -> None:
    """With a selector it protects pods of all namespaces."""
    assert flows(RULE, policy(EU, key="istio-system/allow"), *MESH) == ["web-us/front -> shop/cart TCP 8080"]


def test_clients_and_servers_are_in_the_mesh() -> None:
    """Identities need a proxy on either side."""
    outside = listening("plain/front", 80)
    assert flows(RULE, policy(AuthorizationSource(namespaces=("plain",))), *MESH, outside) == []
    assert flows(RULE, policy(EU), CART, *MESH[5:]) == []


def test_pods_do_not_need_themselves() -> None:
    """A namespace that lets itself in has flows between its workloads, not onto one and the same."""
    own = AuthorizationSource(namespaces=("shop",))
    found = flows(RULE, policy(own), *MESH, listening("shop/web", 80))
    assert found == ["shop/web -> shop/cart TCP 8080"]


def test_ambient_clients_use_the_tunnel() -> None:
    """Between ambient pods the wire has port 15008, whatever port the policy names."""
    found = flows(RULE, policy(EU, 8080), ambient("shop"), CART, ambient("web-us"), MESH[6])
    assert found == ["web-us/front -> shop/cart TCP 15008"]


def test_targeted_service_lets_ambient_clients_in_at_its_waypoint() -> None:
    """Ambient clients pass the waypoint; sidecars connect to the pods."""
    subject = policy(
        AuthorizationSource(namespaces=("web-*",)),
        selector=None,
        target_refs=(TargetRef("", "Service", "cart"),),
    )
    cart = service("shop/cart", (80, 8080), labels={"istio.io/use-waypoint": "way"})
    others = (ambient("shop"), CART, cart, waypoint("shop/way"), ambient("web-us"), MESH[6], *MESH[2:4])
    assert flows(RULE, subject, *others) == [
        "web-eu/front -> shop/cart TCP 15008",
        "web-us/front -> shop/way TCP 15008",
    ]


def test_targeted_gateway_is_protected() -> None:
    """Address blocks on a Gateway are its clients."""
    subject = policy(
        AuthorizationSource(ip_blocks=("192.0.2.0/24",)),
        selector=None,
        target_refs=(TargetRef("gateway.networking.k8s.io", "Gateway", "gw"),),
    )
    assert flows(RULE, subject, gateway_api_gateway("shop/gw", 443)) == [
        "192.0.2.0/24 -> shop/gw-istio TCP 443"
    ]


def test_alias_of_the_trust_domain_is_the_same() -> None:
    """While a mesh migrates, principals of the former trust domain mean the same pods."""
    config = mesh_config(trust_domain="new", trust_domain_aliases=("old",))
    source = AuthorizationSource(principals=("old/ns/web-us/sa/front",))
    assert flows(RULE, policy(source), *MESH, config) == ["web-us/front -> shop/cart TCP 8080"]


def test_bad_block_is_told_and_the_others_count() -> None:
    """An address block that can't be read is a warning."""
    subject = policy(AuthorizationSource(ip_blocks=("192.0.2.0/33", "192.0.2.7")))
    assert flows(RULE, subject, *MESH) == ["192.0.2.7/32 -> shop/cart TCP 8080"]
    assert findings(RULE, subject, *MESH) == [
        "unknown-destination warning: AuthorizationPolicy shop/allow: spec.rules[0].from[0].source.ipBlocks: "
        "192.0.2.0/33 is not an IP address or CIDR; correct it"
    ]


def test_two_wildcards_are_told() -> None:
    """A value with a wildcard at both ends lets nobody in."""
    subject = policy(AuthorizationSource(principals=("*/ns/web-us/sa/*",), namespaces=("*us*",)))
    assert flows(RULE, subject, *MESH) == []
    assert findings(RULE, subject, *MESH) == [
        "unknown-destination warning: AuthorizationPolicy shop/allow: "
        "spec.rules[0].from[0].source.principals: "
        "*/ns/web-us/sa/* matches nobody, because Istio knows a wildcard at one end of a value only; "
        "name the namespaces",
        "unknown-destination warning: AuthorizationPolicy shop/allow: "
        "spec.rules[0].from[0].source.namespaces: "
        "*us* matches nobody, because Istio knows a wildcard at one end of a value only; name the namespaces",
    ]


def test_exclusion_that_cannot_be_read_lets_nobody_in() -> None:
    """What it would take away is not known."""
    subject = policy(AuthorizationSource(ip_blocks=("192.0.2.0/24",), not_ip_blocks=("192.0.2.7/33",)))
    assert flows(RULE, subject, *MESH) == []
    (finding,) = findings(RULE, subject, *MESH)
    assert "192.0.2.7/33 is not an IP address or CIDR" in finding
