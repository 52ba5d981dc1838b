"""`istio-netpol list` and `istio-netpol diff`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.workspace import DENY_ALL, SHOP, Run


def test_list_prints_a_line_a_connection(run: Run) -> None:
    """Sorted by source and destination."""
    lines = run("list", "shop.yaml").stdout.splitlines()
    assert "shop/Deployment/cart -> shop/Deployment/db: all" in lines
    assert lines == sorted(lines)


def test_list_is_empty_under_a_deny_all(run: Run) -> None:
    """Nothing is allowed, and that is said."""
    result = run("list", "manifests")
    assert (result.exit_code, result.stdout) == (0, "No connection is allowed.\n")


def test_list_assumes_a_deny_all(run: Run) -> None:
    """What would be left of it."""
    assert run("list", "shop.yaml", "--assume-deny-all").stdout == "No connection is allowed.\n"


PUBLIC = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: shop}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: public, namespace: shop}
spec:
  podSelector: {matchLabels: {gateway.networking.k8s.io/gateway-name: public}}
  policyTypes: [Ingress, Egress]
  ingress: [{ports: [{port: 80}]}]
"""


def test_list_has_the_pods_that_istiod_will_deploy(run: Run) -> None:
    """They are isolated and open as the policies say that explain goes by."""
    given = f"{SHOP}{DENY_ALL}---\n{PUBLIC}"
    assert (
        run("list", "-", stdin=given).stdout
        == "0.0.0.0-255.255.255.255 -> shop/Deployment/public-istio: TCP 80\n"
    )
    explained = run("explain", "-", "--from", "192.0.2.1", "--to", "shop/public-istio:80", stdin=given)
    assert explained.stdout.startswith("192.0.2.1 to shop/public-istio:80/TCP: allowed")


def test_diff_tells_what_the_pods_that_istiod_will_deploy_lose(run: Run, workspace: Path) -> None:
    """A rule of a gateway's policy that goes is a connection lost."""
    (workspace / "old.yaml").write_text(f"{SHOP}{DENY_ALL}---\n{PUBLIC}")
    (workspace / "new.yaml").write_text(f"{SHOP}{DENY_ALL}---\n{PUBLIC.replace('{port: 80}', '{port: 81}')}")
    told = run("diff", "old.yaml", "new.yaml", "--fail-on", "lost")
    assert told.exit_code == 1
    assert "0.0.0.0-255.255.255.255 -> shop/Deployment/public-istio: TCP 80" in told.stdout


def test_list_as_json(run: Run) -> None:
    """The whole of a protocol is 1 to 65535."""
    connections = json.loads(run("list", "shop.yaml", "-f", "json").stdout)["connections"]
    (found,) = [
        connection
        for connection in connections
        if connection["destination"] == "shop/Deployment/db" and "/" in connection["source"]
    ]
    assert found["ports"] == [{"protocol": name, "from": 1, "to": 65535} for name in ("SCTP", "TCP", "UDP")]


def test_list_as_csv(run: Run) -> None:
    """A row a port range."""
    rows = run("list", "shop.yaml", "-f", "csv").stdout.splitlines()
    assert rows[0] == "source,destination,protocol,from,to"
    assert "shop/Deployment/cart,shop/Deployment/db,TCP,1,65535" in rows


def test_a_lost_required_flow_is_exit_code_1(run: Run) -> None:
    """A deny-all was added."""
    result = run("diff", "old", "new", "--offline")
    assert result.exit_code == 1
    assert "- shop/Deployment/cart -> shop/Deployment/db: all" in result.stdout.splitlines()
    assert result.stdout.splitlines()[-1].startswith("3 required flows lost, 0 gained; ")


def test_a_gained_flow_is_exit_code_0(run: Run) -> None:
    """A deny-all was removed."""
    result = run("diff", "new", "old", "--offline", "-f", "json")
    document = json.loads(result.stdout)
    assert result.exit_code == 0
    assert [flow["rule"] for flow in document["flowsGained"]] == ["dns", "dns", "proxy-to-istiod"]
    assert document["flowsLost"] == []


def test_no_difference(run: Run) -> None:
    """The same input twice."""
    result = run("diff", "old", "-", "--offline", stdin=SHOP)
    assert result.exit_code == 0
    assert result.stdout == "0 required flows lost, 0 gained; 0 connections lost, 0 gained\n"


ALLOW_ALL = """\
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: tmp-allow-all, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{}], egress: [{}]}
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 0),
        (["--fail-on", "required"], 0),
        (["--fail-on", "lost"], 0),
        (["--fail-on", "gained"], 1),
        (["--fail-on", "lost,gained"], 1),
        (["--fail-on", "lost", "--fail-on", "gained"], 1),
        (["--fail-on", "lost, required"], 0),
    ],
)
def test_a_pull_request_that_allows_everything(run: Run, arguments: list[str], code: int) -> None:
    """It loses nothing, so only `gained` stops it."""
    result = run("diff", "new", "-", "--offline", *arguments, stdin=SHOP + DENY_ALL + ALLOW_ALL)
    assert result.exit_code == code
    told = "fails because connections are gained (--fail-on gained)"
    assert (told in result.stderr.splitlines()) == bool(code)


@pytest.mark.parametrize(
    ("change", "code"), [("lost", 1), ("gained", 0), ("required", 0), ("gained,required", 0)]
)
def test_a_connection_that_nothing_needs_is_lost(run: Run, change: str, code: int) -> None:
    """A policy isolates the database, which no object calls."""
    isolated = DENY_ALL.replace("podSelector: {}", "podSelector: {matchLabels: {app: db}}").replace(
        "[Ingress, Egress]", "[Ingress]"
    )
    result = run("diff", "old", "-", "--offline", "--fail-on", change, "-f", "json", stdin=SHOP + isolated)
    assert result.exit_code == code
    document = json.loads(result.stdout)
    assert (bool(document["lost"]), document["gained"], document["flowsLost"]) == (True, [], [])


def test_each_change_that_fails_is_told(run: Run) -> None:
    """A deny-all loses connections and required flows alike."""
    result = run("diff", "old", "new", "--offline", "--fail-on", "required,lost,gained")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-2:] == [
        "fails because connections are lost (--fail-on lost)",
        "fails because required flows are lost (--fail-on required)",
    ]


@pytest.mark.parametrize("value", ["everything", "", "gained;lost", "Gained"])
def test_an_unknown_change_is_refused(run: Run, value: str) -> None:
    """The names are told."""
    result = run("diff", "old", "new", "--fail-on", value)
    assert result.exit_code == 2
    assert "use lost, gained, required, several with commas" in result.stderr


def test_both_can_not_be_standard_input(run: Run) -> None:
    """There is only one."""
    result = run("diff", "-", "-", stdin=SHOP)
    assert result.exit_code == 2
    assert "OLD and NEW can't both be standard input" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["old"], "there is nothing to compare old with: name OLD before it, or a cluster by --context or"),
        ([], "Missing argument 'NEW'"),
        (["old", "new", "old"], "'old' is one argument too many: OLD NEW"),
        (["--context", "prod"], "Missing argument 'NEW'"),
        (["--context", "prod", "old", "new"], "'new' is one argument too many: NEW"),
    ],
)
def test_two_sides_are_compared(run: Run, arguments: list[str], told: str) -> None:
    """With a cluster as one of them, one argument names the other."""
    result = run("diff", *arguments)
    assert result.exit_code == 2
    assert told in result.stderr


def test_a_flow_of_what_is_gone_is_not_gained(run: Run) -> None:
    """Nothing is allowed now that was denied before; nobody needs it any more."""
    without_cart = SHOP.replace("name: cart", "name: other") + DENY_ALL
    document = json.loads(
        run(
            "diff", "new", "-", "--offline", "-f", "json", stdin=without_cart.replace("enabled", "disabled")
        ).stdout
    )
    assert (document["flowsGained"], document["flowsLost"]) == ([], [])


def test_a_first_ipv6_address_changes_nothing_else(run: Run) -> None:
    """The old input names none; what it allowed over IPv6 was allowed all the same."""
    block = """\
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: block, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Egress]
  egress: [{to: [{ipBlock: {cidr: "fd00::/8"}}]}]
"""
    result = run("diff", "old", "-", "--offline", stdin=SHOP + block)
    changed = [line for line in result.stdout.splitlines() if line[:2] in ("+ ", "- ")]
    assert changed
    assert all(line.startswith("- shop/Deployment/db -> ") for line in changed)


STATIC_PODS = """\
apiVersion: v1
kind: Pod
metadata:
  name: etcd-cp1
  namespace: kube-system
  annotations: {kubernetes.io/config.mirror: 1f}
  ownerReferences: [{apiVersion: v1, kind: Node, name: cp1, uid: u, controller: true}]
spec: {containers: [{name: c, image: c}]}
---
apiVersion: v1
kind: Pod
metadata:
  name: kube-scheduler-cp1
  namespace: kube-system
  ownerReferences: [{apiVersion: v1, kind: Node, name: cp1, uid: u, controller: true}]
spec: {containers: [{name: c, image: c}]}
---
apiVersion: v1
kind: Pod
metadata:
  name: orphan
  namespace: kube-system
  ownerReferences: [{apiVersion: v1, kind: "", name: cp1, uid: u, controller: true}]
spec: {containers: [{name: c, image: c}]}
---
apiVersion: v1
kind: Pod
metadata:
  name: db-1
  namespace: kube-system
  ownerReferences: [{apiVersion: postgresql.cnpg.io/v1, kind: Cluster, name: db, uid: u, controller: true}]
spec: {containers: [{name: c, image: c}]}
"""


def test_pods_of_a_node_are_called_by_their_own_names(run: Run) -> None:
    """A node runs many static pods, and none of them is the node; an owner without a kind says nothing."""
    rows = json.loads(run("list", "-", "-f", "json", stdin=STATIC_PODS).stdout)["connections"]
    assert {row["source"] for row in rows if "/" in row["source"]} == {
        "kube-system/Cluster/db",
        "kube-system/Pod/etcd-cp1",
        "kube-system/Pod/kube-scheduler-cp1",
        "kube-system/Pod/orphan",
    }
    explained = run(
        "explain", "-", "--from", "kube-system/etcd-cp1", "--to", "kube-system/orphan:80", stdin=STATIC_PODS
    )
    assert "1. egress of Pod kube-system/etcd-cp1: " in explained.stdout
