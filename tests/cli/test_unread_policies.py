"""Policies of Cilium and Calico: who is selected is said, and nothing is said of what they say."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from tests.cli.workspace import DENY_ALL, SHOP, Run

OF_NAMESPACE = "io.cilium.k8s.namespace.labels"
MANY = """\
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: many, namespace: shop}
specs: [{endpointSelector: {matchLabels: {app: gone}}}, {endpointSelector: {}, egress: [{}]}]
"""
CALICO = ("projectcalico.org/v3", "crd.projectcalico.org/v1")


def policy(version: str, kind: str, name: str = "lock", namespace: str = "", **spec: Any) -> str:
    place = {"namespace": namespace} if namespace else {}
    return "---\n" + yaml.safe_dump(
        {"apiVersion": version, "kind": kind, "metadata": {"name": name, **place}, "spec": spec}
    )


def cilium(labels: dict[str, str], namespace: str = "shop", **rules: Any) -> str:
    selector = {"matchLabels": labels} if labels else {}
    return policy(
        "cilium.io/v2", "CiliumNetworkPolicy", namespace=namespace, endpointSelector=selector, **rules
    )


def clusterwide(selector: dict[str, Any], **rules: Any) -> str:
    return policy("cilium.io/v2", "CiliumClusterwideNetworkPolicy", endpointSelector=selector, **rules)


def named_by_explain(run: Run, manifests: str) -> bool:
    result = run("explain", "-", "--from", "shop/cart", "--to", "shop/db:5432", stdin=SHOP + manifests)
    assert result.exit_code == 0, result.output
    return "and is not read" in result.stdout


def named_by_list(run: Run, manifests: str) -> bool:
    rows = json.loads(run("list", "-", "-f", "json", stdin=SHOP + manifests).stdout)["connections"]
    (row,) = (row for row in rows if row["source"] == "shop/Deployment/cart" and "db" in row["destination"])
    return "notRead" in row


@pytest.mark.parametrize(
    ("manifests", "covers"),
    [
        (cilium({}), True),
        (cilium({"app": "cart"}, egress=[{}]), True),
        (cilium({"app": "cart"}, ingress=[{}]), False),
        (cilium({"k8s:app": "db"}, ingress=[{}]), True),
        (cilium({"any:app": "db"}, ingressDeny=[{}]), True),
        (cilium({"app": "another"}), False),
        (cilium({"k8s:io.kubernetes.pod.namespace": "shop"}), True),
        (cilium({}, namespace="bank"), False),
        (cilium({"reserved:host": ""}), True),
        (clusterwide({"matchLabels": {"io.kubernetes.pod.namespace": "shop"}}), True),
        (clusterwide({"matchLabels": {"k8s:io.kubernetes.pod.namespace": "bank"}}), False),
        (clusterwide({"matchLabels": {f"k8s:{OF_NAMESPACE}.istio-injection": "enabled"}}), True),
        (clusterwide({"matchExpressions": [{"key": "app", "operator": "In", "values": ["cart"]}]}), True),
        (clusterwide({"matchExpressions": [{"key": "k8s:app", "operator": "DoesNotExist"}]}), False),
        (policy("cilium.io/v2", "CiliumClusterwideNetworkPolicy", nodeSelector={}), False),
        (MANY, True),
        *(
            (policy(version, "GlobalNetworkPolicy", **spec), covers)
            for version in CALICO
            for spec, covers in (
                ({"types": ["Ingress", "Egress"]}, True),
                ({"selector": "app == 'cart'", "types": ["Egress"]}, True),
                ({"selector": "app == 'cart'", "types": ["Ingress"]}, False),
                ({"selector": "app == 'db'"}, True),
                ({"selector": "app == 'db'", "egress": [{"action": "Deny"}]}, False),
                ({"selector": "what is this?"}, True),
                ({"namespaceSelector": "kubernetes.io/metadata.name == 'shop'"}, True),
                ({"namespaceSelector": "kubernetes.io/metadata.name in {'bank'}"}, False),
                ({"namespaceSelector": "global()"}, False),
                ({"selector": "projectcalico.org/namespace == 'shop'"}, True),
            )
        ),
        *((policy(version, "NetworkPolicy", namespace="shop", selector="all()"), True) for version in CALICO),
        *((policy(version, "NetworkPolicy", namespace="bank"), False) for version in CALICO),
        *((policy(version, "StagedGlobalNetworkPolicy"), False) for version in CALICO),
        *((policy(version, "Tier", order=1), False) for version in CALICO),
    ],
)  # fmt: skip
def test_a_policy_is_named_where_it_selects_an_end(run: Run, manifests: str, covers: bool) -> None:
    """For the direction of that end; the verdict stays what NetworkPolicies say."""
    assert named_by_explain(run, manifests) is covers
    assert named_by_list(run, manifests) is covers


def test_check_names_them_for_required_flows(run: Run) -> None:
    """Once for each policy, as a warning; the kinds are counted."""
    manifests = SHOP + cilium({"app": "cart"}) + policy(CALICO[0], "Tier", name="security")
    result = run("check", "-", "--offline", "-f", "json", stdin=manifests)
    report = json.loads(result.stdout)
    (finding,) = report["findings"]
    assert result.exit_code == 0
    assert (finding["rule"], finding["severity"]) == ("policy-not-read", "warning")
    assert finding["object"]["kind"] == "CiliumNetworkPolicy"
    assert "Deployment shop/cart" in finding["message"]
    assert report["notRead"] == [
        {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "count": 1},
        {"apiVersion": "projectcalico.org/v3", "kind": "Tier", "count": 1},
    ]
    assert report["summary"]["objects"] == 3


def test_a_denied_flow_names_them_too(run: Run) -> None:
    """Calico's policies can let pass what a NetworkPolicy denies."""
    manifests = SHOP + DENY_ALL + policy(CALICO[0], "GlobalNetworkPolicy", types=["Egress"])
    report = json.loads(run("check", "-", "--offline", "-f", "json", stdin=manifests).stdout)
    denied = [finding for finding in report["findings"] if finding["severity"] == "error"]
    assert denied
    assert all(
        finding["message"].endswith("; GlobalNetworkPolicy lock selects Deployment shop/cart and is not read")
        for finding in denied
    )


@pytest.mark.parametrize("version", CALICO)
def test_calicos_network_policy_is_not_kubernetes(run: Run, version: str) -> None:
    """The same kind and name in another group: it isolates nobody here, and stands beside the other one."""
    alike = policy(
        version, "NetworkPolicy", name="default-deny", namespace="shop", types=["Ingress", "Egress"]
    )
    report = json.loads(run("check", "-", "--offline", "-f", "json", stdin=SHOP + alike).stdout)
    assert [finding["rule"] for finding in report["findings"]] == ["policy-not-read"]
    both = run("check", "-", "--offline", "-f", "json", stdin=SHOP + DENY_ALL + alike)
    denied = [finding for finding in json.loads(both.stdout)["findings"] if finding["severity"] == "error"]
    assert {name for finding in denied for name in finding["denied"]["egress"]} == {"shop/default-deny"}
    explained = run("explain", "-", "--from", "shop/cart", "--to", "shop/db:5432", stdin=SHOP + alike).stdout
    assert f"NetworkPolicy shop/default-deny ({version}) selects Deployment shop/cart" in explained


@pytest.mark.parametrize(
    ("served", "stored", "kinds"),
    [
        ("lock", "default.lock", 1),
        ("default.lock", "default.lock", 1),
        ("security.lock", "security.lock", 1),
        ("lock", "lock", 1),
        ("lock", "default.another", 2),
        ("lock", "security.lock", 2),
    ],
)
@pytest.mark.parametrize(("kind", "namespace"), [("NetworkPolicy", "shop"), ("GlobalNetworkPolicy", "")])
def test_a_policy_in_both_groups_of_calico_is_one(
    run: Run, served: str, stored: str, kinds: int, kind: str, namespace: str
) -> None:
    """A cluster shows it as its API server serves it and as the CRD stores it: the first is named."""
    forms = zip(CALICO, (served, stored), strict=True)
    manifests = SHOP + "".join(
        policy(version, kind, name, namespace, types=["Ingress", "Egress"]) for version, name in forms
    )
    report = json.loads(run("check", "-", "--offline", "-f", "json", stdin=manifests).stdout)
    versions = list(CALICO[:kinds])
    assert sorted(entry["apiVersion"] for entry in report["notRead"]) == sorted(versions)
    assert [entry["count"] for entry in report["notRead"]] == [1] * kinds
    names = {(finding["rule"], finding["object"]["name"]) for finding in report["findings"]}
    assert names == {("policy-not-read", name) for name in (served, stored)[:kinds]}


def test_forms_that_differ_select_whom_either_selects(run: Run) -> None:
    """In files the form that is stored may be older than the one that people edit."""
    forms = zip(CALICO, ("app == 'nobody'", "app == 'db'"), strict=True)
    manifests = "".join(policy(version, "GlobalNetworkPolicy", selector=text) for version, text in forms)
    assert named_by_explain(run, manifests)
    assert named_by_list(run, manifests)


@pytest.mark.parametrize(
    "spec",
    ["[]", "7", "{endpointSelector: 7}", "{selector: 7, types: 7}", "{endpointSelector: {matchLabels: [a]}}"],
)
@pytest.mark.parametrize(
    ("version", "kind"), [("cilium.io/v2", "CiliumNetworkPolicy"), (CALICO[0], "NetworkPolicy")]
)
def test_a_strange_policy_is_no_error(run: Run, version: str, kind: str, spec: str) -> None:
    """Its API server judges it; here it selects everybody, if anything."""
    strange = (
        f"---\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: a, namespace: shop}}\nspec: {spec}\n"
    )
    assert run("check", "-", "--offline", stdin=SHOP + strange).exit_code == 0


def test_the_text_of_list_names_them(run: Run) -> None:
    """At the end of the row."""
    result = run("list", "-", stdin=SHOP + cilium({"app": "cart"}, egress=[{}]))
    assert (
        "shop/Deployment/cart -> shop/Deployment/db: all (CiliumNetworkPolicy shop/lock is not read)"
        in result.stdout
    )
