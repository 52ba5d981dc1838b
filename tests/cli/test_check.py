"""`istio-netpol check`."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from tests.cli.workspace import DENY_ALL, ISTIOD_DENIED, JWT, SHOP, Run


def rules(output: str) -> list[str]:
    return [finding["rule"] for finding in json.loads(output)["findings"]]


def test_nothing_denied_is_exit_code_0(run: Run) -> None:
    """No policy isolates anything."""
    result = run("check", "shop.yaml", "--offline")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "No findings in 3 objects, 3 flows checked"


def test_a_denied_flow_is_exit_code_1(run: Run) -> None:
    """The sidecar needs istiod and DNS, and a deny-all is in force."""
    result = run("check", "manifests/", "--offline", "-f", "json")
    assert result.exit_code == 1
    assert rules(result.stdout) == ["dns", "dns", "proxy-to-istiod"]


def test_warnings_alone_are_exit_code_0(run: Run) -> None:
    """A policy that selects nothing breaks nothing."""
    stray = DENY_ALL.replace("podSelector: {}", "podSelector: {matchLabels: {app: gone}}")
    result = run("check", "-", "--offline", "-f", "json", stdin=SHOP + stray)
    assert result.exit_code == 0
    assert rules(result.stdout) == ["policy-selects-nothing"]


def test_findings_point_to_file_and_line(run: Run) -> None:
    """Where the object stands, as the path was given."""
    result = run("check", "manifests", "--offline", "-f", "json")
    place = json.loads(result.stdout)["findings"][0]["object"]
    assert (place["file"], place["line"]) == ("manifests/shop.yaml", 7)


def test_assume_deny_all_finds_what_a_deny_all_would_cut(run: Run) -> None:
    """The same input without policies."""
    result = run("check", "shop.yaml", "--assume-deny-all", "--offline", "-f", "json")
    assert result.exit_code == 1
    assert rules(result.stdout) == ["dns", "dns", "proxy-to-istiod"]


def test_an_address_stands_for_its_host(run: Run) -> None:
    """The remedy opens exactly the address that the operator named, private or not."""
    result = run(
        "check", "-", "--offline", "--address", "keys.example.com=10.9.8.7", "-f", "json",
        stdin=SHOP + JWT + ISTIOD_DENIED,
    )  # fmt: skip
    (finding,) = [
        finding for finding in json.loads(result.stdout)["findings"] if finding["rule"] == "istiod-to-jwks"
    ]
    assert finding["flow"]["destination"] == {"cidr": "10.9.8.7/32"}
    assert finding["remedy"][0]["spec"]["egress"][0]["to"] == [{"ipBlock": {"cidr": "10.9.8.7/32"}}]


def test_offline_asks_nobody(run: Run) -> None:
    """And says so."""
    result = run("check", "-", "--offline", "-f", "json", stdin=SHOP + JWT + ISTIOD_DENIED)
    (finding,) = [
        finding for finding in json.loads(result.stdout)["findings"] if finding["rule"] == "jwks-unresolvable"
    ]
    assert "DNS was not asked, because of --offline" in finding["message"]


def test_assumptions_do_not_disturb_machine_formats(run: Run) -> None:
    """They go to standard error there; JSON has a place for them."""
    result = run("check", "manifests", "--offline", "-f", "github")
    assert "assumed: the input holds no istiod" in result.stderr
    assert "the input holds no istiod" not in result.stdout


def test_json_says_what_was_assumed_and_why(run: Run) -> None:
    """Each stand-in, and what the input lacks."""
    document = json.loads(run("check", "manifests", "--offline", "-f", "json").stdout)
    told = {assumption["why"]: assumption["what"] for assumption in document["assumed"]}
    assert told["the input holds no istiod"] == (
        "istiod in namespace istio-system with labels app=istiod, istio=pilot, which nothing isolates"
    )


def test_junit_is_xml(run: Run) -> None:
    """A failing case for the workload."""
    result = run("check", "manifests", "--offline", "-f", "junit")
    assert [case.get("name") for case in ET.fromstring(result.stdout).iter("testcase")] == ["cart"]


def test_sarif_is_json(run: Run) -> None:
    """With three results."""
    result = run("check", "manifests", "--offline", "-f", "sarif")
    assert len(json.loads(result.stdout)["runs"][0]["results"]) == 3


def test_github_annotates_the_object(run: Run) -> None:
    """At its line."""
    result = run("check", "manifests", "--offline", "-f", "github")
    assert result.stdout.startswith(
        "::error file=manifests/shop.yaml,line=7,title=dns%3A Deployment shop/cart::"
    )


def test_the_same_input_gives_the_same_bytes(run: Run) -> None:
    """Twice, in every format."""
    for name in ("text", "json", "sarif", "junit", "github"):
        outputs = {run("check", "manifests", "--offline", "-f", name).stdout for _ in range(2)}
        assert len(outputs) == 1


def test_kinds_that_no_rule_reads_are_counted(run: Run) -> None:
    """So that nobody believes they were checked."""
    config_map = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: shop}\n"
    result = run("check", "-", "--offline", stdin=SHOP + config_map)
    assert result.stdout.splitlines()[-1].endswith("; 1 object of kinds that no rule reads")
    assert "Not read: 1 Secret (v1)" in result.stdout.splitlines()


def test_kinds_that_no_rule_reads_are_in_the_json(run: Run) -> None:
    """By apiVersion and kind: a NetworkPolicy of Calico's is another kind than Kubernetes'."""
    others = "".join(
        f"---\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}, namespace: shop}}\n"
        for version, kind, name in (
            ("v1", "Secret", "a"),
            ("example.com/v1", "NetworkPolicy", "a"),
            ("example.com/v1", "NetworkPolicy", "b"),
        )
    )
    result = run("check", "-", "--offline", "-f", "json", stdin=SHOP + others)
    assert json.loads(result.stdout)["notRead"] == [
        {"apiVersion": "example.com/v1", "kind": "NetworkPolicy", "count": 2},
        {"apiVersion": "v1", "kind": "Secret", "count": 1},
    ]


def test_settings_change_what_is_checked(run: Run, workspace: Path) -> None:
    """Here the port of istiod."""
    (workspace / "netpol.yaml").write_text(
        "apiVersion: istio-netpol.io/v1\nkind: Settings\nmesh: {discoveryPort: 15112}\n"
    )
    for result in (
        run("check", "manifests", "--offline", "-f", "json", "--config", "netpol.yaml"),
        run("check", "manifests", "--offline", "-f", "json", ISTIO_NETPOL_CONFIG="netpol.yaml"),
    ):
        assert [finding["flow"]["port"] for finding in json.loads(result.stdout)["findings"]] == [
            53,
            53,
            15112,
        ]


def test_counts_say_what_they_count(run: Run) -> None:
    """Two tokens need the same keys over one connection, and DNS by TCP and UDP is two of one pair."""
    given = SHOP + DENY_ALL + JWT + JWT.replace("name: jwt", "name: other") + ISTIOD_DENIED
    arguments = ("check", "-", "--offline", "--address", "keys.example.com=192.0.2.7")
    summary = json.loads(run(*arguments, "-f", "json", stdin=given).stdout)["summary"]
    assert [summary[name] for name in ("denied", "deniedConnections", "deniedPairs")] == [9, 8, 6]
    closing = run(*arguments, stdin=given).stdout.splitlines()[-1]
    assert "flows checked, 9 denied (8 connections of 6 pairs)" in closing


def test_equal_counts_are_told_once(run: Run) -> None:
    """One denied flow is one connection of one pair."""
    closing = run("check", "manifests", "--offline").stdout.splitlines()[-1]
    assert closing == "3 errors in 4 objects, 3 flows checked, 3 denied (3 connections of 2 pairs)"
    ports = "egress: [{ports: [{port: 53}, {port: 53, protocol: UDP}]}]"
    dns = DENY_ALL.replace("policyTypes: [Ingress, Egress]", f"policyTypes: [Egress]\n  {ports}")
    closing = run("check", "-", "--offline", stdin=SHOP + dns).stdout.splitlines()[-1]
    assert closing == "1 error in 4 objects, 3 flows checked, 1 denied"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://10.96.3.3/validate", True),
        ("https://[fd00::3]:443/validate", True),
        ("https://10.96.3.4/validate", False),
        ("https://hook.example.com:443/validate", False),
        ("https://[fd00::3/validate", False),
        ("https://10.96.3.3:99999/validate", False),
    ],
)
def test_a_webhook_by_the_address_of_a_service_is_called_like_it(run: Run, url: str, told: bool) -> None:
    """The node of the API server translates the address, so the pods' policies decide."""
    given = f"""\
apiVersion: v1
kind: Pod
metadata: {{name: hook, namespace: ops, labels: {{app: hook}}}}
spec: {{containers: [{{name: hook, image: hook, ports: [{{containerPort: 9443}}]}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: hook, namespace: ops}}
spec:
  clusterIPs: [10.96.3.3, "fd00::3"]
  selector: {{app: hook}}
  ports: [{{port: 443, targetPort: 9443}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {{name: hook}}
webhooks: [{{name: a.example.com, clientConfig: {{url: "{url}"}}}}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: deny, namespace: ops}}
spec: {{podSelector: {{}}, policyTypes: [Ingress]}}
"""
    result = run("check", "-", "--offline", stdin=given)
    assert ("the API server -> Pod ops/hook, TCP 9443" in result.stdout) is told
    assert result.exit_code == (1 if told else 0)
