"""What `check` shows a person: one screen, by cause, the worst first, and all of it true."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from tests.cli.platform import platform
from tests.cli.workspace import DENY_ALL, KUSTOMIZE, SHOP, Run, program

HEIGHT, WIDTH = 40, 100
LISTED = re.compile(r"^  (?P<namespace>[a-z0-9-]+): (?P<members>[^;]+); denied by (?P<policies>.+)$")


def screen_lines(text: str) -> int:
    return sum(max(1, -(-len(line) // WIDTH)) for line in text.splitlines())


@pytest.fixture(scope="module")
def dump() -> str:
    """A platform of forty namespaces as `kubectl get` prints it."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": platform(40)})


@pytest.mark.parametrize("namespaces", [2, 5, 12, 40])
def test_it_is_at_most_a_screen(run: Run, namespaces: int) -> None:
    """However much is wrong."""
    stdin = json.dumps({"apiVersion": "v1", "kind": "List", "items": platform(namespaces)})
    result = run("check", "-", "--offline", stdin=stdin)
    assert result.exit_code == 1
    assert screen_lines(result.stdout) <= HEIGHT


def test_many_overlays_are_one_screen(run: Run, workspace: Path) -> None:
    """Causes are told across inputs, whose names stand with the namespaces: here all have the same one."""
    for number in range(15):
        folder = workspace / "repo" / f"overlay{number}"
        folder.mkdir(parents=True)
        (folder / "kustomization.yaml").write_text("resources: [shop.yaml]\n")
        (folder / "shop.yaml").write_text(SHOP + DENY_ALL)
    result = run(
        "check", "repo", "--offline", ISTIO_NETPOL_KUSTOMIZE=str(program(workspace / "kustomize", KUSTOMIZE))
    )
    assert screen_lines(result.stdout) <= HEIGHT, result.stdout
    assert "repo/overlay0, shop: cart; denied by default-deny" in result.stdout
    assert "error proxy-to-istiod: 15 workloads in 15 inputs: no egress" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("All 15 inputs: 45 errors")


def test_the_worst_comes_first(run: Run, dump: str) -> None:
    """Errors before warnings before infos; among errors the cause that cuts the most."""
    lines = run("check", "-", "--offline", stdin=dump).stdout.splitlines()
    ranks = [
        ["error", "warning", "info"].index(line.split()[0])
        for line in lines
        if re.match(r"(error|warning|info) [a-z-]+: ", line)
    ]
    assert ranks == sorted(ranks)
    first = next(line for line in lines if line.startswith("error "))
    assert first.startswith(
        "error proxy-to-istiod: 60 workloads in 20 namespaces: no egress to istio-system/istiod"
    )


def test_each_group_is_true(run: Run, dump: str) -> None:
    """Whom a cause names is cut by just those policies, as the JSON has it."""
    text = run("check", "-", "--offline", stdin=dump).stdout
    findings = json.loads(run("check", "-", "--offline", "-f", "json", stdin=dump).stdout)["findings"]
    denied: defaultdict[tuple[str, str], set[tuple[str, ...]]] = defaultdict(set)
    for finding in findings:
        near = "source" if finding["denied"]["egress"] else "destination"
        if finding["flow"] and (policies := [*finding["denied"]["egress"], *finding["denied"]["ingress"]]):
            end = finding["flow"][near]
            denied[finding["rule"], f"{end['namespace']}/{end['name']}"].add(tuple(sorted(set(policies))))
    rule, seen = "", 0
    for line in text.splitlines():
        if heading := re.match(r"(error|warning|info) ([a-z-]+): ", line):
            rule = heading[2]
        elif listed := LISTED.match(line):
            namespace = listed["namespace"]
            policies = tuple(sorted(f"{namespace}/{name}" for name in listed["policies"].split(", ")))
            for member in listed["members"].split(", "):
                assert policies in denied[rule, f"{namespace}/{member}"], line
                seen += 1
    assert seen


def test_the_figures_of_a_group_are_those_of_its_findings(run: Run, dump: str) -> None:
    """So many workloads in so many namespaces."""
    text = run("check", "-", "--offline", stdin=dump).stdout
    findings = json.loads(run("check", "-", "--offline", "-f", "json", stdin=dump).stdout)["findings"]
    told = re.findall(r"^error ([a-z-]+): (\d+) workloads in (\d+) namespaces: no egress", text, re.MULTILINE)
    assert told
    for rule, workloads, namespaces in told:
        cut = {
            (finding["flow"]["source"]["namespace"], finding["flow"]["source"]["name"])
            for finding in findings
            if finding["rule"] == rule and finding["severity"] == "error"
        }
        assert (len(cut), len({namespace for namespace, _ in cut})) == (int(workloads), int(namespaces))


def test_the_command_that_is_named_prints_what_is_missing(run: Run) -> None:
    """With the options of the check that concern its input, ready to be typed."""
    result = run(
        "check", "manifests", "--offline", "-n", "shop", "--address", "a.example=192.0.2.1", "--rule", "dns"
    )
    command = "istio-netpol generate manifests --namespace shop --address a.example=192.0.2.1 --offline"
    assert f"`{command}` prints the missing policies." in result.stdout.splitlines()
    generated = run(*command.split()[1:])
    assert {policy["kind"] for policy in yaml.safe_load_all(generated.stdout)} == {"NetworkPolicy"}


def test_all_shows_the_remedies(run: Run) -> None:
    """What the screen leaves out is one option away."""
    assert "kind: NetworkPolicy" not in run("check", "manifests", "--offline").stdout
    assert "kind: NetworkPolicy" in run("check", "manifests", "--offline", "--all").stdout


def test_each_namespace_has_its_figures(run: Run) -> None:
    """Whose owners have to look."""
    stdin = json.dumps({"apiVersion": "v1", "kind": "List", "items": platform(4)})
    text = run("check", "-", "--offline", stdin=stdin).stdout.replace("\n", " ")
    findings = json.loads(run("check", "-", "--offline", "-f", "json", stdin=stdin).stdout)["findings"]
    errors = [
        finding
        for finding in findings
        if finding["severity"] == "error" and finding["object"]["namespace"] == "team-01"
    ]
    assert f"team-01 {len(errors)} errors" in text


def test_generate_is_named_only_where_it_writes_something(run: Run) -> None:
    """A policy that lacks somebody's consent is none of those that it writes."""
    other = SHOP.replace("shop", "pay").replace("cart", "till")
    calls = SHOP.replace(
        "name: cart, ", 'name: cart, annotations: {istio-netpol.io/calls: "pay/till:8080"}, ', 1
    )
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "till", "namespace": "pay"}}
    spec = {"selector": {"app": "till"}, "ports": [{"port": 8080}]}
    deny = DENY_ALL.replace("shop", "pay").replace("[Ingress, Egress]", "[Ingress]")
    given = f"{calls}---\n{other}{deny}---\n{yaml.safe_dump(service | {'spec': spec})}"
    result = run("check", "-", "--offline", stdin=given)
    assert "warning consent-missing" in result.stdout
    assert "prints the missing policies" not in result.stdout
    assert yaml.safe_load(run("generate", "-", "--offline", stdin=given).stdout) is None
