"""Results made by hand: every kind of peer, severity and origin that a format has to print."""

from __future__ import annotations

from ipaddress import ip_network

from istio_netpol.analysis.results import (
    AllowedConnection,
    Difference,
    Explanation,
    ExplanationStep,
    Gate,
    NotRead,
    Report,
    Summary,
    Undeclared,
)
from istio_netpol.model.addresses import AddressSet, IpBlock
from istio_netpol.model.assumptions import Assumption
from istio_netpol.model.connections import ALL_CONNECTIONS, ConnectionSet, Protocol
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.flows import AddressPeer, AnyPeer, FlowKind, HostPeer, PodsPeer, RequiredFlow
from istio_netpol.model.labels import EVERYTHING, Selector, namespace_named
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.verdicts import OPEN, SideVerdict, Verdict
from istio_netpol.model.workloads import Workload

POLICY = "networking.k8s.io/v1", "NetworkPolicy"


def deny_all(namespace: str) -> NetworkPolicy:
    return NetworkPolicy(ObjectRef(*POLICY, namespace, "default-deny"), EVERYTHING, frozenset(Direction))


def allow(
    namespace: str, name: str, app: str, *, peer: PolicyPeer, port: int, needed_by: str
) -> NetworkPolicy:
    rule = (PolicyRule((peer,), (PolicyPort(Protocol.TCP, port),)),)
    return NetworkPolicy(
        ObjectRef(*POLICY, namespace, name),
        Selector.of({"app": app}),
        frozenset({Direction.EGRESS}),
        egress=rule,
        labels={"app.kubernetes.io/managed-by": "istio-netpol"},
        annotations={"istio-netpol.io/required-by": needed_by},
    )


VIRTUAL_SERVICE = ObjectRef(
    "networking.istio.io/v1", "VirtualService", "shop", "cart", "manifests/my shop.yaml", 12
)
JWT = ObjectRef("security.istio.io/v1", "RequestAuthentication", "shop", "jwt", "/srv/jwt.yaml", 3)
CART = Workload(
    ObjectRef("apps/v1", "Deployment", "shop", "cart", "<stdin>", 40), {"version": "1", "app": "cart"}
)
GATEWAY = Workload(
    ObjectRef("apps/v1", "Deployment", "istio-system", "istio-ingressgateway"), {"istio": "ingressgateway"}
)
ISTIOD = Workload(ObjectRef("apps/v1", "Deployment", "istio-system", "istiod"), {"app": "istiod"})

FROM_GATEWAY = allow(
    "istio-system",
    "gateway-to-workload-istio-ingressgateway-1a2b3c4d",
    "istio-ingressgateway",
    peer=PolicyPeer(Selector.of({"app": "cart"}), namespace_named("shop")),
    port=8080,
    needed_by="VirtualService/shop/cart",
)
TO_KEYS = allow(
    "istio-system",
    "istiod-to-jwks-istiod-5e6f7a8b",
    "istiod",
    peer=PolicyPeer(ip_block=IpBlock("192.0.2.7/32")),
    port=443,
    needed_by="RequestAuthentication/shop/jwt",
)
TO_KEYS_FOR_PAY = allow(
    "istio-system",
    "istiod-to-jwks-istiod-5e6f7a8b",
    "istiod",
    peer=PolicyPeer(ip_block=IpBlock("192.0.2.7/32")),
    port=443,
    needed_by="RequestAuthentication/pay/jwt",
)

DENIED = Verdict(egress=SideVerdict((deny_all("istio-system"),)), ingress=OPEN)

GATEWAY_DENIED = Finding(
    FlowKind.GATEWAY_TO_WORKLOAD,
    Severity.ERROR,
    VIRTUAL_SERVICE,
    "VirtualService shop/cart: egress to Deployment shop/cart (TCP 8080) is denied by NetworkPolicy "
    "istio-system/default-deny; it is needed because 100% of its traffic goes there",
    RequiredFlow(
        FlowKind.GATEWAY_TO_WORKLOAD,
        VIRTUAL_SERVICE,
        PodsPeer(GATEWAY),
        PodsPeer(CART),
        Protocol.TCP,
        8080,
        "100% of its traffic goes there",
    ),
    DENIED,
    (FROM_GATEWAY,),
    "spec.http[0].route[0]",
)


def to_keys(
    ref: ObjectRef, remedy: NetworkPolicy, *addresses: str, host: str = "keys.example.com"
) -> Finding:
    """A JWKS host that istiod can't reach."""
    peer = AddressPeer(AddressSet.of(*(ip_network(address) for address in addresses)), host)
    flow = RequiredFlow(
        FlowKind.ISTIOD_TO_JWKS, ref, PodsPeer(ISTIOD), peer, Protocol.TCP, 443, "its tokens are checked"
    )
    message = f"{ref}: egress to {peer} (TCP 443) is denied by NetworkPolicy istio-system/default-deny"
    return Finding(FlowKind.ISTIOD_TO_JWKS, Severity.ERROR, ref, message, flow, DENIED, (remedy,))


KEYS_DENIED = to_keys(JWT, TO_KEYS, "192.0.2.7")
UNRESOLVED = Finding(
    Issue.JWKS_UNRESOLVABLE,
    Severity.WARNING,
    JWT,
    "RequestAuthentication shop/jwt: keys.example.org does not resolve",
    RequiredFlow(
        FlowKind.ISTIOD_TO_JWKS,
        JWT,
        PodsPeer(ISTIOD),
        HostPeer("keys.example.org"),
        Protocol.TCP,
        443,
        "of jwt",
    ),
)
CLIENTS_DENIED = Finding(
    FlowKind.CLIENT_TO_GATEWAY,
    Severity.ERROR,
    CART.ref,
    "Deployment shop/cart: ingress from clients is denied\nby \x1b]0;nobody\x07",
    RequiredFlow(
        FlowKind.CLIENT_TO_GATEWAY,
        CART.ref,
        AnyPeer("clients"),
        PodsPeer(CART),
        Protocol.TCP,
        8080,
        "it is a gateway",
    ),
    Verdict(egress=OPEN, ingress=SideVerdict((deny_all("shop"),))),
)
SELECTS_NOTHING = Finding(
    Issue.POLICY_SELECTS_NOTHING,
    Severity.INFO,
    ObjectRef(*POLICY, "shop", "old"),
    "NetworkPolicy shop/old: selects no pod",
    field="spec.podSelector",
)

FINDINGS = tuple(
    sorted(
        (GATEWAY_DENIED, KEYS_DENIED, UNRESOLVED, CLIENTS_DENIED, SELECTS_NOTHING),
        key=lambda finding: finding.sort_key,
    )
)
NOT_READ = (NotRead("cilium.io/v2", "CiliumNetworkPolicy", 1), NotRead("v1", "Secret", 1))
ASSUMED = Assumption("the input holds no istiod", "istiod in namespace istio-system")
UNDECLARED = (
    Undeclared(ObjectRef("batch/v1", "Job", "shop", "migrate", "manifests/my shop.yaml", 40)),
    Undeclared(ObjectRef("apps/v1", "StatefulSet", "shop", "db"), ("shop/db-from-cart",)),
)
REPORT = Report(FINDINGS, Summary(34, 120, 3, 1, 2, 1), (ASSUMED,), NOT_READ, UNDECLARED)
NOTHING = Report((), Summary(1, 3))

DB = ConnectionSet.of(Protocol.TCP, 5432)
CONNECTIONS = (
    AllowedConnection("0.0.0.0-9.255.255.255", "shop/Deployment/cart", ALL_CONNECTIONS),
    AllowedConnection(
        "shop/Deployment/cart", "shop/Deployment/db", DB | ConnectionSet.of(Protocol.UDP, 53, 60)
    ),
    AllowedConnection("shop/Deployment/web", "shop/Deployment/db", DB),
)
DIFFERENCE = Difference(
    gained=(CONNECTIONS[0],), lost=CONNECTIONS[1:], flows_gained=(KEYS_DENIED,), flows_lost=(GATEWAY_DENIED,)
)
SAME = Difference((), (), (), ())
DENY_ALL = ObjectRef("networking.k8s.io/v1", "NetworkPolicy", "shop", "default-deny")
DENIER = ObjectRef("security.istio.io/v1", "AuthorizationPolicy", "shop", "deny")

EXPLANATION = Explanation(
    "shop/cart",
    "203.0.113.9:443/TCP",
    False,
    (
        ExplanationStep("shop/cart is Deployment shop/cart"),
        ExplanationStep("egress of Deployment shop/cart: isolated by shop/default-deny", False),
        ExplanationStep("ingress of 203.0.113.9: outside the cluster, no policy governs it", True),
    ),
    (FROM_GATEWAY,),
    (
        Gate("egress-policy", (DENY_ALL,), False, "shop/default-deny isolates Deployment shop/cart"),
        Gate("ingress-policy", (), True, "203.0.113.9 is outside the cluster, where no policy holds"),
        Gate("mtls", (), None, "whether 203.0.113.9 accepts it is unknown"),
        Gate("authorization", (DENIER,), False, "AuthorizationPolicy shop/deny denies it"),
    ),
)
