"""What `check` says of single policies: of each kind of breadth, and of what has no effect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from tests.cli.workspace import Run

CLUSTER = """\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {kubernetes.io/metadata.name: shop, team: sales}}
---
apiVersion: v1
kind: Namespace
metadata: {name: bank, labels: {kubernetes.io/metadata.name: bank, team: money}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, annotations: {istio-netpol.io/calls: "cart:80, 198.51.100.7/32:443"}}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop, annotations: {istio-netpol.io/called-by: shop/web}}
spec:
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec: {containers: [{name: cart, image: cart, ports: [{containerPort: 8080, name: http}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec:
  clusterIP: 10.96.7.7
  clusterIPs: [10.96.7.7]
  selector: {app: cart}
  ports: [{port: 80, targetPort: http}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ledger, namespace: bank}
spec:
  selector: {matchLabels: {app: ledger}}
  template:
    metadata: {labels: {app: ledger}}
    spec: {containers: [{name: ledger, image: ledger, ports: [{containerPort: 9000, name: api}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: bank}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
"""
TO_CART = {"podSelector": {"matchLabels": {"app": "cart"}}}
CART_ON_8080 = {"to": [TO_CART], "ports": [{"protocol": "TCP", "port": 8080}]}
HOST_ON_443 = {"to": [{"ipBlock": {"cidr": "198.51.100.7/32"}}], "ports": [{"protocol": "TCP", "port": 443}]}


def named(name: str, **spec: Any) -> str:
    document = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": spec,
    }
    return f"---\n{yaml.safe_dump(document)}"


def said(run: Run, *policies: str) -> list[dict[str, Any]]:
    """What is found about the policies of namespace shop."""
    result = run("check", "-", "--offline", "-f", "json", stdin=CLUSTER + "".join(policies))
    assert result.exit_code in (0, 1), result.stderr
    found = json.loads(result.stdout)["findings"]
    return [
        finding
        for finding in found
        if (finding["object"]["kind"], finding["object"]["namespace"]) == ("NetworkPolicy", "shop")
    ]


def brief(findings: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(finding["severity"], finding["rule"]) for finding in findings]


def egress(*rules: Mapping[str, Any], pods: Mapping[str, Any] | None = None) -> str:
    selected = {"matchLabels": {"app": "web"}} if pods is None else dict(pods)
    return named("p", podSelector=selected, policyTypes=["Egress"], egress=[dict(rule) for rule in rules])


def ingress(*rules: Mapping[str, Any]) -> str:
    selected = {"matchLabels": {"app": "cart"}}
    return named("p", podSelector=selected, policyTypes=["Ingress"], ingress=[dict(rule) for rule in rules])


def blocks(*cidrs: str) -> list[dict[str, Any]]:
    return [{"ipBlock": {"cidr": cidr}} for cidr in cidrs]


ANY_NAMESPACE = {"namespaceSelector": {}}


@pytest.mark.parametrize(
    ("policy", "clause"),
    [
        (egress({}), "opens every port to every peer"),
        (egress({"to": []}), "opens every port to every peer"),
        (egress({"to": [ANY_NAMESPACE]}), "opens every port to every pod of every namespace"),
        (egress({"to": [{**ANY_NAMESPACE, "podSelector": {}}]}), "to every pod of every namespace"),
        (egress({"to": blocks("0.0.0.0/0")}), "to 0.0.0.0/0, the internet"),
        (egress({"to": blocks("::/0")}), "to ::/0, the internet"),
        (egress({"to": blocks("0.0.0.0/1", "128.0.0.0/1")}), "to 0.0.0.0/1, 128.0.0.0/1, the internet"),
        (egress({"to": blocks("2000::/3")}), "to 2000::/3, the internet"),
        (egress({"to": blocks("0.0.0.0/0"), "ports": [{"port": 443}]}), "opens its ports to 0.0.0.0/0"),
        (egress({"ports": [{"port": 443}, {"port": 80}]}), "names ports (TCP 443, TCP 80) but no peers"),
        (egress({"to": blocks("10.0.0.0/8")}), "10.0.0.0/8, a private range as a whole"),
        (
            egress({"to": blocks("172.0.0.0/8")}),
            "172.0.0.0/8, with 172.16.0.0/12, a private range as a whole",
        ),
        (egress({"to": blocks("169.254.169.254/32")}), "where clouds give out the credentials of the node"),
        (ingress({}), "opens every port to every peer"),
        (ingress({"from": [ANY_NAMESPACE]}), "to every pod of every namespace"),
        (ingress({"ports": [{"port": 8080}]}), "names ports (TCP 8080) but no peers"),
    ],
)
def test_peers_without_bounds_are_a_warning(run: Run, policy: str, clause: str) -> None:
    """Whoever the rule was meant for."""
    (finding,) = [finding for finding in said(run, policy) if finding["rule"] == "broad-policy"]
    assert finding["severity"] == "warning"
    assert clause in finding["message"]


@pytest.mark.parametrize(
    "ports",
    [[], [{"port": 1, "endPort": 65535}], [{"protocol": "UDP"}], [{"port": 1024, "endPort": 65535}]],
)
def test_every_port_of_named_peers_is_an_info(run: Run, ports: list[dict[str, Any]]) -> None:
    """The peers are meant; nobody says which of their ports."""
    rule: dict[str, Any] = {"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}
    (finding,) = [
        finding
        for finding in said(run, ingress({**rule, "ports": ports} if ports else rule))
        if not finding["flow"]
    ]
    assert (finding["severity"], finding["rule"]) == ("info", "broad-policy")


@pytest.mark.parametrize(
    "policy",
    [
        named("deny", podSelector={}, policyTypes=["Ingress", "Egress"]),
        egress(CART_ON_8080, HOST_ON_443),
        egress({"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}]}, CART_ON_8080, HOST_ON_443),
        ingress({"from": [{"podSelector": {"matchLabels": {"app": "web"}}}], "ports": [{"port": "http"}]}),
        ingress(
            {"from": blocks("169.254.7.127/32")},
            {"from": [{"podSelector": {"matchLabels": {"app": "web"}}}], "ports": [{"port": 8080}]},
        ),
        egress({"to": blocks("198.51.100.0/24"), "ports": [{"port": 443}]}, CART_ON_8080),
        ingress(
            {
                "from": [
                    {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "elsewhere"}}}
                ],
                "ports": [{"port": 8080}],
            },
            {"from": [{"podSelector": {"matchLabels": {"app": "web"}}}], "ports": [{"port": 8080}]},
        ),
    ],
)
def test_what_is_narrow_or_unknown_is_no_finding(run: Run, policy: str) -> None:
    """A baseline, a rule for what is needed, and peers in what was not read."""
    assert [finding["message"] for finding in said(run, policy)] == []


@pytest.mark.parametrize(
    ("wide", "kept"),
    [
        ({}, [HOST_ON_443, CART_ON_8080]),
        ({"to": [ANY_NAMESPACE]}, [CART_ON_8080]),
        ({"to": [TO_CART]}, [CART_ON_8080]),
        ({"to": blocks("0.0.0.0/0")}, [HOST_ON_443, CART_ON_8080]),
        ({"to": blocks("128.0.0.0/1", "0.0.0.0/1"), "ports": [{"port": 443}]}, [HOST_ON_443]),
    ],
)
def test_the_narrower_form_keeps_what_is_declared(
    run: Run, wide: dict[str, Any], kept: list[dict[str, Any]]
) -> None:
    """The same policy with rules for the flows through it; once applied, it is no finding."""
    others = [CART_ON_8080, HOST_ON_443]
    (finding,) = [finding for finding in said(run, egress(wide)) if finding["rule"] == "broad-policy"]
    (remedy,) = finding["remedy"]
    assert (remedy["metadata"]["namespace"], remedy["metadata"]["name"]) == ("shop", "p")
    assert remedy["spec"]["policyTypes"] == ["Egress"]
    assert sorted(map(str, remedy["spec"]["egress"])) == sorted(map(str, kept))
    applied = said(
        run,
        f"---\n{yaml.safe_dump(remedy)}",
        named("q", podSelector={"matchLabels": {"app": "web"}}, policyTypes=["Egress"], egress=others),
    )
    assert "broad-policy" not in {finding["rule"] for finding in applied}


def test_an_opening_that_nothing_needs_asks_the_owners(run: Run) -> None:
    """Nobody declares who calls the cart from outside, so that no narrower form is known."""
    clients = named("all", podSelector={"matchLabels": {"app": "web"}}, policyTypes=["Ingress"], ingress=[{}])
    (finding,) = said(run, clients)
    assert finding["remedy"] == []
    assert "ask the owners of Deployment shop/web who calls them" in finding["message"]


def test_pods_that_are_assumed_are_said(run: Run) -> None:
    """DNS and istiod of a sidecar are not in the input: the narrower form names them as is usual. Where
    a rule keeps its own peers, nothing is named."""
    sidecar = (
        "labels: {kubernetes.io/metadata.name: shop, team: sales}",
        ("labels: {kubernetes.io/metadata.name: shop, team: sales, istio-injection: enabled}"),
    )
    told = "it names coredns and istiod, not in the input, by the labels that are assumed"
    for rule, is_told in (({}, True), ({"to": blocks("::/0")}, False)):
        result = run("check", "-", "--offline", "-f", "json", stdin=CLUSTER.replace(*sidecar) + egress(rule))
        found = [
            finding for finding in json.loads(result.stdout)["findings"] if finding["rule"] == "broad-policy"
        ]
        assert [told in finding["message"] for finding in found] == [is_told]
        assert found[0]["remedy"]


def test_a_flow_that_is_denied_on_the_other_side_is_kept(run: Run) -> None:
    """Web may call the cart, whose own policy does not admit it yet."""
    closed = named("closed", podSelector={"matchLabels": {"app": "cart"}}, policyTypes=["Ingress"])
    (finding,) = [finding for finding in said(run, egress({}), closed) if finding["rule"] == "broad-policy"]
    assert CART_ON_8080 in finding["remedy"][0]["spec"]["egress"]


FROM_BANK = {"namespaceSelector": {"matchLabels": {"team": "money"}}}
LEDGER = {"podSelector": {"matchLabels": {"app": "ledger"}}}


def test_an_or_that_was_meant_as_and_is_joined(run: Run) -> None:
    """No pod of the own namespace is a ledger."""
    web = {"podSelector": {"matchLabels": {"app": "web"}}}
    ports = [{"protocol": "TCP", "port": 8080}]
    policy = ingress({"from": [FROM_BANK, LEDGER], "ports": ports}, {"from": [web], "ports": ports})
    (finding,) = [finding for finding in said(run, policy) if finding["rule"] == "broad-policy"]
    assert finding["severity"] == "warning"
    assert finding["remedy"][0]["spec"]["ingress"][0]["from"] == [{**FROM_BANK, **LEDGER}]


def test_an_or_that_is_meant_is_no_finding(run: Run) -> None:
    """Web is of the own namespace."""
    either = [FROM_BANK, {"podSelector": {"matchLabels": {"app": "web"}}}]
    assert said(run, ingress({"from": either, "ports": [{"port": 8080}]})) == []


@pytest.mark.parametrize(
    ("policy", "severity", "clause"),
    [
        (
            egress({"to": [LEDGER], "ports": [{"port": 9000}]}),
            "info",
            "spec.egress[0].to[0] matches no workload of namespace shop; a podSelector alone means",
        ),
        (
            egress(
                {
                    "to": [{**FROM_BANK, "podSelector": {"matchLabels": {"app": "cart"}}}],
                    "ports": [{"port": 1}],
                }
            ),
            "info",
            "spec.egress[0].to[0] matches no workload of namespace bank",
        ),
        (
            egress(
                {"to": [{"namespaceSelector": {"matchLabels": {"name": "bank"}}}], "ports": [{"port": 1}]}
            ),
            "info",
            "since none has this label name; the label that every namespace has is kubernetes.io/",
        ),
        (
            ingress({"from": [{"podSelector": {}}], "ports": [{"port": "htpp"}]}),
            "warning",
            "spec.ingress[0].ports[0].port 'htpp' names no TCP port of the pods that the policy",
        ),
        (
            ingress({"from": [{"podSelector": {}}], "ports": [{"port": "http", "protocol": "UDP"}]}),
            "warning",
            "names no UDP port of the pods",
        ),
        (
            egress({"to": [{**FROM_BANK, **LEDGER}], "ports": [{"port": "http"}]}),
            "warning",
            "names no TCP port of the pods called, so it opens nothing: they name api",
        ),
        (
            named("p", podSelector={}, policyTypes=["Ingress"], egress=[CART_ON_8080]),
            "warning",
            "spec.egress has rules, but spec.policyTypes does not name Egress",
        ),
    ],
)
def test_what_matches_nothing_is_told(run: Run, policy: str, severity: str, clause: str) -> None:
    """At its field, with what would match."""
    (finding,) = [finding for finding in said(run, policy) if finding["rule"] == "policy-selects-nothing"]
    assert finding["severity"] == severity
    assert clause in finding["message"]


@pytest.mark.parametrize(
    ("cidr", "port", "severity", "clause"),
    [
        ("10.96.7.7/32", 80, "warning", "the ClusterIP of Service shop/cart"),
        ("10.96.7.0/24", 8080, "warning", "podSelector {app: cart}"),
        ("10.96.0.10/32", 53, "info", "if it is the ClusterIP of cluster DNS"),
    ],
)
def test_a_cluster_ip_in_to_is_told(run: Run, cidr: str, port: int, severity: str, clause: str) -> None:
    """Policies see the pods behind it."""
    rule = {"to": blocks(cidr), "ports": [{"port": port, "protocol": "UDP"}]}
    (finding,) = [finding for finding in said(run, egress(rule)) if finding["rule"] == "ip-block-for-pods"]
    assert finding["severity"] == severity
    assert clause in finding["message"]


POD = """\
---
apiVersion: v1
kind: Pod
metadata: {name: till, namespace: shop, labels: {app: till}}
spec: {containers: [{name: till, image: till}]}
status: {podIP: 10.244.1.7, podIPs: [{ip: 10.244.1.7}]}
"""


@pytest.mark.parametrize(
    ("cidr", "is_told"), [("10.244.1.7/32", True), ("10.244.1.0/24", True), ("10.244.2.0/24", False)]
)
def test_an_address_of_a_pod_is_told_in_both_directions(run: Run, cidr: str, is_told: bool) -> None:
    """Pods are named by labels."""
    ports = [{"port": 8080}]
    clauses = ("names 10.244.1.7, an address of Pod shop/till", "podSelector {app: till}")
    for policy in (
        ingress({"from": blocks(cidr), "ports": ports}),
        egress({"to": blocks(cidr), "ports": ports}),
    ):
        found = [finding for finding in said(run, POD, policy) if finding["rule"] == "ip-block-for-pods"]
        assert [finding["severity"] for finding in found] == ["warning"] * is_told
        assert all(clause in finding["message"] for finding in found for clause in clauses)


WEB = {"matchLabels": {"app": "web"}}


def beside(
    *policies: tuple[Mapping[str, Any], list[str], list[dict[str, Any]]],
) -> list[str]:
    """Policies a, b …: podSelector, policyTypes and egress rules of each."""
    return [
        named(name, podSelector=dict(pods), policyTypes=types, **({"egress": rules} if rules else {}))
        for name, (pods, types, rules) in zip("abc", policies, strict=False)
    ]


ALL: dict[str, Any] = {}
OUT, BOTH, IN = ["Egress"], ["Ingress", "Egress"], ["Ingress"]


@pytest.mark.parametrize(
    ("policies", "needless"),
    [
        pytest.param(beside((ALL, OUT, [CART_ON_8080]), (ALL, OUT, [CART_ON_8080])), ["b"], id="copy"),
        pytest.param(beside((ALL, OUT, [CART_ON_8080]), (WEB, OUT, [CART_ON_8080])), ["b"], id="fewer pods"),
        pytest.param(beside((WEB, OUT, [CART_ON_8080]), (ALL, OUT, [CART_ON_8080])), ["a"], id="more pods"),
        pytest.param(beside((ALL, BOTH, []), (ALL, OUT, [])), ["b"], id="deny within deny"),
        pytest.param(beside((ALL, OUT, []), (ALL, OUT, [CART_ON_8080])), [], id="baseline"),
        pytest.param(
            beside((WEB, OUT, [CART_ON_8080]), (WEB, BOTH, [CART_ON_8080, HOST_ON_443])),
            ["a"],
            id="fewer rules",
        ),
        pytest.param(beside((WEB, OUT, [CART_ON_8080]), (WEB, OUT, [HOST_ON_443])), [], id="other rules"),
        pytest.param(beside((WEB, OUT, [CART_ON_8080]), (WEB, OUT, [{}])), [], id="beside allow-all"),
        pytest.param(beside((WEB, OUT, [CART_ON_8080]), (ALL, IN, [])), [], id="other direction"),
        pytest.param(
            beside(
                (WEB, OUT, [CART_ON_8080]), (WEB, OUT, [HOST_ON_443]), (WEB, OUT, [CART_ON_8080, HOST_ON_443])
            ),
            ["c"],
            id="two together",
        ),
    ],
)
def test_what_others_make_needless_is_told(run: Run, policies: list[str], needless: list[str]) -> None:
    """Never both of two that stand for each other, never a baseline, never because of what is too broad."""
    found = [
        finding["object"]["name"] for finding in said(run, *policies) if finding["rule"] == "needless-policy"
    ]
    assert found == needless


def test_a_policy_for_more_pods_than_need_it_is_an_info(run: Run) -> None:
    """Its other pods stay isolated by the deny-all, so the remedy selects one workload."""
    deny = named("deny", podSelector={}, policyTypes=["Egress"])
    (finding,) = [
        finding
        for finding in said(run, egress(CART_ON_8080, pods={}), deny)
        if finding["rule"] == "broad-policy"
    ]
    assert (finding["severity"], finding["remedy"][0]["spec"]["podSelector"]) == ("info", WEB)


def test_pods_that_nothing_else_isolates_keep_their_policy(run: Run) -> None:
    """Without it they would be open."""
    assert "broad-policy" not in {finding["rule"] for finding in said(run, egress(CART_ON_8080, pods={}))}


def test_namespaces_that_nothing_isolates_are_one_info(run: Run) -> None:
    """With the flows that a deny-all there has to allow. The bank shows that policies are in use."""
    result = run("check", "-", "--offline", "-f", "json", stdin=CLUSTER)
    (finding,) = [
        finding for finding in json.loads(result.stdout)["findings"] if finding["rule"] == "open-namespace"
    ]
    assert (finding["severity"], finding["object"]["name"]) == ("info", "shop")
    assert "no NetworkPolicy isolates any pod of namespace shop (2 required flows)" in finding["message"]
    assert "istio-netpol generate --assume-deny-all" in finding["message"]


def test_the_text_prints_narrower_forms_apart(run: Run) -> None:
    """Whoever pipes what is missing to kubectl must not replace policies unawares."""
    result = run("check", "-", "--offline", "--all", stdin=CLUSTER + egress({}))
    text = result.stdout
    assert "    narrowed by replacing: shop/p\n" in text
    assert "Narrower forms of policies that open too much, to replace those of the same name:" in text
    assert "Policies that allow what is denied" not in text
