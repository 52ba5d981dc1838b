"""What a tenant writes never opens another tenant's namespace, and never the control plane beyond what is
exposed.

`eve` is the hostile tenant, in mode augment; `shop` is whom she would like to open.
"""

from __future__ import annotations

import pytest
from tests.admission.objects import (
    CONTROL_PLANE,
    GATEWAY_LABELS,
    ISTIOD_LABELS,
    allow,
    deny_all,
    deployment,
    gateway,
    manifest,
    namespace,
    pod_template,
    request_authentication,
    service,
    virtual_service,
)
from tests.admission.state import Manifest, State, written

from istio_netpol.model.settings import HostSettings, Settings

TO_ISTIOD = {
    "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "istio-system"}}}],
    "ports": [{"port": 15012}],
}
DNS = {"ports": [{"port": 53}, {"port": 53, "protocol": "UDP"}]}
VICTIM = (
    namespace("shop", "augment"),
    deployment("shop/cart"),
    service("shop/cart"),
    deny_all("shop"),
    allow("shop/mesh", egress=[TO_ISTIOD, DNS]),
)
"""Has all that it needs, and nothing else."""

CLOSED = (deny_all("istio-system"), *VICTIM, namespace("eve", "augment"), deny_all("eve"))
HOSTS = {
    "keys.example.com": "203.0.113.7",
    "metadata.example.com": "169.254.169.254",
    "inside.example.com": "10.0.0.1",
    "api.example.com": "198.51.100.1",
}


def closed(*objects: Manifest, settings: Settings | None = None) -> State:
    """Everything is isolated: istio-system, shop and eve."""
    return State([*CONTROL_PLANE, *CLOSED, *objects], settings or Settings(), HOSTS)


def opened(state: State, attack: Manifest, old: Manifest | None = None) -> set[tuple[str, str]]:
    """Namespace and flow kind of all that is written outside of eve, at the request and afterwards."""
    at_once = written(state.mutate(attack, old))
    later = state.after(*at_once, attack).reconciled()
    before = state.reconciled()
    made = [policy["metadata"] for policy in (*at_once, *later) if policy not in before]
    found = {(metadata["namespace"], metadata["labels"]["istio-netpol.io/flow"]) for metadata in made}
    return {(home, kind) for home, kind in found if home != "eve"}


EVES = (deployment("eve/web"), service("eve/web"))
PROVIDER = """
defaultConfig: {discoveryAddress: "web.eve.svc:80"}
extensionProviders: [{name: spy, zipkin: {service: web.eve.svc.cluster.local, port: 80}}]
defaultProviders: {tracing: [spy]}
rootNamespace: eve
"""
ATTACKS: dict[str, Manifest] = {
    "route to a Service of another tenant": virtual_service("eve/web", "cart.shop.svc.cluster.local"),
    "delegate to another tenant": manifest(
        "VirtualService",
        "eve/web",
        {
            "hosts": ["*"],
            "gateways": ["istio-system/public"],
            "http": [{"delegate": {"name": "cart", "namespace": "shop"}}],
        },
    ),
    "ExternalName to another tenant": manifest(
        "Service",
        "eve/web",
        {"type": "ExternalName", "externalName": "cart.shop.svc.cluster.local", "ports": [{"port": 80}]},
    ),
    "call of another tenant": deployment("eve/web", calls="shop/cart:80"),
    "call of cluster DNS's namespace": deployment(
        "eve/web", calls="kube-system/kube-dns:53, istio-system/istiod:15012"
    ),
    "pods labelled as istiod": deployment("eve/istiod", 15012, ISTIOD_LABELS),
    "pods labelled as the ingress gateway": deployment("eve/gw", 8080, GATEWAY_LABELS),
    "mesh config": {**manifest("ConfigMap", "eve/istio"), "data": {"mesh": PROVIDER}},
    "mesh config of a revision": {
        **manifest("ConfigMap", "eve/istio-1-29", labels={"istio.io/rev": "1-29"}),
        "data": {"mesh": PROVIDER},
    },
    "gateway that selects pods of another tenant": gateway("eve/gw", {"app": "cart"}),
    "gateway that opens a port of the control plane": gateway("eve/gw", {"app": "istiod"}, port=15014),
    "authorization of its own callers": manifest(
        "AuthorizationPolicy",
        "eve/web",
        {"action": "ALLOW", "rules": [{"from": [{"source": {"namespaces": ["shop", "istio-system"]}}]}]},
    ),
    "grant to itself": manifest(
        "ReferenceGrant",
        "eve/all",
        {
            "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "eve"}],
            "to": [{"group": "", "kind": "Service"}],
        },
    ),
    "keys behind another tenant's Service": request_authentication(
        "eve/jwt", "http://cart.shop.svc.cluster.local/keys"
    ),
    "keys at a metadata address": request_authentication("eve/jwt", "http://169.254.169.254/keys"),
    "keys at a host with a metadata address": request_authentication(
        "eve/jwt", "https://metadata.example.com/keys"
    ),
    "keys at a private address": request_authentication("eve/jwt", "https://inside.example.com/keys"),
    "keys at the API server": request_authentication("eve/jwt", "https://kubernetes.default.svc/keys"),
    "discovery address of another tenant": manifest(
        "Deployment",
        "eve/web",
        {
            "selector": {"matchLabels": {"app": "web"}},
            "template": pod_template(
                {"app": "web"}, annotations={"proxy.istio.io/config": "discoveryAddress: cart.shop.svc:80"}
            ),
        },
    ),
    "forged label and annotation": {
        **deny_all("eve"),
        "metadata": {
            "name": "forged",
            "namespace": "eve",
            "labels": {"app.kubernetes.io/managed-by": "istio-netpol", "istio-netpol.io/flow": "dns"},
            "annotations": {"istio-netpol.io/required-by": "Deployment/shop/cart"},
        },
    },
}


@pytest.mark.parametrize("name", ATTACKS)
def test_tenant_opens_nobody_else(name: str) -> None:
    """Whatever she sends, only her own namespace changes."""
    waiting = (*EVES, virtual_service("eve/routed", "web"))
    ready = [policy for policy in waiting if policy["metadata"]["name"] != ATTACKS[name]["metadata"]["name"]]
    assert opened(closed(*ready, kubernetes()), ATTACKS[name]) == set()


def kubernetes() -> Manifest:
    """Where the API server answers."""
    slice_ = manifest(
        "EndpointSlice", "default/kubernetes", labels={"kubernetes.io/service-name": "kubernetes"}
    )
    ports = [{"name": "https", "port": 6443}]
    return slice_ | {"addressType": "IPv4", "ports": ports, "endpoints": [{"addresses": ["198.51.100.99"]}]}


def test_gateway_may_reach_what_its_tenant_exposes() -> None:
    """The boundary has one door: from the ingress gateway to exactly the exposed pods and port."""
    state = closed(*EVES)
    route = virtual_service("eve/web", "web")
    (egress,) = [policy for policy in state.mutate(route).write if policy.namespace == "istio-system"]
    assert egress.pod_selector.match_labels == tuple(sorted(GATEWAY_LABELS.items()))
    (rule,) = egress.egress
    assert [str(entry.port) for entry in rule.ports] == ["8080"]
    assert opened(state, route) == {("istio-system", "gateway-to-workload")}


def test_gateway_pods_of_another_tenant_stay_closed() -> None:
    """Only where administrators write may a tenant's route open a gateway's egress."""
    edge = deployment(
        "shop/edge", 8080, {"app": "edge", "istio": "edge-gateway", "sidecar.istio.io/inject": "false"}
    )
    state = closed(*EVES, edge, gateway("eve/gw", {"istio": "edge-gateway"}))
    assert opened(state, virtual_service("eve/web", "web", "eve/gw")) == set()


def test_pods_that_a_stranger_calls_a_gateway_have_not_agreed() -> None:
    """A Gateway of eve that selects the pods of shop is no word of shop that eve may call them."""
    plain = deployment("shop/plain", labels={"app": "plain", "sidecar.istio.io/inject": "false"})
    state = closed(*EVES, plain, service("shop/plain"), gateway("eve/gw", {"app": "plain"}))
    assert opened(state, deployment("eve/new", calls="shop/plain:80")) == set()


def test_istiod_may_reach_exactly_the_keys() -> None:
    """The other door: from istiod to the addresses and port of a public host."""
    state = closed()
    written_ = state.mutate(request_authentication("eve/jwt", "https://keys.example.com/keys")).write
    assert [
        (policy.namespace, policy.egress[0].peers[0].ip_block.cidr)
        for policy in written_
        if policy.egress[0].peers[0].ip_block
    ] == [("istio-system", "203.0.113.7/32")]
    assert [str(port.port) for port in written_[0].egress[0].ports] == ["443"]


def test_address_that_an_administrator_refuses_is_denied_in_every_strict_mode() -> None:
    """No policy can mend it, another host can."""
    attack = request_authentication("eve/jwt", "http://169.254.169.254/keys")
    state = closed()
    refused = state.validate(attack)
    assert not refused.allowed
    assert refused.rules == ("istiod-to-jwks", "jwks-host-refused")
    assert refused.message.startswith(
        "RequestAuthentication eve/jwt is refused: it asks for what the administrator refuses.\n"
        "- 169.254.169.254 is a private, reserved or cluster address; "
    )
    assert [(cause.rule, cause.field) for cause in refused.causes] == [
        ("jwks-host-refused", "spec.jwtRules[0].jwksUri")
    ]


def test_host_that_does_not_resolve_blocks_nothing() -> None:
    """It may resolve tomorrow: a warning, and the other rules are served."""
    state = closed()
    both = request_authentication("eve/jwt", "https://gone.example.com/keys", "https://keys.example.com/keys")
    mutated = state.mutate(both)
    assert [policy.namespace for policy in mutated.write] == ["istio-system"]
    admitted = state.after(*written(mutated)).validate(both)
    assert admitted.allowed
    assert any("gone.example.com does not resolve" in warning for warning in admitted.warnings)


def many(count: int) -> tuple[dict[str, str], list[str]]:
    hosts = {
        f"host-{number}.example.com": f"203.0.{113 + number // 250}.{number % 250 + 1}"
        for number in range(count)
    }
    return hosts, [f"https://{host}/keys" for host in hosts]


def test_namespace_brings_no_more_addresses_than_it_may() -> None:
    """Five hundred hosts do not fill the policies of istiod, neither at once nor one object at a time."""
    hosts, uris = many(500)
    capped = Settings(hosts=HostSettings(max_addresses_per_namespace=8))
    state = State([*CONTROL_PLANE, *CLOSED], capped, hosts)
    blocks = [
        policy for policy in state.mutate(request_authentication("eve/jwt", *uris)).write if policy.egress
    ]
    assert len(blocks) <= 8
    refused = state.validate(request_authentication("eve/jwt", *uris))
    assert not refused.allowed
    assert len(refused.message.encode()) <= 8192
    for number in range(8):
        attack = request_authentication(f"eve/jwt-{number}", uris[number])
        state = state.after(*written(state.mutate(attack)), attack)
    ninth = state.validate(request_authentication("eve/jwt-9", uris[9]))
    assert not ninth.allowed
    assert "namespace eve would bring more than 8 addresses" in ninth.message


def test_foreign_declaration_is_never_written_on_the_victims_own_request() -> None:
    """A policy of eve that names shop as a caller does not open shop's egress when shop deploys."""
    naming = ATTACKS["authorization of its own callers"]
    state = closed(*EVES, naming)
    new = deployment("shop/new")
    assert {policy.labels["istio-netpol.io/flow"] for policy in state.mutate(new).write} == set()


def test_change_of_a_service_opens_no_caller_elsewhere() -> None:
    """Who moves a Service does not open the egress of those who call it."""
    caller = deployment("shop/cart", calls="eve/web:80")
    agreeing = (deployment("eve/web", called_by="shop/*"), service("eve/web"))
    state = State(
        [
            *CONTROL_PLANE,
            namespace("shop", "reject"),
            deny_all("shop"),
            caller,
            *agreeing,
            namespace("eve", "augment"),
            deny_all("eve"),
        ]
    )
    moved = service("eve/web", target=9090)
    assert {policy.namespace for policy in state.mutate(moved, service("eve/web")).write} <= {"eve"}


@pytest.mark.parametrize("home", ["istio-system", "kyma-system"])
def test_administrators_may_open_what_they_expose(home: str) -> None:
    """Where only administrators write, an object may name anybody's Service."""
    trusted = [namespace(home, "augment", injected=False)] if home != "istio-system" else []
    rooted = [namespace("istio-system", "augment", injected=False), *CONTROL_PLANE[1:]]
    state = State([*rooted, *trusted, *CLOSED])
    route = virtual_service(f"{home}/cart", "cart.shop.svc.cluster.local")
    assert {policy.namespace for policy in state.mutate(route).write} == {"istio-system", "shop"}
