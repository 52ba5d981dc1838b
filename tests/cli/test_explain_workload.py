"""`istio-netpol explain --workload`: all that a workload needs, and what of it is cut."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_explain_gates import (
    MESH,
    authorization,
    namespace,
    object_of,
    strict,
    workload,
)
from tests.cli.workspace import DENY_ALL, ISTIOD_DENIED, JWT, Run

CALLING = MESH.replace(
    workload("shop", "till", 8080), workload("shop", "till", 8080, "istio-netpol.io/calls: 'cart:80'")
)


def explained(run: Run, manifests: str, name: str) -> tuple[dict[str, Any], int]:
    arguments = ("--offline", "--address", "keys.example.com=192.0.2.7", "-f", "json")
    result = run("explain", "-", "--workload", name, *arguments, stdin=manifests)
    assert result.exit_code in (0, 1), result.output
    return json.loads(result.stdout), result.exit_code


def cut(document: dict[str, Any]) -> list[tuple[str, bool]]:
    return [(hop["rule"], hop["starts"]) for hop in document["hops"] if hop["cut"]]


@pytest.mark.parametrize("name", ["shop/cart", "shop/Deployment/cart", "shop/deployment/cart"])
def test_what_keeps_pods_from_starting_comes_first(run: Run, name: str) -> None:
    """DNS and istiod before what the application calls."""
    document, code = explained(run, CALLING + DENY_ALL, name)
    assert (document["kind"], document["workload"]) == ("WorkloadExplanation", "Deployment shop/cart")
    assert cut(document) == [
        ("dns", True), ("dns", True), ("proxy-to-istiod", True), ("workload-to-workload", False),
    ]  # fmt: skip
    assert (document["connects"], code) == (False, 1)


def test_a_pod_is_named_like_its_workload(run: Run) -> None:
    """The one that is stuck."""
    pod = """\
---
apiVersion: v1
kind: Pod
metadata: {name: once-7, namespace: shop, labels: {app: once}}
spec: {containers: [{name: once, image: once}]}
"""
    document, _ = explained(run, MESH + DENY_ALL + pod, "shop/once-7")
    assert document["workload"] == "Pod shop/once-7"
    assert ("proxy-to-istiod", True) in cut(document)


def test_the_remedy_opens_all_of_it(run: Run) -> None:
    """And with it nothing is cut any more."""
    manifests = CALLING + DENY_ALL
    document, _ = explained(run, manifests, "shop/till")
    assert cut(document)
    remedy = "".join(f"---\n{json.dumps(policy)}\n" for policy in document["remedy"])
    after, code = explained(run, manifests + remedy, "shop/till")
    assert (cut(after), after["remedy"], code) == ([], [], 0)


def test_without_policies_nothing_is_cut(run: Run) -> None:
    """Each need is told all the same."""
    document, code = explained(run, CALLING, "shop/till")
    assert {hop["rule"] for hop in document["hops"]} == {"dns", "proxy-to-istiod", "workload-to-workload"}
    assert (cut(document), code) == ([], 0)


def test_keys_of_its_tokens_are_a_need_of_the_workload(run: Run) -> None:
    """istiod fetches them for the RequestAuthentications that select it, of its namespace and of the mesh."""
    manifests = MESH + ISTIOD_DENIED + JWT
    document, code = explained(run, manifests, "shop/cart")
    assert ("istiod-to-jwks", False) in cut(document)
    assert code == 1
    assert any(policy["metadata"]["namespace"] == "istio-system" for policy in document["remedy"])
    for other in ("web/front", "old/batch"):
        assert "istiod-to-jwks" not in {hop["rule"] for hop in explained(run, manifests, other)[0]["hops"]}
    elsewhere = JWT.replace("jwtRules:", "selector: {matchLabels: {app: till}}\n  jwtRules:")
    document, _ = explained(run, MESH + ISTIOD_DENIED + elsewhere, "shop/cart")
    assert "istiod-to-jwks" not in {hop["rule"] for hop in document["hops"]}
    whole_mesh = JWT.replace("namespace: shop", "namespace: istio-system")
    document, _ = explained(run, MESH + ISTIOD_DENIED + whole_mesh, "web/front")
    assert ("istiod-to-jwks", False) in cut(document)


def test_the_call_that_injects_a_sidecar_is_a_need_of_its_pods(run: Run) -> None:
    """Where the API server can't ask istiod, no pod is created."""
    manifests = MESH + ISTIOD_DENIED
    assert ("webhook-from-apiserver", True) in cut(explained(run, manifests, "shop/cart")[0])
    assert ("webhook-from-apiserver", True) not in cut(explained(run, manifests, "old/batch")[0])


def test_a_connection_that_several_objects_need_is_told_once(run: Run) -> None:
    """istiod's own, and the webhook configuration's."""
    webhook = """\
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: istio-sidecar-injector}
webhooks:
- name: rev.namespace.sidecar-injector.istio.io
  clientConfig: {service: {name: istiod, namespace: istio-system, path: /inject, port: 443}}
---
apiVersion: v1
kind: Service
metadata: {name: istiod, namespace: istio-system}
spec: {selector: {app: istiod}, ports: [{name: https-webhook, port: 443, targetPort: 15017}]}
"""
    document, _ = explained(run, MESH + ISTIOD_DENIED + webhook, "shop/cart")
    assert [rule for rule, _ in cut(document)].count("webhook-from-apiserver") == 1


def test_a_workload_outside_the_mesh_needs_no_istiod(run: Run) -> None:
    """It says why it is outside."""
    document, code = explained(run, MESH + DENY_ALL.replace("shop", "old"), "old/batch")
    assert "proxy-to-istiod" not in {hop["rule"] for hop in document["hops"]}
    assert any("not in the mesh" in remark for remark in document["remarks"])
    assert code == 0


def test_a_need_that_another_gate_refuses_is_cut(run: Run) -> None:
    """No policy mends it, and none is offered."""
    client = workload("old", "batch", 9000, "istio-netpol.io/calls: 'shop/cart:80'")
    manifests = MESH.replace(workload("old", "batch", 9000), client) + strict("shop/default")
    document, code = explained(run, manifests, "old/batch")
    assert cut(document) == [("workload-to-workload", False)]
    assert (document["remedy"], code) == ([], 1)
    result = run("explain", "-", "--workload", "old/batch", "--offline", stdin=manifests)
    assert "x mtls" in result.stdout


def test_what_proxies_do_themselves_no_sidecar_hides(run: Run) -> None:
    """They ask istiod past their own listeners."""
    narrow = object_of(
        "Sidecar",
        "shop/default",
        "{outboundTrafficPolicy: {mode: REGISTRY_ONLY}, egress: [{hosts: ['./*']}]}",
        "networking.istio.io/v1",
    )
    document, code = explained(run, CALLING + narrow, "shop/till")
    assert (cut(document), code) == ([], 0)


def test_probes_of_ambient_pods_need_no_certificate(run: Run) -> None:
    """ztunnel lets the kubelet through, whatever PeerAuthentications say."""
    probed = workload("calm", "sea", 8080).replace(
        "ports: [{containerPort: 8080}]",
        "ports: [{containerPort: 8080}], readinessProbe: {httpGet: {path: /, port: 8080}}",
    )
    manifests = MESH.replace(workload("calm", "sea", 8080), probed) + strict("calm/default")
    document, code = explained(run, manifests + DENY_ALL.replace("shop", "calm"), "calm/sea")
    probes = [hop for hop in document["hops"] if hop["source"].startswith("169.254.7.127")]
    assert probes
    assert {gate["gate"] for hop in probes for gate in hop["gates"]} == {
        "egress-policy", "ingress-policy", "injection",
    }  # fmt: skip
    assert code == 1


def test_ambient_pods_are_looked_at_through_their_tunnel(run: Run) -> None:
    """AuthorizationPolicies see the port that is meant, policies the tunnel's."""
    client = workload("web", "front", 8081, "istio-netpol.io/calls: 'calm/sea:80'")
    manifests = MESH.replace(workload("web", "front", 8081), client)
    port = authorization("calm/a", "{rules: [{to: [{operation: {ports: ['8080']}}]}]}")
    document, code = explained(run, manifests + port, "web/front")
    hops = [
        hop for hop in document["hops"] if hop["source"] == "Deployment web/front" and hop["port"] == 15008
    ]
    assert [hop["cut"] for hop in hops] == [False]
    assert [gate["object"] for gate in hops[0]["gates"] if gate["gate"] == "authorization"] == [
        "AuthorizationPolicy calm/a"
    ]
    assert code == 0


def test_who_says_nothing_of_its_calls_is_told_so(run: Run) -> None:
    """Silence is no proof that it calls nobody."""
    document, _ = explained(run, MESH + DENY_ALL, "shop/cart")
    assert any("istio-netpol.io/calls" in remark for remark in document["remarks"])
    document, _ = explained(run, CALLING + DENY_ALL, "shop/till")
    assert not any("istio-netpol.io/calls" in remark for remark in document["remarks"])


def test_losing_metrics_alone_is_no_failure(run: Run, tmp_path: Path) -> None:
    """It is shown as cut."""
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        "apiVersion: istio-netpol.io/v1\nkind: Settings\ncheckScrape: true\nscrapeNamespaces: [monitoring]\n"
    )
    scraper = namespace("monitoring", "app: m") + workload("monitoring", "prometheus", 9090)
    ingress = DENY_ALL.replace("[Ingress, Egress]", "[Ingress]")
    arguments = ("--offline", "--config", str(settings), "-f", "json")
    result = run("explain", "-", "--workload", "shop/cart", *arguments, stdin=MESH + scraper + ingress)
    document = json.loads(result.stdout)
    assert set(cut(document)) == {("scrape", False)}
    assert [hop["vital"] for hop in document["hops"] if hop["cut"]] == [False, False]
    assert (document["connects"], result.exit_code) == (True, 0)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--workload", "shop/kart"), "did you mean shop/Deployment/cart?"),
        (("--workload", "192.0.2.7"), "is an address that no pod has"),
        (("--workload", "cart"), "a peer is namespace/workload"),
        ((), "say what to explain"),
        (("--from", "shop/cart"), "say what to explain"),
        (("--workload", "shop/cart", "--from", "shop/cart"), "one thing at a time"),
    ],
)
def test_what_cannot_be_explained_is_one_error(run: Run, arguments: tuple[str, ...], told: str) -> None:
    """With exit code 2."""
    result = run("explain", "shop.yaml", *arguments, "--offline")
    assert result.exit_code == 2
    assert told in result.stderr


def test_the_text_says_what_is_missing_before_what_is_there(run: Run) -> None:
    """Readable from the top."""
    extra = object_of("RequestAuthentication", "shop/jwt", "{jwtRules: [{issuer: a, jwks: '{}'}]}")
    result = run("explain", "-", "--workload", "shop/cart", "--offline", stdin=CALLING + DENY_ALL + extra)
    lines = result.stdout.splitlines()
    assert lines[0] == "Deployment shop/cart: 4 connections needed, 4 cut"
    assert lines[3] == "Cut, and pods do not start or become ready without it:"
    assert lines[4] == "x dns: Deployment shop/cart to Deployment kube-system/coredns (assumed), TCP 53"
    assert "Policies that allow what is cut:" in lines


PAYMENTS = object_of(
    "ServiceEntry",
    "shop/pay",
    "{hosts: [pay.example.net], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS}",
    "networking.istio.io/v1",
)
KEYS = object_of(
    "RequestAuthentication",
    "shop/pay",
    "{jwtRules: [{issuer: a, jwksUri: 'https://pay.example.net/keys'}]}",
)
SOME_EGRESS = object_of(
    "NetworkPolicy",
    "shop/some",
    "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 198.51.0.0/16}}]}]}",
    "networking.k8s.io/v1",
)


@pytest.mark.parametrize(
    ("asking", "policies", "is_cut"),
    [(PAYMENTS, DENY_ALL, True), (PAYMENTS, DENY_ALL + SOME_EGRESS, False), (KEYS, ISTIOD_DENIED, True)],
)
def test_what_no_address_of_a_host_passes_is_cut(run: Run, asking: str, policies: str, is_cut: bool) -> None:
    """Though the host does not resolve: `check` calls the same denied."""
    manifests = MESH + asking + policies
    document, code = explained(run, manifests, "shop/cart")
    asked = [hop for hop in document["hops"] if hop["destination"] == "pay.example.net"]
    assert [hop["cut"] for hop in asked] == [is_cut]
    found = json.loads(run("check", "-", "--offline", "-f", "json", stdin=manifests).stdout)["findings"]
    denied = [
        finding
        for finding in found
        if (finding["flow"] or {}).get("destination") == {"host": "pay.example.net"}
    ]
    assert any(finding["denied"]["egress"] for finding in denied) == is_cut
    if is_cut:
        assert code == 1
        assert "--address pay.example.net=IP" in asked[0]["trouble"]
        assert "is denied" in asked[0]["trouble"]
