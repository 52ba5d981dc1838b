"""`istio-netpol explain --host`: the way of a request from its clients to the pods."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.cli.test_explain_gates import authorization, namespace, object_of, strict, workload
from tests.cli.workspace import DENY_ALL, ISTIOD_DENIED, JWT, Run

GATEWAY_PODS = """\
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  template:
    metadata: {labels: {app: istio-ingressgateway, istio: ingressgateway, sidecar.istio.io/inject: "false"}}
    spec:
      containers: [{name: istio-proxy, image: proxy, ports: [{containerPort: 8080}, {containerPort: 8443}]}]
---
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  type: LoadBalancer
  selector: {istio: ingressgateway}
  ports: [{name: http, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8443}]
"""
NETWORKING = "networking.istio.io/v1"


def gateway(name: str, hosts: str, port: str = "{number: 80, name: http, protocol: HTTP}") -> str:
    spec = f"{{selector: {{istio: ingressgateway}}, servers: [{{port: {port}, hosts: {hosts}}}]}}"
    return object_of("Gateway", name, spec, NETWORKING)


def virtual_service(name: str, hosts: str, routes: str, gateways: str = "[istio-system/public]") -> str:
    spec = f"{{hosts: {hosts}, gateways: {gateways}, http: [{routes}]}}"
    return object_of("VirtualService", name, spec, NETWORKING)


def to(name: str, match: str = "", more: str = "") -> str:
    """A route of a VirtualService."""
    matches = f"match: [{match}], " if match else ""
    return f"{{{matches}{more}route: [{{destination: {{host: {name}, port: {{number: 80}}}}}}]}}"


def prefix(path: str, more: str = "") -> str:
    return f"{{uri: {{prefix: {path}}}{more}}}"


SHOP = (
    namespace("shop", "istio-injection: enabled")
    + namespace("team", "istio-injection: enabled")
    + GATEWAY_PODS
    + workload("shop", "cart", 8080)
    + workload("shop", "till", 8081)
    + workload("shop", "rest", 8082)
    + workload("team", "part", 8083)
)
PUBLIC = gateway("istio-system/public", "['*']")


def explained(run: Run, manifests: str, host: str, path: str = "", *more: str) -> tuple[dict[str, Any], int]:
    arguments = ["--host", host, *(("--path", path) if path else ()), "--offline", "-f", "json", *more]
    result = run("explain", "-", *arguments, stdin=manifests)
    assert result.exit_code in (0, 1), result.output
    return json.loads(result.stdout), result.exit_code


def reached(document: dict[str, Any]) -> list[str]:
    """The pods that gateways connect to."""
    return sorted(
        {
            hop["destination"].rpartition("/")[2]
            for hop in document["hops"]
            if hop["rule"] == "gateway-to-workload"
        }
    )


def test_the_way_goes_from_clients_through_the_gateway_to_the_pods(run: Run) -> None:
    """Each with its port on the wire."""
    manifests = SHOP + PUBLIC + virtual_service("shop/all", "[shop.example.com]", to("cart"))
    document, code = explained(run, manifests, "shop.example.com")
    assert [(hop["rule"], hop["destination"], hop["port"]) for hop in document["hops"]] == [
        ("client-to-gateway", "Deployment istio-system/istio-ingressgateway", 8080),
        ("gateway-to-workload", "Deployment shop/cart", 8080),
    ]
    assert (document["kind"], document["host"], document["connects"], code) == (
        "HostExplanation", "shop.example.com", True, 0,
    )  # fmt: skip


@pytest.mark.parametrize("path", ["", "/cart"])
def test_every_policy_on_the_way_counts(run: Run, path: str) -> None:
    """The gateway's egress and ingress, and the pods' ingress, with one remedy for all."""
    deny = DENY_ALL + DENY_ALL.replace("namespace: shop", "namespace: istio-system")
    manifests = SHOP + PUBLIC + deny + virtual_service("shop/all", "[shop.example.com]", to("cart"))
    document, code = explained(run, manifests, "shop.example.com", path)
    assert [hop["cut"] for hop in document["hops"]] == [True, True]
    assert code == 1
    remedy = "".join(f"---\n{json.dumps(policy)}\n" for policy in document["remedy"])
    document, code = explained(run, manifests + remedy, "shop.example.com", path)
    assert (document["remedy"], document["connects"], code) == ([], True, 0)


EXACT, REGEX = "{uri: {exact: /cart}}", "{uri: {regex: '/[ab]+/x'}}"


@pytest.mark.parametrize(
    ("routes", "path", "pods"),
    [
        ([to("cart", prefix("/cart")), to("rest")], "/cart/7", ["cart"]),
        ([to("cart", prefix("/cart")), to("rest")], "/other", ["rest"]),
        # A prefix of VirtualServices knows no path elements.
        ([to("cart", prefix("/cart")), to("rest")], "/cartridge", ["cart"]),
        ([to("cart", EXACT), to("rest")], "/cart/7", ["rest"]),
        ([to("cart", EXACT), to("rest")], "/cart", ["cart"]),
        ([to("cart", EXACT), to("rest")], "/cart?a=b", ["cart"]),
        ([to("cart", EXACT), to("rest")], "/Cart", ["rest"]),
        ([to("cart", "{uri: {exact: /cart}, ignoreUriCase: true}"), to("rest")], "/Cart", ["cart"]),
        ([to("cart", REGEX), to("rest")], "/abba/x", ["cart"]),
        ([to("cart", REGEX), to("rest")], "/abba/xy", ["rest"]),
        # The first that takes it counts, not the narrowest.
        ([to("rest", prefix("/")), to("cart", prefix("/cart"))], "/cart", ["rest"]),
        ([to("till", prefix("/c")), to("cart", prefix("/cart"))], "/cart", ["till"]),
        # What depends on the request may take it; what surely takes it comes after.
        ([to("cart", prefix("/cart", ", method: {exact: GET}")), to("rest")], "/cart", ["cart", "rest"]),
        ([to("cart", prefix("/cart", ", method: {exact: GET}")), to("rest")], "/other", ["rest"]),
        ([to("cart", prefix("/cart", ", headers: {x: {exact: a}}")), to("rest")], "/cart", ["cart", "rest"]),
        ([to("cart", f"{prefix('/a')}, {prefix('/b')}"), to("rest")], "/b", ["cart"]),
        # A regular expression that Python can't be trusted with may match.
        ([to("cart", "{uri: {regex: '(a+)+'}}"), to("rest")], "/cart", ["cart", "rest"]),
        ([to("cart", "{uri: {regex: '/.*.*.*.*.*.*.*x'}}"), to("rest")], "/cart", ["cart", "rest"]),
        ([to("cart", "{uri: {regex: 'a{9999999999}'}}"), to("rest")], "/cart", ["cart", "rest"]),
        ([to("cart", "{uri: {regex: '[a'}}"), to("rest")], "/cart", ["cart", "rest"]),
        # A match on another gateway or port does not count here.
        ([to("cart", "{gateways: [mesh], uri: {prefix: /}}"), to("rest")], "/cart", ["rest"]),
        ([to("cart", "{port: 8443, uri: {prefix: /}}"), to("rest")], "/cart", ["rest"]),
        ([to("cart", "{authority: {exact: shop.example.com}}"), to("rest")], "/cart", ["cart"]),
        ([to("cart", "{authority: {exact: other.example.com}}"), to("rest")], "/cart", ["rest"]),
        # Without a path all of them may.
        (
            [to("cart", prefix("/cart")), to("till", prefix("/till")), to("rest")],
            "",
            ["cart", "rest", "till"],
        ),
    ],
)
def test_the_path_picks_the_route_as_istio_does(
    run: Run, routes: list[str], path: str, pods: list[str]
) -> None:
    """From the top, by prefix, exact path or regular expression."""
    manifests = SHOP + PUBLIC + virtual_service("shop/all", "[shop.example.com]", ", ".join(routes))
    assert reached(explained(run, manifests, "shop.example.com", path)[0]) == pods


def test_a_path_that_no_route_takes_is_told(run: Run) -> None:
    """The gateway answers 404, which no policy mends."""
    manifests = SHOP + PUBLIC + virtual_service("shop/all", "[shop.example.com]", to("cart", prefix("/cart")))
    document, code = explained(run, manifests, "shop.example.com", "/till")
    assert (reached(document), document["connects"], document["remedy"], code) == ([], False, [], 1)
    assert document["failures"] == [
        "no route of VirtualService shop/all takes path /till at Gateway istio-system/public port 80: the "
        "gateway answers 404"
    ]


def test_a_route_to_nowhere_is_told(run: Run) -> None:
    """The gateway answers 503."""
    manifests = SHOP + PUBLIC + virtual_service("shop/all", "[shop.example.com]", to("missing"))
    document, code = explained(run, manifests, "shop.example.com")
    assert "the gateway answers 503" in document["failures"][0]
    assert code == 1


def test_a_gateway_without_pods_is_told(run: Run) -> None:
    """Nobody serves what it opens."""
    nobody = gateway("istio-system/public", "['*']").replace("istio: ingressgateway", "istio: other")
    manifests = SHOP + nobody + virtual_service("shop/all", "[shop.example.com]", to("cart"))
    document, code = explained(run, manifests, "shop.example.com")
    assert document["failures"] == ["no pods of the input serve Gateway istio-system/public port 80"]
    assert code == 1


def test_a_redirect_is_answered_at_the_gateway(run: Run) -> None:
    """It needs no pods."""
    routes = "{match: [{uri: {exact: /old}}], redirect: {uri: /new}}, " + to("cart")
    manifests = SHOP + PUBLIC + virtual_service("shop/all", "[shop.example.com]", routes)
    document, code = explained(run, manifests, "shop.example.com", "/old")
    assert (reached(document), document["failures"], code) == ([], [], 0)
    assert any("redirect" in remark for remark in document["remarks"])


def test_delegates_are_followed(run: Run) -> None:
    """Both the route that delegates and the delegate's have to match."""
    part = [
        to("part.team.svc.cluster.local", prefix("/team/part")),
        to("rest.shop.svc.cluster.local"),
    ]
    root = "{match: [{uri: {prefix: /team}}], delegate: {name: part, namespace: team}}, " + to("cart")
    manifests = (
        SHOP
        + PUBLIC
        + virtual_service("shop/all", "[shop.example.com]", root)
        + object_of("VirtualService", "team/part", f"{{http: [{', '.join(part)}]}}", NETWORKING)
    )
    for path, pods in (("/team/part/1", ["part"]), ("/team/x", ["rest"]), ("/else", ["cart"])):
        document, _ = explained(run, manifests, "shop.example.com", path)
        assert reached(document) == pods
    assert any(
        "by VirtualService team/part" in remark
        for remark in explained(run, manifests, "shop.example.com", "/team/x")[0]["remarks"]
    )


@pytest.mark.parametrize(
    ("hosts", "asked", "pods"),
    [
        (("'*.example.com'", "other.test"), "shop.example.com", ["cart"]),
        (("'*.example.com'", "shop.example.com"), "shop.example.com", ["till"]),
        (("'*.example.com'", "shop.example.com"), "a.example.com", ["cart"]),
        (("'*'", "'*.example.com'"), "a.b.example.com", ["till"]),
        (("'*'", "'*.example.com'"), "example.com", ["cart"]),
        (("shop.example.com", "other.test"), "SHOP.example.com", ["cart"]),
        (("shop.example.com", "other.test"), "shop.example.com:8443", ["cart"]),
        (("shop.example.com", "other.test"), "'*.example.com'".strip("'"), ["cart"]),
    ],
)
def test_of_the_names_that_cover_a_host_the_most_specific_counts(
    run: Run, hosts: tuple[str, str], asked: str, pods: list[str]
) -> None:
    """A wildcard covers what no other name does."""
    manifests = SHOP + PUBLIC
    manifests += virtual_service("shop/one", f"[{hosts[0]}]", to("cart"))
    manifests += virtual_service("shop/two", f"[{hosts[1]}]", to("till"))
    assert reached(explained(run, manifests, asked)[0]) == pods


def test_several_virtual_services_share_a_host(run: Run) -> None:
    """What takes everything comes last; of equals the oldest counts, which files do not tell."""
    manifests = SHOP + PUBLIC
    manifests += virtual_service("shop/a", "[shop.example.com]", to("rest"))
    manifests += virtual_service("shop/b", "[shop.example.com]", to("cart", prefix("/cart")))
    assert reached(explained(run, manifests, "shop.example.com", "/cart")[0]) == ["cart"]
    assert reached(explained(run, manifests, "shop.example.com", "/x")[0]) == ["rest"]
    manifests += virtual_service("shop/c", "[shop.example.com]", to("till", prefix("/car")))
    document, _ = explained(run, manifests, "shop.example.com", "/cart")
    assert reached(document) == ["cart", "till"]
    assert any("the oldest takes the request" in remark for remark in document["remarks"])


def route(kind: str, name: str, hostnames: str, rules: str) -> str:
    spec = f"{{parentRefs: [{{name: edge}}], hostnames: {hostnames}, rules: [{rules}]}}"
    return object_of(kind, name, spec, "gateway.networking.k8s.io/v1")


def rule(name: str, matches: str = "") -> str:
    asked = f"matches: [{matches}], " if matches else ""
    return f"{{{asked}backendRefs: [{{name: {name}, port: 80}}]}}"


EDGE = object_of(
    "Gateway",
    "shop/edge",
    "{gatewayClassName: istio, "
    "listeners: [{name: http, port: 80, protocol: HTTP, hostname: '*.example.com'}]}",
    "gateway.networking.k8s.io/v1",
)
CART = "{path: {type: PathPrefix, value: /cart}}"
SLASH = "{path: {type: PathPrefix, value: /}}"


@pytest.mark.parametrize(
    ("rules", "path", "pods"),
    [
        ([rule("rest"), rule("cart", CART)], "/cart/1", ["cart"]),
        # A prefix of the Gateway API has whole elements.
        ([rule("rest"), rule("cart", CART)], "/cartridge", ["rest"]),
        (
            [rule("cart", CART), rule("till", "{path: {type: PathPrefix, value: /cart/till}}")],
            "/cart/till",
            ["till"],
        ),
        ([rule("cart", "{path: {type: PathPrefix, value: /cart/}}"), rule("rest")], "/cart", ["cart"]),
        ([rule("cart", CART), rule("till", "{path: {type: Exact, value: /cart}}")], "/cart", ["till"]),
        # What takes everything comes last, also where it is a prefix.
        ([rule("rest"), rule("cart", "{path: {type: RegularExpression, value: '/c.*'}}")], "/cart", ["cart"]),
        (
            [rule("rest", SLASH), rule("cart", "{path: {type: RegularExpression, value: '/c.*'}}")],
            "/cart",
            ["cart"],
        ),
        (
            [rule("cart", "{path: {type: RegularExpression, value: '/c.*'}}"), rule("till", CART)],
            "/cart",
            ["till"],
        ),
        ([rule("cart", "{method: GET}"), rule("rest")], "/", ["cart", "rest"]),
        ([rule("cart", "{headers: [{name: x, value: a}]}"), rule("rest")], "/x", ["cart", "rest"]),
        ([rule("cart", CART), rule("rest", "{path: {type: PathPrefix, value: /rest}}")], "/rest", ["rest"]),
    ],
)
def test_routes_of_the_gateway_api_go_by_the_narrowest_path(
    run: Run, rules: list[str], path: str, pods: list[str]
) -> None:
    """Exact before prefix, longer before shorter, whatever their order."""
    manifests = SHOP + EDGE + route("HTTPRoute", "shop/web", "[shop.example.com]", ", ".join(rules))
    document, code = explained(run, manifests, "shop.example.com", path)
    assert (reached(document), code) == (pods, 0)
    assert document["hops"][0]["rule"] == "client-to-gateway"


def test_a_grpc_route_goes_by_service_and_method(run: Run) -> None:
    """Which are the path of the call."""
    rules = [
        rule("cart", "{method: {service: shop.Cart, method: Add}}"),
        rule("till", "{method: {service: shop.Till}}"),
    ]
    manifests = SHOP + EDGE + route("GRPCRoute", "shop/web", "[shop.example.com]", ", ".join(rules))
    for path, pods in (("/shop.Cart/Add", ["cart"]), ("/shop.Till/Open", ["till"]), ("/shop.Cart/Drop", [])):
        assert reached(explained(run, manifests, "shop.example.com", path)[0]) == pods


def test_a_tls_route_goes_by_the_name_alone(run: Run) -> None:
    """The gateway passes TLS on, and sees no path."""
    edge = EDGE.replace(
        "name: http, port: 80, protocol: HTTP",
        "name: tls, port: 443, protocol: TLS, tls: {mode: Passthrough}",
    )
    manifests = SHOP + edge + route("TLSRoute", "shop/web", "[shop.example.com]", rule("cart"))
    assert reached(explained(run, manifests, "shop.example.com", "/any")[0]) == ["cart"]


def test_tls_that_a_gateway_passes_on_goes_by_sni(run: Run) -> None:
    """The tls routes of a VirtualService, not its http routes."""
    passing = PUBLIC.replace("protocol: HTTP}", "protocol: TLS}, tls: {mode: PASSTHROUGH}")
    tls = "{match: [{sniHosts: [shop.example.com]}], route: [{destination: {host: till}}]}"
    bound = "hosts: ['*.example.com'], gateways: [istio-system/public]"
    spec = f"{{{bound}, http: [{to('cart')}], tls: [{tls}]}}"
    manifests = SHOP + passing + object_of("VirtualService", "shop/all", spec, NETWORKING)
    assert reached(explained(run, manifests, "shop.example.com")[0]) == ["till"]
    assert reached(explained(run, manifests, "other.example.com")[0]) == []


def test_an_ingress_is_a_way_too(run: Run) -> None:
    """Exact paths before prefixes, longer before shorter; the gateway's ports are its clients'."""
    spec = """{ingressClassName: istio, rules: [{host: shop.example.com, http: {paths: [
      {path: /, pathType: Prefix, backend: {service: {name: rest, port: {number: 80}}}},
      {path: /cart, pathType: Prefix, backend: {service: {name: cart, port: {number: 80}}}},
      {path: /cart, pathType: Exact, backend: {service: {name: till, port: {number: 80}}}}]}}]}"""
    ingress = object_of("Ingress", "shop/web", spec, "networking.k8s.io/v1")
    class_ = """\
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: istio}
spec: {controller: istio.io/ingress-controller}
"""
    manifests = SHOP + class_ + ingress
    for path, pods in (("/cart", ["till"]), ("/cart/1", ["cart"]), ("/cartridge", ["rest"]), ("/", ["rest"])):
        document, code = explained(run, manifests, "shop.example.com", path)
        assert (reached(document), code) == (pods, 0)
        assert document["hops"][0]["rule"] == "client-to-gateway"


def test_keys_and_external_authorization_are_on_the_way(run: Run) -> None:
    """What the proxies ask before they let a request pass."""
    manifests = (
        SHOP + ISTIOD_DENIED + JWT + PUBLIC + virtual_service("shop/all", "[shop.example.com]", to("cart"))
    )
    document, code = explained(
        run, manifests, "shop.example.com", "", "--address", "keys.example.com=192.0.2.7"
    )
    assert "istiod-to-jwks" in [hop["rule"] for hop in document["hops"] if hop["cut"]]
    assert code == 1
    elsewhere = manifests.replace(
        "metadata: {name: jwt, namespace: shop}", "metadata: {name: jwt, namespace: team}"
    )
    document, _ = explained(run, elsewhere, "shop.example.com")
    assert "istiod-to-jwks" not in [hop["rule"] for hop in document["hops"]]


@pytest.mark.parametrize(
    ("policy", "path", "decided"),
    [
        (
            ("istio-system/a", "{action: DENY, rules: [{to: [{operation: {paths: [/admin*]}}]}]}"),
            "/admin/x",
            [False, True],
        ),
        (
            ("istio-system/a", "{action: DENY, rules: [{to: [{operation: {paths: [/admin*]}}]}]}"),
            "/cart",
            [True, True],
        ),
        (
            ("shop/a", "{action: DENY, rules: [{to: [{operation: {hosts: [shop.example.com]}}]}]}"),
            "/cart",
            [True, False],
        ),
        (
            ("shop/a", "{action: DENY, rules: [{to: [{operation: {hosts: [x.test]}}]}]}"),
            "/cart",
            [True, True],
        ),
        (("shop/a", "{action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}]}"), "/cart", [True, None]),
        (("shop/a", "{rules: [{to: [{operation: {notPaths: [/cart]}}]}]}"), "/cart", [True, False]),
        (("shop/a", "{rules: [{to: [{operation: {paths: ['/{*}/x']}}]}]}"), "/cart", [True, None]),
    ],
)
def test_authorization_is_judged_by_path_and_host(
    run: Run, policy: tuple[str, str], path: str, decided: list[bool | None]
) -> None:
    """At the gateway and at the pods."""
    selected = policy[1].replace("{", "{selector: {matchLabels: {istio: ingressgateway}}, ", 1)
    spec = selected if policy[0].startswith("istio-system") else policy[1]
    manifests = SHOP + PUBLIC + virtual_service("shop/all", "[shop.example.com]", to("cart"))
    document, code = explained(run, manifests + authorization(policy[0], spec), "shop.example.com", path)
    found = [
        [gate["passes"] for gate in hop["gates"] if gate["gate"] == "authorization"]
        for hop in document["hops"]
    ]
    assert found == [[name] for name in decided]
    assert code == (1 if False in decided else 0)


def test_behind_a_rewrite_the_path_is_not_known(run: Run) -> None:
    """So what a policy at the pods says of paths is left open."""
    deny = authorization("shop/a", "{action: DENY, rules: [{to: [{operation: {paths: [/cart]}}]}]}")
    routes = to("cart", prefix("/cart"), "rewrite: {uri: /}, ")
    manifests = SHOP + PUBLIC + virtual_service("shop/all", "[shop.example.com]", routes) + deny
    document, code = explained(run, manifests, "shop.example.com", "/cart")
    gates = [gate["passes"] for gate in document["hops"][1]["gates"] if gate["gate"] == "authorization"]
    assert (gates, code) == ([None], 0)


def test_mutual_tls_holds_behind_the_gateway(run: Run) -> None:
    """The gateway has a certificate, unless a DestinationRule keeps it from showing it."""
    manifests = SHOP + PUBLIC + virtual_service("shop/all", "[shop.example.com]", to("cart"))
    manifests += strict("shop/default")
    assert explained(run, manifests, "shop.example.com")[1] == 0
    off = object_of(
        "DestinationRule", "shop/cart", "{host: cart, trafficPolicy: {tls: {mode: DISABLE}}}", NETWORKING
    )
    document, code = explained(run, manifests + off, "shop.example.com")
    assert ([hop["cut"] for hop in document["hops"]], code) == ([False, True], 1)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("shop.exmaple.com", "no gateway of the input serves 'shop.exmaple.com'"),
        ("shop.exmaple.com", "hosts that are served: shop.example.com, *.wild.test"),
        ("lonely.test", "though Gateway istio-system/lonely takes it"),
    ],
)
def test_a_host_that_nothing_serves_says_which_there_are(run: Run, asked: str, told: str) -> None:
    """Those that look alike first."""
    manifests = SHOP + gateway("istio-system/public", "[shop.example.com, '*.wild.test']")
    manifests += gateway("istio-system/lonely", "[lonely.test]")
    manifests += virtual_service("shop/all", "[shop.example.com, '*.wild.test']", to("cart"))
    result = run("explain", "-", "--host", asked, "--offline", stdin=manifests)
    assert result.exit_code == 2
    assert told in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--host", "https://shop.example.com/x"), "is not a host"),
        (("--host", "shop.example.com", "--path", "cart"), "does not begin with '/'"),
        (("--workload", "shop/cart", "--path", "/cart"), "--path belongs to --host"),
        (("--host", "shop.example.com", "--workload", "shop/cart"), "one thing at a time"),
        (("--host", "a..b"), "'a..b'"),
    ],
)
def test_what_is_no_host_or_path_is_one_error(run: Run, arguments: tuple[str, ...], told: str) -> None:
    """With exit code 2."""
    result = run("explain", "shop.yaml", *arguments, "--offline")
    assert result.exit_code == 2
    assert told in result.stderr


def test_a_waypoint_on_the_way_is_passed(run: Run) -> None:
    """Where its Service wants that: from the gateway to the waypoint, then to the pods."""
    home = namespace("calm", "istio.io/dataplane-mode: ambient, istio.io/use-waypoint: way")
    waypoint = object_of(
        "Gateway",
        "calm/way",
        "{gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}",
        "gateway.networking.k8s.io/v1",
    )
    opted = "namespace: calm, labels: {istio.io/ingress-use-waypoint: 'true'}}"
    app = workload("calm", "sea", 8080).replace(
        "kind: Service\nmetadata: {name: sea, namespace: calm}",
        f"kind: Service\nmetadata: {{name: sea, {opted}",
    )
    bound = virtual_service("calm/all", "[sea.example.com]", to("sea"))
    deny = DENY_ALL.replace("namespace: shop", "namespace: calm")
    manifests = SHOP + PUBLIC + home + waypoint + app + bound
    document, code = explained(run, manifests + deny, "sea.example.com")
    ends = [
        (hop["source"].rpartition("/")[2], hop["destination"].rpartition("/")[2], hop["port"])
        for hop in document["hops"]
    ]
    assert ("istio-ingressgateway", "way", 15008) in ends
    assert ("way", "sea", 15008) in ends
    assert code == 1
    remedy = "".join(f"---\n{json.dumps(policy)}\n" for policy in document["remedy"])
    assert explained(run, manifests + deny + remedy, "sea.example.com")[1] == 0


@pytest.mark.parametrize(
    ("spec", "passes"),
    [
        ("targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]", False),
        ("targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: edge}", False),
        ("targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: other}]", True),
        ("targetRefs: [{group: '', kind: Service, name: cart}]", True),
        ("selector: {matchLabels: {gateway.networking.k8s.io/gateway-name: edge}}", False),
    ],
)
def test_a_gateway_of_the_gateway_api_heeds_its_targets(run: Run, spec: str, passes: bool) -> None:
    """A policy for the Gateway holds there, and at none of the pods behind it."""
    deny = authorization("shop/a", f"{{{spec}, action: DENY, rules: [{{}}]}}")
    manifests = SHOP + EDGE + route("HTTPRoute", "shop/web", "[shop.example.com]", rule("cart")) + deny
    document, code = explained(run, manifests, "shop.example.com")
    decided = [
        [gate["passes"] for gate in hop["gates"] if gate["gate"] == "authorization"]
        for hop in document["hops"]
    ]
    assert (decided, code) == ([[passes], [True]], 0 if passes else 1)


@pytest.mark.parametrize(
    ("policy", "decided"),
    [
        # A waypoint sees requests, and heeds what targets its Services or its Gateway.
        (
            ("calm/a", "{targetRefs: [{kind: Service, group: '', name: sea}], action: DENY, rules: [{}]}"),
            False,
        ),
        (
            (
                "calm/a",
                "{targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: way}], "
                "action: DENY, rules: [{}]}",
            ),
            False,
        ),
        (
            (
                "istio-system/a",
                "{targetRefs: [{kind: GatewayClass, group: gateway.networking.k8s.io, "
                "name: istio-waypoint}], "
                "action: DENY, rules: [{}]}",
            ),
            False,
        ),
        (("calm/a", "{targetRefs: [{kind: Service, group: '', name: x}], action: DENY, rules: [{}]}"), True),
        # What selects the pods is ztunnel's, who sees the waypoint call.
        (("calm/a", "{rules: [{from: [{source: {namespaces: [team]}}]}]}"), False),
        (("calm/a", "{rules: [{from: [{source: {namespaces: [calm]}}]}]}"), True),
    ],
)
def test_a_waypoint_and_ztunnel_share_the_policies(run: Run, policy: tuple[str, str], decided: bool) -> None:
    """One enforces those with targets, the other those with selectors."""
    home = namespace("calm", "istio.io/dataplane-mode: ambient, istio.io/use-waypoint: way")
    home += namespace("team", "istio.io/dataplane-mode: ambient") + workload("team", "part", 8083)
    home += object_of(
        "Gateway",
        "calm/way",
        "{gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}",
        "gateway.networking.k8s.io/v1",
    )
    manifests = home + workload("calm", "sea", 8080) + authorization(*policy)
    arguments = ("--from", "team/part", "--to", "calm/Service/sea:80", "--offline", "-f", "json")
    result = run("explain", "-", *arguments, stdin=manifests)
    document = json.loads(result.stdout)
    assert (document["connects"], result.exit_code) == (decided, 0 if decided else 1)
    assert document["allowed"] is True
