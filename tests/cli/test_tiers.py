"""Policies of the Admin and Baseline tiers, in every command."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from tests.cli.workspace import DENY_ALL, SHOP, Run

ANP = "policy.networking.k8s.io/v1alpha1"
CNP = "policy.networking.k8s.io/v1alpha2"
HTTPS = [{"portNumber": {"protocol": "TCP", "port": 443}}]
ALL_ADDRESSES = {"networks": ["0.0.0.0/0", "::/0"]}
EVERY_POD = {"namespaces": {}}


def policy(version: str, kind: str, name: str, **spec: Any) -> str:
    manifest = {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}
    return "---\n" + yaml.safe_dump(manifest)


def admin(name: str = "lockdown", priority: int = 5, subject: Any = EVERY_POD, **rules: Any) -> str:
    return policy(ANP, "AdminNetworkPolicy", name, priority=priority, subject=subject, **rules)


def baseline(subject: Any = EVERY_POD, **rules: Any) -> str:
    return policy(ANP, "BaselineAdminNetworkPolicy", "default", subject=subject, **rules)


def cluster_policy(tier: str, name: str = "lockdown", priority: int = 5, **rules: Any) -> str:
    subject = {"namespaces": {}}
    return policy(CNP, "ClusterNetworkPolicy", name, tier=tier, priority=priority, subject=subject, **rules)


def deny(*peers: Any, **more: Any) -> dict[str, Any]:
    return {"action": "Deny", "to": list(peers), **more}


def check(run: Run, manifests: str) -> dict[str, Any]:
    result = run("check", "-", "--offline", "-f", "json", stdin=SHOP + manifests)
    assert result.exit_code in (0, 1), result.output
    return dict(json.loads(result.stdout))


def egress_denied_by(run: Run, manifests: str) -> dict[str, list[str]]:
    """The policies that deny the egress of each rule's flows."""
    findings = check(run, manifests)["findings"]
    return {
        finding["rule"]: finding["denied"]["egress"] for finding in findings if finding["severity"] == "error"
    }


def allows(run: Run, manifests: str, *, to: str = "shop/db:5432") -> bool:
    result = run("explain", "-", "--offline", "--from", "shop/cart", "--to", to, stdin=SHOP + manifests)
    assert result.exit_code in (0, 1), result.output
    listed = json.loads(run("list", "-", "-f", "json", stdin=SHOP + manifests).stdout)["connections"]
    port = int(to.rpartition(":")[2])
    if to.startswith("shop/db"):
        ends = ("shop/Deployment/cart", "shop/Deployment/db")
        rows = [row["ports"] for row in listed if (row["source"], row["destination"]) == ends]
        is_listed = any(
            part["protocol"] == "TCP" and part["from"] <= port <= part["to"] for row in rows for part in row
        )
        assert is_listed == (result.exit_code == 0), "list and explain differ"
    return result.exit_code == 0


@pytest.mark.parametrize(
    ("manifests", "name"),
    [
        (admin(egress=[deny(EVERY_POD)]), "AdminNetworkPolicy/lockdown"),
        (admin(egress=[deny(ALL_ADDRESSES)]), "AdminNetworkPolicy/lockdown"),
        (admin(egress=[deny({"networks": ["0.0.0.0/0"]})]), "AdminNetworkPolicy/lockdown"),
        (
            admin(
                subject={"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "cart"}}}},
                egress=[deny({"pods": {"namespaceSelector": {}, "podSelector": {}}})],
            ),
            "AdminNetworkPolicy/lockdown",
        ),
        (cluster_policy("Admin", egress=[deny(EVERY_POD)]), "ClusterNetworkPolicy/lockdown"),
        (cluster_policy("Baseline", egress=[deny(EVERY_POD)]), "ClusterNetworkPolicy/lockdown"),
        (baseline(egress=[deny(EVERY_POD)]), "BaselineAdminNetworkPolicy/default"),
    ],
)  # fmt: skip
def test_check_names_the_policy_of_the_tier_that_denies(run: Run, manifests: str, name: str) -> None:
    """The sidecar needs DNS and istiod; neither is reached."""
    assert egress_denied_by(run, manifests) == {"dns": [name], "proxy-to-istiod": [name]}


@pytest.mark.parametrize(
    "manifests",
    [
        admin(subject={"namespaces": {"matchLabels": {"team": "other"}}}, egress=[deny(EVERY_POD)]),
        admin(egress=[{"action": "Allow", "to": [EVERY_POD]}, deny(EVERY_POD)]),
        admin(egress=[{"action": "Pass", "to": [EVERY_POD]}, deny(EVERY_POD)]),
        admin("first", 1, egress=[{"action": "Pass", "to": [EVERY_POD]}]) + admin(egress=[deny(EVERY_POD)]),
        admin(egress=[deny(EVERY_POD, ports=[{"portNumber": {"protocol": "TCP", "port": 9}}])]),
        admin(egress=[deny({"networks": ["169.254.169.254/32"]})]),
        admin(ingress=[{"action": "Deny", "from": [{"namespaces": {"matchLabels": {"team": "other"}}}]}]),
        cluster_policy("Admin", "first", 4, egress=[{"action": "Accept", "to": [EVERY_POD]}])
        + cluster_policy("Admin", egress=[deny(EVERY_POD)]),
    ],
)
def test_what_no_rule_denies_is_no_finding(run: Run, manifests: str) -> None:
    """Another subject, an earlier rule, an earlier policy, another port, an address that no pod has."""
    assert check(run, manifests)["findings"] == []


def test_an_admin_rule_that_accepts_overrides_network_policies(run: Run) -> None:
    """A deny-all of the namespace cuts everything; the Admin tier is asked before it."""
    accepting = admin(egress=[{"action": "Allow", "to": [EVERY_POD]}])
    assert egress_denied_by(run, DENY_ALL) == {
        "dns": ["shop/default-deny"],
        "proxy-to-istiod": ["shop/default-deny"],
    }
    assert egress_denied_by(run, DENY_ALL + accepting) == {}


def test_no_network_policy_is_offered_against_the_admin_tier(run: Run) -> None:
    """It would not help; whose word it is, is said."""
    manifests = DENY_ALL + admin(egress=[deny(EVERY_POD)])
    findings = check(run, manifests)["findings"]
    assert [finding["remedy"] for finding in findings] == [[]] * 3
    assert all(
        "denied by AdminNetworkPolicy lockdown egress[0] (Admin tier)" in finding["message"]
        and "only the cluster's administrators can change it" in finding["message"]
        for finding in findings
    )
    result = run("generate", "-", "--offline", stdin=SHOP + manifests)
    assert "kind: NetworkPolicy" not in result.stdout


def test_the_other_side_alone_is_not_opened(run: Run) -> None:
    """What the Admin tier denies at one end stays denied, so that nothing is gained by opening the other."""
    manifests = DENY_ALL + admin(ingress=[{"action": "Deny", "from": [EVERY_POD]}])
    result = run("explain", "-", "--from", "shop/cart", "--to", "shop/db:5432", stdin=SHOP + manifests)
    assert result.exit_code == 1
    assert (
        "AdminNetworkPolicy lockdown ingress[0] (Admin tier) denies it, before any NetworkPolicy"
        in result.stdout
    )
    assert "kind: NetworkPolicy" not in result.stdout


def test_a_network_policy_overrides_a_baseline_that_denies_everything(run: Run) -> None:
    """These pods have nothing that a policy could cut, so each remedy is safe, and it helps."""
    manifests = baseline(egress=[deny(ALL_ADDRESSES)])
    assert egress_denied_by(run, manifests).keys() == {"dns", "proxy-to-istiod"}
    mended = run("generate", "-", "--offline", stdin=SHOP + manifests).stdout
    assert "kind: NetworkPolicy" in mended
    assert check(run, f"{manifests}---\n{mended}")["findings"] == []


@pytest.mark.parametrize(
    "manifests",
    [
        baseline(egress=[deny(EVERY_POD)]),
        baseline(egress=[{"action": "Allow", "to": [EVERY_POD], "ports": HTTPS}, deny(ALL_ADDRESSES)]),
        baseline(egress=[deny(ALL_ADDRESSES, ports=[{"portRange": {"start": 1, "end": 60000}}])]),
        cluster_policy("Baseline", egress=[deny(EVERY_POD)]),
    ],
)  # fmt: skip
def test_a_policy_never_isolates_what_the_baseline_leaves_open(run: Run, manifests: str) -> None:
    """It would cut the rest, so none is written; the way that works is said, and works."""
    findings = [finding for finding in check(run, manifests)["findings"] if finding["severity"] == "error"]
    assert findings
    assert all(finding["remedy"] == [] for finding in findings)
    assert all("generate --assume-deny-all" in finding["message"] for finding in findings)
    assert "kind: NetworkPolicy" not in run("generate", "-", "--offline", stdin=SHOP + manifests).stdout
    advised = run("generate", "-", "--offline", "--assume-deny-all", stdin=SHOP + manifests).stdout
    assert check(run, f"{manifests}---\n{advised}")["findings"] == []


@pytest.mark.parametrize(
    ("rule", "port", "is_allowed"),
    [
        ({"ports": [{"portNumber": {"protocol": "TCP", "port": 5432}}]}, 5432, False),
        ({"ports": [{"portNumber": {"protocol": "UDP", "port": 5432}}]}, 5432, True),
        ({"ports": [{"portRange": {"protocol": "TCP", "start": 5000, "end": 5432}}]}, 5432, False),
        ({"ports": [{"portRange": {"protocol": "TCP", "start": 5000, "end": 5431}}]}, 5432, True),
        ({"ports": [{"namedPort": "sql"}]}, 5432, True),
        ({}, 5432, False),
    ],
)
def test_ports_of_a_rule(run: Run, rule: dict[str, Any], port: int, is_allowed: bool) -> None:
    """A number, a range, a name that the pods don't have, and none for all."""
    assert allows(run, admin(egress=[deny(EVERY_POD, **rule)]), to=f"shop/db:{port}") is is_allowed


@pytest.mark.parametrize(
    ("protocols", "is_allowed"),
    [
        ([{"tcp": {"destinationPort": {"number": 5432}}}], False),
        ([{"udp": {"destinationPort": {"number": 5432}}}], True),
        ([{"tcp": {"destinationPort": {"range": {"start": 1, "end": 6000}}}}], False),
        ([{"sctp": {"destinationPort": {"number": 5432}}}], True),
        ([{"destinationNamedPort": "http"}], True),
    ],
)  # fmt: skip
def test_protocols_of_a_rule(run: Run, protocols: list[Any], is_allowed: bool) -> None:
    """The form of ClusterNetworkPolicies."""
    rule = deny(EVERY_POD, protocols=protocols)
    assert allows(run, cluster_policy("Admin", egress=[rule])) is is_allowed


def test_a_named_port_is_the_called_pods_own(run: Run) -> None:
    """`http` is 8080 of cart, whatever the protocol of the rule is called."""
    rule = {"action": "Deny", "from": [EVERY_POD], "ports": [{"namedPort": "http"}]}
    manifests = SHOP + admin(ingress=[rule])
    for port, code in ((8080, 1), (8081, 0)):
        result = run("explain", "-", "--from", "shop/db", "--to", f"shop/cart:{port}", stdin=manifests)
        assert result.exit_code == code


NODES = "".join(
    "---\napiVersion: v1\nkind: Node\n"
    f"metadata: {{name: {name}, labels: {{zone: {zone}}}}}\n"
    f"status: {{addresses: [{{type: InternalIP, address: {address}}}]}}\n"
    for name, zone, address in (("n1", "a", "192.0.2.1"), ("n2", "b", "192.0.2.2"))
)


@pytest.mark.parametrize(
    ("address", "is_allowed"), [("192.0.2.1", False), ("192.0.2.2", True), ("198.51.100.1", True)]
)
def test_nodes_are_their_addresses(run: Run, address: str, is_allowed: bool) -> None:
    """Those whose labels the selector matches, and no others."""
    manifests = NODES + admin(egress=[deny({"nodes": {"matchLabels": {"zone": "a"}}})])
    assert allows(run, manifests, to=f"{address}:443") is is_allowed


def test_nodes_that_are_not_in_the_input_are_not_guessed(run: Run) -> None:
    """Whether the address is a node's, only the cluster knows."""
    manifests = admin(egress=[deny({"nodes": {}})])
    result = run("explain", "-", "--from", "shop/cart", "--to", "192.0.2.1:443", stdin=SHOP + manifests)
    assert "it can't be told from the input what AdminNetworkPolicy lockdown egress[0]" in result.stdout


CALLS = SHOP.replace(
    "metadata: {name: cart, namespace: shop}",
    'metadata: {name: cart, namespace: shop, annotations: {istio-netpol.io/calls: "%s:443"}}',
    1,
)


@pytest.mark.parametrize(
    ("host", "is_denied"),
    [
        ("api.example.com", False),
        ("deep.api.example.com", False),
        ("example.com", True),
        ("example.org", True),
    ],
)
def test_domain_names_let_hosts_pass(run: Run, host: str, is_denied: bool) -> None:
    """`*.` matches one or more labels before the rest, and not the rest itself."""
    rules = [
        {"action": "Allow", "to": [EVERY_POD, {"domainNames": ["*.example.com"]}]},
        deny({"networks": ["0.0.0.0/0"]}),
    ]
    result = run(
        "check", "-", "--offline", "-f", "json", "--address", f"{host}=203.0.113.7",
        stdin=CALLS % host + admin(egress=rules),
    )  # fmt: skip
    rules_found = [finding["rule"] for finding in json.loads(result.stdout)["findings"]]
    assert rules_found == (["workload-to-external"] if is_denied else [])


def test_an_address_without_a_name_is_not_guessed(run: Run) -> None:
    """A host may stand for it, or not: a warning says so, and nothing is counted as denied."""
    rules = [
        {"action": "Allow", "to": [EVERY_POD, {"domainNames": ["*.example.com"]}]},
        deny({"networks": ["0.0.0.0/0"]}),
    ]
    report = check_of(run, CALLS % "203.0.113.7" + admin(egress=rules))
    assert [(finding["rule"], finding["severity"]) for finding in report["findings"]] == [
        ("tier-undecided", "warning")
    ]
    assert report["summary"]["unknown"] == 1


def check_of(run: Run, manifests: str) -> dict[str, Any]:
    return dict(json.loads(run("check", "-", "--offline", "-f", "json", stdin=manifests).stdout))


def test_policies_of_one_priority_that_contradict_each_other_are_told(run: Run) -> None:
    """Kubernetes does not say which of them counts."""
    manifests = admin("allow", 5, egress=[{"action": "Allow", "to": [EVERY_POD]}]) + admin(
        "deny", 5, egress=[deny(EVERY_POD)]
    )
    report = check(run, manifests)
    assert {finding["rule"] for finding in report["findings"]} == {"tier-undecided"}
    message = report["findings"][0]["message"]
    assert "AdminNetworkPolicy allow egress[0]" in message
    assert "AdminNetworkPolicy deny egress[0]" in message


def test_pods_whose_addresses_part_of_a_network_may_be_are_not_guessed(run: Run) -> None:
    """Nothing says whether istiod's pods have addresses in 10.0.0.0/8."""
    report = check(run, admin(egress=[deny({"networks": ["10.0.0.0/8"]})]))
    assert {finding["rule"] for finding in report["findings"]} == {"tier-undecided"}


def test_host_network_pods_are_no_subject(run: Run) -> None:
    """Neither are they pods as peers: they are the addresses of their nodes."""
    manifests = SHOP.replace(
        'metadata: {labels: {app: db, sidecar.istio.io/inject: "false"}}\n    spec:\n',
        'metadata: {labels: {app: db, sidecar.istio.io/inject: "false"}}\n'
        "    spec:\n      hostNetwork: true\n",
    ) + admin(
        egress=[deny(EVERY_POD)],
        ingress=[{"action": "Deny", "from": [EVERY_POD]}],
    )
    to_it = run("explain", "-", "--from", "shop/cart", "--to", "shop/db:5432", stdin=manifests)
    from_it = run("explain", "-", "--from", "shop/db", "--to", "192.0.2.1:80", stdin=manifests)
    assert (to_it.exit_code, from_it.exit_code) == (0, 0)


@pytest.mark.parametrize(
    ("manifests", "reached"),
    [
        (admin(egress=[deny(ALL_ADDRESSES)]), []),
        (admin(egress=[deny({"networks": ["0.0.0.0/0"]}, {"networks": ["::/0"]})]), []),
        (admin(egress=[deny({"networks": ["::/0"]})]), ["0.0.0.0-255.255.255.255", "shop/Deployment/db"]),
        (
            admin(egress=[deny(EVERY_POD, {"networks": ["128.0.0.0/1", "64.0.0.0/2"]})]),
            ["0.0.0.0-63.255.255.255", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
        ),
        (
            cluster_policy("Admin", egress=[{"action": "Accept", "to": [{"networks": ["192.0.2.0/24"]}]}])
            + baseline(egress=[deny(ALL_ADDRESSES)]),
            ["192.0.2.0-192.0.2.255"],
        ),
    ],
)
def test_list_goes_by_the_tiers(run: Run, manifests: str, reached: list[str]) -> None:
    """What cart may call: ranges that touch, in both families, and what is left between them."""
    rows = json.loads(run("list", "-", "-f", "json", stdin=SHOP + manifests).stdout)["connections"]
    found = [row["destination"] for row in rows if row["source"] == "shop/Deployment/cart"]
    assert found == [peer for peer in reached if "::" not in peer or "::" in manifests]


def test_diff_tells_what_a_tier_takes_away(run: Run, workspace: Any) -> None:
    """Connections and required flows."""
    (workspace / "old.yaml").write_text(SHOP)
    (workspace / "new.yaml").write_text(SHOP + admin(egress=[deny(EVERY_POD)]))
    document = json.loads(run("diff", "old.yaml", "new.yaml", "--offline", "-f", "json").stdout)
    text = json.dumps(document)
    assert "shop/Deployment/db" in text
    assert "AdminNetworkPolicy/lockdown" in text


@pytest.mark.parametrize(
    ("manifests", "problem"),
    [
        (admin(priority=1001), "spec.priority"),
        (admin(subject={}), "spec.subject"),
        (admin(subject={"namespaces": {}, "pods": {}}), "spec.subject"),
        (admin(egress=[{"action": "Accept", "to": [EVERY_POD]}]), "spec.egress[0].action"),
        (baseline(egress=[{"action": "Pass", "to": [EVERY_POD]}]), "spec.egress[0].action"),
        (cluster_policy("Admin", egress=[{"action": "Allow", "to": [EVERY_POD]}]), "spec.egress[0].action"),
        (cluster_policy("Network"), "spec.tier"),
        (admin(egress=[{"action": "Deny"}]), "spec.egress[0].to"),
        (admin(egress=[deny({})]), "spec.egress[0].to[0]"),
        (admin(egress=[deny({"namespaces": {}, "networks": ["10.0.0.0/8"]})]), "spec.egress[0].to[0]"),
        (admin(egress=[deny({"networks": ["10.0.0.0"]})]), "spec.egress[0].to[0].networks[0]"),
        (admin(egress=[deny({"domainNames": ["example.com"]})]), "spec.egress[0].to"),
        (admin(ingress=[{"action": "Deny", "from": [ALL_ADDRESSES]}]), "spec.ingress[0].from[0]"),
        (admin(egress=[deny(EVERY_POD, ports=[{"portRange": {"start": 9, "end": 9}}])]), "portRange.end"),
        (admin(egress=[deny(EVERY_POD, protocols=[])]), "spec.egress[0].protocols"),
        (admin(egress=[deny(ALL_ADDRESSES, ports=[{"namedPort": "http"}])]), "spec.egress[0].ports"),
        (cluster_policy("Admin", egress=[deny(EVERY_POD, protocols=[{"tcp": {}}])]), "protocols[0].tcp"),
    ],
)  # fmt: skip
def test_a_policy_that_the_api_server_refuses_is_one_clear_error(
    run: Run, manifests: str, problem: str
) -> None:
    """With the field at fault; nobody is judged by half a policy."""
    result = run("check", "-", "--offline", stdin=SHOP + manifests)
    assert result.exit_code == 2
    assert problem in result.stderr
    assert "Traceback" not in result.output
