"""The gates of a connection: what `istio-netpol explain` tells besides policies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.cli.workspace import DENY_ALL, Run


def namespace(name: str, labels: str) -> str:
    return f"---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n"


def workload(home: str, name: str, port: int, annotations: str = "") -> str:
    """A Deployment, and a Service of its name that leads to its port."""
    return f"""\
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {home}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}, annotations: {{{annotations}}}}}
    spec:
      serviceAccountName: {name}
      containers: [{{name: main, image: main, ports: [{{containerPort: {port}}}]}}]
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {home}}}
spec:
  selector: {{app: {name}}}
  ports: [{{name: http, port: 80, targetPort: {port}}}]
"""


MESH = (
    namespace("shop", "istio-injection: enabled")
    + namespace("web", "istio-injection: enabled")
    + namespace("old", "app: old")
    + namespace("calm", "istio.io/dataplane-mode: ambient")
    + workload("shop", "cart", 8080)
    + workload("shop", "till", 8080)
    + workload("web", "front", 8081)
    + workload("old", "batch", 9000)
    + workload("calm", "sea", 8080)
)


def object_of(kind: str, name: str, spec: str, group: str = "security.istio.io/v1") -> str:
    home, _, bare = name.partition("/")
    return f"""\
---
apiVersion: {group}
kind: {kind}
metadata: {{name: {bare}, namespace: {home}}}
spec: {spec}
"""


def authorization(name: str, spec: str) -> str:
    return object_of("AuthorizationPolicy", name, spec)


def strict(name: str, more: str = "") -> str:
    return object_of("PeerAuthentication", name, f"{{mtls: {{mode: STRICT}}{more}}}")


def rule(name: str, host: str, mode: str) -> str:
    spec = f"{{host: {host}, trafficPolicy: {{tls: {{mode: {mode}}}}}}}"
    return object_of("DestinationRule", name, spec, "networking.istio.io/v1")


def sidecar(name: str, spec: str) -> str:
    return object_of("Sidecar", name, spec, "networking.istio.io/v1")


def explained(run: Run, manifests: str, source: str, target: str) -> tuple[dict[str, Any], int]:
    result = run("explain", "-", "--from", source, "--to", target, "--offline", "-f", "json", stdin=manifests)
    assert result.exit_code in (0, 1), result.output
    return json.loads(result.stdout), result.exit_code


def gate(document: dict[str, Any], name: str) -> list[tuple[str | None, bool | None]]:
    return [(shown["object"], shown["passes"]) for shown in document["gates"] if shown["gate"] == name]


FRONT, CART, BATCH, SEA = "web/front", "shop/cart:8080", "old/batch", "calm/sea:8080"
FROM_WEB = "rules: [{from: [{source: {namespaces: [web]}}]}]"
FROM_BATCH = "rules: [{from: [{source: {principals: [cluster.local/ns/old/sa/batch]}}]}]"
GET = "rules: [{to: [{operation: {methods: [GET]}}]}]"
MINE = "selector: {matchLabels: {app: cart}}"


@pytest.mark.parametrize(
    ("policies", "source", "target", "decided"),
    [
        ("", FRONT, CART, [(None, True)]),
        ([("shop/a", "{}")], FRONT, CART, [("shop/a", False)]),
        ([("shop/a", "{rules: [{}]}")], FRONT, CART, [("shop/a", True)]),
        ([("shop/a", f"{{{FROM_WEB}}}")], FRONT, CART, [("shop/a", True)]),
        ([("shop/a", f"{{{FROM_WEB}}}")], "shop/till", CART, [("shop/a", False)]),
        ([("shop/a", f"{{{FROM_WEB}}}")], BATCH, CART, [("shop/a", False)]),
        # Without a certificate nobody has an identity, whatever the service account is called.
        ([("shop/a", f"{{{FROM_BATCH}}}")], BATCH, CART, [("shop/a", False)]),
        ([("shop/a", f"{{action: DENY, {FROM_BATCH}}}")], BATCH, CART, [(None, True)]),
        ([("shop/a", f"{{action: DENY, {FROM_WEB}}}")], FRONT, CART, [("shop/a", False)]),
        (
            [("shop/a", "{action: DENY, rules: [{from: [{source: {notNamespaces: [web]}}]}]}")],
            BATCH,
            CART,
            [("shop/a", False)],
        ),
        ([("shop/a", "{action: DENY}")], FRONT, CART, [(None, True)]),
        ([("shop/a", f"{{action: DENY, {GET}}}")], FRONT, CART, [("shop/a", None)]),
        ([("shop/a", f"{{{GET}}}")], FRONT, CART, [("shop/a", None)]),
        # ztunnel sees no requests: an ALLOW rule that asks of them lets nobody in, a DENY rule denies all.
        ([("calm/a", f"{{{GET}}}")], FRONT, SEA, [("calm/a", False)]),
        ([("calm/a", f"{{action: DENY, {GET}}}")], FRONT, SEA, [("calm/a", False)]),
        ([("calm/a", f"{{{FROM_WEB}}}")], FRONT, SEA, [("calm/a", True)]),
        ([("calm/a", "{action: CUSTOM, provider: {name: oauth}, rules: [{}]}")], FRONT, SEA, [(None, True)]),
        (
            [("shop/a", "{action: CUSTOM, provider: {name: oauth}, rules: [{}]}")],
            FRONT,
            CART,
            [("shop/a", None)],
        ),
        ([("shop/a", "{action: AUDIT, rules: [{}]}")], FRONT, CART, [(None, True)]),
        # One that selects other pods, or lives elsewhere, does not hold; the root namespace's does.
        ([("shop/a", "{selector: {matchLabels: {app: till}}}")], FRONT, CART, [(None, True)]),
        ([("web/a", "{}")], FRONT, CART, [(None, True)]),
        ([("istio-system/a", "{}")], FRONT, CART, [("istio-system/a", False)]),
        ([("istio-system/a", f"{{{MINE}}}")], FRONT, CART, [("istio-system/a", False)]),
        # Whom one lets in, another need not.
        ([("shop/a", "{}"), ("shop/b", f"{{{FROM_WEB}}}")], FRONT, CART, [("shop/b", True)]),
        # DENY goes before ALLOW, CUSTOM before both.
        (
            [("shop/a", "{rules: [{}]}"), ("shop/b", f"{{action: DENY, {FROM_WEB}}}")],
            FRONT,
            CART,
            [("shop/b", False)],
        ),
        (
            [("shop/a", "{rules: [{to: [{operation: {ports: ['9999']}}]}]}")],
            FRONT,
            CART,
            [("shop/a", False)],
        ),
        (
            [("shop/a", "{rules: [{to: [{operation: {ports: ['8080']}}]}]}")],
            FRONT,
            CART,
            [("shop/a", True)],
        ),
        (
            [
                (
                    "shop/a",
                    "{rules: [{from: [{source: {namespaces: [web]}}], "
                    "when: [{key: 'request.headers[x]', values: [v]}]}]}",
                )
            ],
            FRONT,
            CART,
            [("shop/a", None)],
        ),
        (
            [("shop/a", "{rules: [{when: [{key: source.namespace, values: [web]}]}]}")],
            FRONT,
            CART,
            [("shop/a", True)],
        ),
        (
            [("shop/a", "{rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}")],
            FRONT,
            CART,
            [("shop/a", None)],
        ),
        (
            [("shop/a", "{rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]}")],
            FRONT,
            CART,
            [("shop/a", None)],
        ),
        (
            [("shop/a", "{rules: [{from: [{source: {ipBlocks: [192.0.2.0/24]}}]}]}")],
            "192.0.2.7",
            CART,
            [("shop/a", True)],
        ),
        (
            [("shop/a", "{rules: [{from: [{source: {ipBlocks: [192.0.2.0/24]}}]}]}")],
            "198.51.100.7",
            CART,
            [("shop/a", False)],
        ),
    ],
)
def test_authorization_policies_are_asked_in_istios_order(
    run: Run,
    policies: list[tuple[str, str]],
    source: str,
    target: str,
    decided: list[tuple[str | None, bool | None]],
) -> None:
    """CUSTOM, DENY, then ALLOW, as far as each can be told without a request."""
    manifests = MESH + "".join(authorization(name, spec) for name, spec in policies)
    document, code = explained(run, manifests, source, target)
    expected = [(name and f"AuthorizationPolicy {name}", passes) for name, passes in decided]
    assert gate(document, "authorization") == expected
    assert document["allowed"] is True
    assert document["connects"] is (False not in [passes for _, passes in decided])
    assert code == (0 if document["connects"] else 1)


def test_a_policy_on_trial_refuses_nobody(run: Run) -> None:
    """`istio.io/dry-run` only logs."""
    on_trial = authorization("shop/a", "{}").replace(
        "namespace: shop}", "namespace: shop, annotations: {istio.io/dry-run: 'true'}}"
    )
    assert gate(explained(run, MESH + on_trial, FRONT, CART)[0], "authorization") == [(None, True)]


def test_nobody_carries_out_a_policy_on_pods_outside_the_mesh(run: Run) -> None:
    """It is named, so that nobody relies on it."""
    document, code = explained(run, MESH + authorization("old/a", "{}"), FRONT, "old/batch:9000")
    assert gate(document, "authorization") == [("AuthorizationPolicy old/a", True)]
    assert "no proxy enforces AuthorizationPolicy old/a" in json.dumps(document)
    assert code == 0


PORT = ", selector: {matchLabels: {app: cart}}, portLevelMtls: {8080: {mode: %s}}"


@pytest.mark.parametrize(
    ("objects", "source", "target", "decided"),
    [
        ("", BATCH, CART, (None, True)),
        (strict("shop/default"), BATCH, CART, ("PeerAuthentication shop/default", False)),
        (strict("shop/default"), FRONT, CART, ("PeerAuthentication shop/default", True)),
        (strict("shop/default"), "192.0.2.7", CART, ("PeerAuthentication shop/default", False)),
        (strict("shop/default"), "calm/sea", CART, ("PeerAuthentication shop/default", True)),
        (strict("istio-system/default"), BATCH, CART, ("PeerAuthentication istio-system/default", False)),
        (strict("web/default"), BATCH, CART, (None, True)),
        # The narrower one counts: pods before the namespace, that before the mesh, a port before its pods.
        (
            strict("istio-system/default") + strict("shop/default").replace("STRICT", "PERMISSIVE"),
            BATCH,
            CART,
            ("PeerAuthentication shop/default", True),
        ),
        (
            strict("shop/default")
            + strict("shop/cart", ", selector: {matchLabels: {app: cart}}").replace("STRICT", "DISABLE"),
            BATCH,
            CART,
            ("PeerAuthentication shop/cart", True),
        ),
        (
            strict("shop/default")
            + strict("shop/cart", ", selector: {matchLabels: {app: cart}}").replace("STRICT", "UNSET"),
            BATCH,
            CART,
            ("PeerAuthentication shop/default", False),
        ),
        (strict("shop/cart", PORT % "PERMISSIVE"), BATCH, CART, ("PeerAuthentication shop/cart", True)),
        (strict("shop/cart", PORT % "UNSET"), BATCH, CART, ("PeerAuthentication shop/cart", False)),
        (
            strict("shop/cart", PORT % "STRICT").replace("{mode: STRICT},", "{mode: DISABLE},"),
            BATCH,
            CART,
            ("PeerAuthentication shop/cart", False),
        ),
        # Without a selector a port's mode means nothing.
        (
            strict("shop/all", ", portLevelMtls: {8080: {mode: DISABLE}}"),
            BATCH,
            CART,
            ("PeerAuthentication shop/all", False),
        ),
        # A selector in the root namespace selects nobody.
        (strict("istio-system/cart", ", selector: {matchLabels: {app: cart}}"), BATCH, CART, (None, True)),
        # Of two of the same kind the oldest counts, which files do not tell.
        (
            strict("shop/a") + strict("shop/b").replace("STRICT", "PERMISSIVE"),
            BATCH,
            CART,
            ("PeerAuthentication shop/a, PeerAuthentication shop/b", None),
        ),
        (
            strict("shop/a").replace(
                "namespace: shop", "namespace: shop, creationTimestamp: 2026-01-02T00:00:00Z"
            )
            + strict("shop/b")
            .replace("STRICT", "PERMISSIVE")
            .replace("namespace: shop", "namespace: shop, creationTimestamp: 2026-01-01T00:00:00Z"),
            BATCH,
            CART,
            ("PeerAuthentication shop/b", True),
        ),
        # A client's DestinationRule says what it sends.
        (
            strict("shop/default") + rule("shop/cart", "cart", "DISABLE"),
            FRONT,
            CART,
            ("PeerAuthentication shop/default, DestinationRule shop/cart", False),
        ),
        (
            strict("shop/default") + rule("web/all", "'*.local'", "SIMPLE"),
            FRONT,
            CART,
            ("PeerAuthentication shop/default, DestinationRule web/all", False),
        ),
        (
            strict("shop/default")
            + rule("shop/cart", "cart", "DISABLE")
            + rule("web/all", "'*.local'", "ISTIO_MUTUAL"),
            FRONT,
            CART,
            ("PeerAuthentication shop/default, DestinationRule web/all", True),
        ),
        (
            strict("shop/default") + rule("old/cart", "cart.shop.svc.cluster.local", "DISABLE"),
            FRONT,
            CART,
            ("PeerAuthentication shop/default", True),
        ),
        (rule("shop/cart", "cart", "DISABLE"), FRONT, CART, ("DestinationRule shop/cart", True)),
        (
            rule("old/batch", "batch", "ISTIO_MUTUAL"),
            FRONT,
            "old/batch:9000",
            ("DestinationRule old/batch", None),
        ),
        # Pods outside the mesh take whatever comes.
        (strict("old/default"), FRONT, "old/batch:9000", (None, True)),
        (strict("calm/default"), BATCH, SEA, ("PeerAuthentication calm/default", False)),
        (strict("calm/default"), FRONT, SEA, ("PeerAuthentication calm/default", True)),
        # A Sidecar that hides the host leaves the client without mutual TLS.
        (
            strict("shop/default")
            + sidecar(
                "web/default", "{outboundTrafficPolicy: {mode: ALLOW_ANY}, egress: [{hosts: ['./*']}]}"
            ),
            FRONT,
            CART,
            ("PeerAuthentication shop/default, Sidecar web/default", False),
        ),
    ],
)
def test_plaintext_is_refused_where_mutual_tls_is_asked_for(
    run: Run, objects: str, source: str, target: str, decided: tuple[str | None, bool | None]
) -> None:
    """By the PeerAuthentication that counts, and the DestinationRule that the client's proxy follows."""
    document, code = explained(run, MESH + objects, source, target)
    assert gate(document, "mtls") == [decided]
    assert code == (1 if decided[1] is False else 0)


@pytest.mark.parametrize(
    ("annotation", "passes"),
    [
        ("traffic.sidecar.istio.io/excludeInboundPorts: '8080'", True),
        ("traffic.sidecar.istio.io/excludeInboundPorts: '1, 8080'", True),
        ("traffic.sidecar.istio.io/excludeInboundPorts: '80'", False),
        ("traffic.sidecar.istio.io/includeInboundPorts: '9090'", True),
        ("traffic.sidecar.istio.io/includeInboundPorts: ''", True),
        ("traffic.sidecar.istio.io/includeInboundPorts: '*'", False),
    ],
)
def test_ports_that_are_kept_from_the_proxy_ask_for_nothing(run: Run, annotation: str, passes: bool) -> None:
    """Neither mutual TLS nor AuthorizationPolicies hold there."""
    manifests = MESH.replace(workload("shop", "cart", 8080), workload("shop", "cart", 8080, annotation))
    document, _ = explained(run, manifests + strict("shop/default"), BATCH, CART)
    assert [outcome for _, outcome in gate(document, "mtls")] == [passes]


@pytest.mark.parametrize(
    ("spec", "decided"),
    [
        ("{egress: [{hosts: ['*/*']}]}", ("Sidecar web/default", True)),
        ("{egress: [{hosts: ['shop/*']}]}", ("Sidecar web/default", True)),
        (
            "{egress: [{port: {number: 80, protocol: HTTP}, hosts: ['shop/*']}]}",
            ("Sidecar web/default", True),
        ),
        ("{egress: [{port: {number: 9, protocol: HTTP}, hosts: ['shop/*']}]}", ("Sidecar web/default", None)),
        ("{egress: [{hosts: ['./*', 'istio-system/*']}]}", ("Sidecar web/default", None)),
        (
            "{outboundTrafficPolicy: {mode: REGISTRY_ONLY}, egress: [{hosts: ['./*']}]}",
            ("Sidecar web/default", False),
        ),
        (
            "{outboundTrafficPolicy: {mode: ALLOW_ANY}, egress: [{hosts: ['./*']}]}",
            ("Sidecar web/default", True),
        ),
        ("{workloadSelector: {labels: {app: other}}, egress: [{hosts: ['./*']}]}", (None, True)),
    ],
)
def test_a_sidecar_may_hide_a_host(run: Run, spec: str, decided: tuple[str | None, bool | None]) -> None:
    """What becomes of it then, outboundTrafficPolicy says."""
    document, code = explained(run, MESH + sidecar("web/default", spec), FRONT, CART)
    assert gate(document, "sidecar-scope") == [decided]
    assert code == (1 if decided[1] is False else 0)


def test_a_route_of_the_mesh_may_lead_elsewhere(run: Run) -> None:
    """What is asked for is then not what the client reaches."""
    spec = "{hosts: [cart], http: [{route: [{destination: {host: till, port: {number: 80}}}]}]}"
    routed = object_of("VirtualService", "shop/cart", spec, "networking.istio.io/v1")
    document, code = explained(run, MESH + routed, FRONT, CART)
    assert gate(document, "mesh-route") == [("VirtualService shop/cart", None)]
    assert "elsewhere, all of it: to till" in json.dumps(document)
    assert code == 0
    for other in (BATCH, "192.0.2.7"):
        assert gate(explained(run, MESH + routed, other, CART)[0], "mesh-route") == []
    itself = routed.replace("host: till", "host: cart")
    assert gate(explained(run, MESH + itself, FRONT, CART)[0], "mesh-route") == []


def test_subsets_may_speak_tls_otherwise(run: Run) -> None:
    """Which subset a call takes, only its route says."""
    spec = (
        "{host: cart, subsets: [{name: a, labels: {v: a}, trafficPolicy: {tls: {mode: DISABLE}}}], "
        "trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}"
    )
    manifests = MESH + object_of("DestinationRule", "shop/cart", spec, "networking.istio.io/v1")
    document, _ = explained(run, manifests + strict("shop/default"), FRONT, CART)
    assert [passes for _, passes in gate(document, "mtls")] == [None]


@pytest.mark.parametrize(
    ("settings", "passes"),
    [
        ("tls: {mode: ISTIO_MUTUAL}, portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]", False),
        ("tls: {mode: DISABLE}, portLevelSettings: [{port: {number: 80}, tls: {mode: ISTIO_MUTUAL}}]", True),
        ("tls: {mode: DISABLE}, portLevelSettings: [{port: {number: 81}, tls: {mode: ISTIO_MUTUAL}}]", False),
        ("portLevelSettings: [{port: {number: 80}}]", True),
        ("connectionPool: {}", True),
        ("tls: {}", False),
    ],
)
def test_the_setting_of_a_port_goes_before_that_of_its_host(run: Run, settings: str, passes: bool) -> None:
    """The port is the Service's, not the pods'."""
    spec = f"{{host: cart, trafficPolicy: {{{settings}}}}}"
    manifests = MESH + object_of("DestinationRule", "shop/cart", spec, "networking.istio.io/v1")
    document, _ = explained(run, manifests + strict("shop/default"), FRONT, CART)
    assert [outcome for _, outcome in gate(document, "mtls")] == [passes]


MESH_CONFIG = """\
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    %s
"""


@pytest.mark.parametrize(
    ("config", "name", "passes"),
    [
        ("enableAutoMtls: false", "mtls", False),
        ("enableAutoMtls: true", "mtls", True),
        ("{}", "mtls", True),
        ("outboundTrafficPolicy: {mode: REGISTRY_ONLY}", "sidecar-scope", False),
        ("outboundTrafficPolicy: {mode: ALLOW_ANY}", "sidecar-scope", True),
        ("{}", "sidecar-scope", True),
        ("outboundTrafficPolicy: {mode: 0}", "sidecar-scope", False),
    ],
)
def test_the_mesh_config_counts(run: Run, config: str, name: str, passes: bool) -> None:
    """Where no Sidecar and no DestinationRule says otherwise."""
    hidden = sidecar("web/default", "{egress: [{hosts: ['./*']}]}") if name == "sidecar-scope" else ""
    objects = hidden or strict("shop/default")
    document, _ = explained(run, MESH + MESH_CONFIG % config + objects, FRONT, CART)
    assert [outcome for _, outcome in gate(document, name)] == [passes]


def test_gates_come_in_the_order_of_the_way(run: Run) -> None:
    """From the client to the server, policies among them with what decides."""
    document, code = explained(run, MESH + DENY_ALL, FRONT, CART)
    assert [shown["gate"] for shown in document["gates"]] == [
        "injection", "sidecar-scope", "egress-policy", "ingress-policy", "injection", "mtls", "authorization",
    ]  # fmt: skip
    assert gate(document, "egress-policy") == [(None, True)]
    assert gate(document, "ingress-policy") == [("NetworkPolicy shop/default-deny", False)]
    assert (document["allowed"], document["connects"], code) == (False, False, 1)


def test_the_text_says_who_refuses_what_policies_allow(run: Run) -> None:
    """In its first two lines: no policy would help."""
    manifests = MESH + authorization("shop/deny", f"{{action: DENY, {FROM_WEB}}}")
    result = run("explain", "-", "--from", FRONT, "--to", CART, "--offline", stdin=manifests)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[:2] == [
        "web/front to shop/cart:8080/TCP: refused",
        "Policies allow it; AuthorizationPolicy shop/deny denies it (RBAC: access denied). No NetworkPolicy "
        "changes that.",
    ]
    assert "x authorization" in result.stdout
    assert "Policies that allow it" not in result.stdout


def test_udp_passes_the_proxies_by(run: Run) -> None:
    """Neither mutual TLS nor AuthorizationPolicies hold for it."""
    manifests = MESH + strict("shop/default") + authorization("shop/a", "{}")
    document, code = explained(run, manifests, BATCH, "shop/cart:8080/UDP")
    assert (gate(document, "mtls"), gate(document, "authorization"), code) == ([(None, True)], [], 0)


@pytest.mark.parametrize(
    ("spec", "field", "cause"),
    [
        ("{mtls: {mode: STRONG}}", "spec.mtls.mode", "is not a mode"),
        ("{portLevelMtls: {http: {mode: STRICT}}}", "spec.portLevelMtls.http", "is not a port number"),
        ("{mtls: STRICT}", "spec.mtls", "is a string, not a mapping"),
    ],
)
def test_a_peer_authentication_that_cannot_be_read_is_told(
    run: Run, spec: str, field: str, cause: str
) -> None:
    """With its field and what to write; nothing is judged."""
    text = MESH + object_of("PeerAuthentication", "shop/a", spec)
    result = run("explain", "-", "--from", FRONT, "--to", CART, "--offline", stdin=text)
    assert result.exit_code == 2
    assert f"{field}" in result.stderr
    assert cause in result.stderr


def test_a_policy_without_rules_lets_nobody_in(run: Run) -> None:
    """It does not let others in either."""
    document, code = explained(run, MESH + authorization("shop/a", f"{{{MINE}}}"), FRONT, CART)
    (told,) = [shown["text"] for shown in document["gates"] if shown["gate"] == "authorization"]
    assert "has no rules, so it lets nobody in" in told
    assert code == 1
