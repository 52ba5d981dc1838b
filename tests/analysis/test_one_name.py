"""What opens a connection is one policy, whichever command shows it, and a host is one finding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from tests.scenarios import scenario as scenarios

from istio_netpol.cli.main import program

KEYS = """
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: jwt, namespace: {namespace}}}
spec: {{jwtRules: [{{issuer: i, jwksUri: "https://login.example.com/keys"}}]}}
---
"""


def peer(document: Any) -> str:
    return f"{document['namespace']}/{document['kind']}/{document['name']}"


@pytest.mark.parametrize(
    "name",
    [
        "sidecar-injection",
        "virtual-service",
        "multi-port-service",
        "jwks-in-cluster",
        "dns-missing",
    ],
)
def test_explain_shows_the_policies_that_generate_writes(name: str) -> None:
    """For each denied connection between pods: the same policies, to the last annotation."""
    scenario = scenarios.read(name)
    generated = scenarios.run("generate", scenario, scenario.before).output
    written = [policy for policy in yaml.safe_load_all(generated) if policy]
    _, findings = scenarios.check(scenario, scenario.before)
    asked = 0
    for flow in (finding["flow"] for finding in findings if finding["flow"]):
        if "kind" in flow["source"] and "kind" in flow["destination"]:
            ends = ("--from", peer(flow["source"]), "--to")
            called = f"{peer(flow['destination'])}:{flow['port']}/{flow['protocol']}"
            outcome = scenarios.run("explain", scenario, scenario.before, *ends, called, "-f", "json")
            shown = json.loads(outcome.output)["remedy"]
            assert shown, outcome.output
            assert all(policy in written for policy in shown)
            asked += 1
    assert asked


def test_explain_of_a_tunnelled_call_shows_the_policies_that_generate_writes() -> None:
    """By the port that is asked for, not the one on the wire."""
    scenario = scenarios.read("ambient-hbone")
    written = list(yaml.safe_load_all(scenarios.run("generate", scenario, scenario.before).output))
    arguments = ("--from", "meadow/web", "--to", "meadow/cart:8080", "-f", "json")
    shown = json.loads(scenarios.run("explain", scenario, scenario.before, *arguments).output)["remedy"]
    assert len(shown) == 2
    assert all(policy in written for policy in shown)


def test_explain_follows_a_call_through_a_waypoint() -> None:
    """Both parts of the way have to be open, and the policies for both are shown."""
    scenario = scenarios.read("waypoint")
    written = list(yaml.safe_load_all(scenarios.run("generate", scenario, scenario.before).output))
    arguments = ("--from", "meadow/web", "--to", "meadow/Service/books:80", "-f", "json")
    explained = json.loads(scenarios.run("explain", scenario, scenario.before, *arguments).output)
    assert not explained["allowed"]
    assert all(policy in written for policy in explained["remedy"])
    opened = {
        (policy["spec"]["podSelector"]["matchLabels"].get("app"), *policy["spec"]["policyTypes"])
        for policy in explained["remedy"]
    }
    assert opened == {("web", "Egress"), (None, "Ingress"), (None, "Egress"), ("books", "Ingress")}


def test_a_host_is_one_finding_with_its_users(tmp_path: Path) -> None:
    """However many objects of however many namespaces name it."""
    homes = ("istio-system", "shop", "team-a")
    file = tmp_path / "cluster.yaml"
    file.write_text(
        "".join(KEYS.format(namespace=home) for home in homes)
        + """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: istio-system}
spec: {podSelector: {}, policyTypes: [Egress]}
---
apiVersion: v1
kind: Pod
metadata: {name: istiod, namespace: istio-system, labels: {app: istiod, istio: pilot}}
spec: {containers: [{name: discovery, image: i}]}
"""
    )
    result = CliRunner().invoke(program, ["check", "--offline", "-f", "json", str(file)])
    findings = json.loads(result.stdout)["findings"]
    (told,) = (finding for finding in findings if finding["rule"] == "jwks-unresolvable")
    assert told["object"]["namespace"] == "istio-system"
    assert told["message"].endswith(
        "needed as well by RequestAuthentication shop/jwt, RequestAuthentication team-a/jwt"
    )
