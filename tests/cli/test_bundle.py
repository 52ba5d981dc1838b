"""`istio-netpol bundle verify` as a user meets it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.admission.objects import deployment
from tests.bundle.overlays import KUSTOMIZE, filled_tree
from tests.cluster.fixtures import require
from tests.tools.programs import located

from istio_netpol.cli.main import program

KIND = KUSTOMIZE / "overlays" / "kind"


def verify(*arguments: str | Path, stdin: str | None = None, kustomize: str | None = None) -> Result:
    """Runs the command with the kustomize that the tests build."""
    if kustomize is None:
        require("kustomize")
        kustomize = str(located("kustomize"))
    environment = {"ISTIO_NETPOL_KUSTOMIZE": kustomize}
    return CliRunner().invoke(
        program, ["bundle", "verify", *map(str, arguments)], input=stdin, env=environment
    )


def test_a_proof_lists_each_connection_with_the_rules_that_allow_it() -> None:
    """A reviewer sees that istiod's webhook is reachable, and by which policy."""
    result = verify(KIND)
    assert result.exit_code == 0
    assert "allowed webhook-from-apiserver: the API server -> Deployment istio-system/istiod, TCP 15017" in (
        result.stdout
    )
    assert "ingress by istio-system/istiod-from-apiserver ingress[0]" in result.stdout
    assert "changed: istio-system/istio-cni-node-to-apiserver" in result.stdout
    assert "No findings" in result.stdout


def test_a_denied_connection_fails_the_proof(tmp_path: Path) -> None:
    """The wrong DNS port is an error, with exit code 1 and the policies that would allow it."""
    overlay = filled_tree(tmp_path) / "overlays" / "gardener"
    file = overlay / "kustomization.yaml"
    file.write_text(file.read_text().replace("- ../../components/dns-8053\n", ""))
    result = verify(overlay)
    assert result.exit_code == 1
    assert "DENIED  dns: Deployment istio-system/istiod" in result.stdout
    assert "port: 8053" in result.stdout


def test_breadth_is_a_warning_that_strict_counts(tmp_path: Path) -> None:
    """By default it is told; a team that wants it to fail the build says so."""
    overlay = filled_tree(tmp_path) / "overlays" / "kind"
    values = overlay / "values.yaml"
    values.write_text(values.read_text().replace("172.16.0.0/12", "0.0.0.0/0"))
    assert verify(overlay).exit_code == 0
    result = verify(overlay, "--strict")
    assert result.exit_code == 1
    assert "warning broad-policy" in result.stdout


def test_the_json_has_flows_and_difference() -> None:
    """A script finds for each flow the rules that allow it."""
    document = json.loads(verify(KIND, "-f", "json").stdout)
    assert document["kind"] == "BundleReport"
    assert document["summary"]["denied"] == 0
    assert len(document["flows"]) == document["summary"]["flows"]
    assert all(flow["allowed"] for flow in document["flows"])
    assert document["difference"]["removed"] == []


def test_kyma_counts_where_the_overlay_has_policies_for_it(tmp_path: Path) -> None:
    """Plain Istio is not asked about operators that it does not run, and one line brings Kyma."""
    overlay = filled_tree(tmp_path) / "overlays" / "kind"
    plain = json.loads(verify(overlay, "-f", "json").stdout)
    file = overlay / "kustomization.yaml"
    file.write_text(file.read_text().replace("components:\n", "components:\n- ../../components/kyma\n"))
    kyma = json.loads(verify(overlay, "--strict", "-f", "json").stdout)
    assert "kyma" not in json.dumps(plain)
    assert kyma["summary"]["flows"] == plain["summary"]["flows"] + 8
    assert (kyma["summary"]["denied"], kyma["findings"]) == (0, [])


def test_junit_and_sarif_are_those_of_check() -> None:
    """CI systems read them as they read a check."""
    assert ET.fromstring(verify(KIND, "-f", "junit").stdout).get("failures") == "0"
    assert json.loads(verify(KIND, "-f", "sarif").stdout)["runs"][0]["results"] == []


def test_a_control_plane_on_standard_input_is_the_one_that_is_judged() -> None:
    """An egress gateway that the overlay knows nothing of is denied."""
    labels = {"istio": "egressgateway"}
    gateway = json.dumps(deployment("istio-system/egress", labels=labels))
    result = verify(KIND, "--control-plane", "-", stdin=gateway)
    assert result.exit_code == 1
    assert "DENIED  gateway-to-istiod: Deployment istio-system/egress" in result.stdout


PATCHED = """
resources: [../kind]
patches:
- patch: |
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: absent, namespace: istio-system}
    spec: {podSelector: {}}
"""
JSON_PATCH = """
resources: [../kind]
patches:
- {target}patch: |
    - op: replace
      path: /spec/egress/0/ports/0/port
      value: 8053
"""
UNTARGETED = JSON_PATCH.replace("{target}", "")
MISSING_TARGET = JSON_PATCH.replace(
    "{target}", "target: {kind: NetworkPolicy, namespace: istio-system, name: istiod-to-dsn}\n  "
)
BROKEN = {
    "no folder": (None, "is not a folder"),
    "no kustomization": ("", "has no kustomization.yaml"),
    "a missing resource": ("resources: [absent.yaml]\n", "absent.yaml"),
    "a cycle": ("resources: [.]\n", "cycle"),
    "a patch without target": (PATCHED, "no matches for Id NetworkPolicy"),
    "a JSON patch without target": (UNTARGETED, "must specify a target for JSON patch"),
    "a JSON patch whose target is not there": (
        MISSING_TARGET,
        "patches[0].target selects no NetworkPolicy (name istiod-to-dsn, namespace istio-system)",
    ),
    "no YAML": ("resources: [\n", "yaml"),
    "a remote base": ("resources: ['https://github.com/a/b//c?ref=v1']\n", "c?ref=v1"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_an_overlay_that_does_not_build_is_told_in_one_line(tmp_path: Path, broken: str) -> None:
    """The cause and the folder, exit code 2, and no traceback."""
    content, cause = BROKEN[broken]
    overlay = filled_tree(tmp_path) / "overlays" / "mine"
    if content is not None:
        overlay.mkdir()
        if content:
            (overlay / "kustomization.yaml").write_text(content)
    result = verify(overlay)
    assert result.exit_code == 2
    complaint = result.stderr.removesuffix("nothing was done\n").strip().splitlines()
    assert len(complaint) == 1
    assert str(overlay) in complaint[0]
    assert cause in complaint[0]


@pytest.mark.parametrize(
    "target",
    ["name: istiod-to-dns", "name: istiod-.*", "namespace: istio-system", "name: '(', labelSelector: a=b"],
)
def test_a_patch_that_has_targets_is_nothing_to_tell(tmp_path: Path, target: str) -> None:
    """Patterns select as they do for kustomize, and what can't be read here is for kustomize to tell."""
    overlay = filled_tree(tmp_path) / "overlays" / "mine"
    overlay.mkdir()
    text = JSON_PATCH.replace("{target}", f"target: {{kind: NetworkPolicy, {target}}}\n  ")
    (overlay / "kustomization.yaml").write_text(text.replace("replace", "test").replace("8053", "53"))
    assert "selects no NetworkPolicy" not in verify(overlay).stderr


def test_a_patch_that_takes_policies_away_is_nothing_to_tell(tmp_path: Path) -> None:
    """Its targets are gone when it has done its work; the difference from the base names them."""
    overlay = filled_tree(tmp_path) / "overlays" / "kind"
    file = overlay / "kustomization.yaml"
    gone = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: gone}, $patch: delete}"
    target = "{kind: NetworkPolicy, name: istiod-to-dns}"
    file.write_text(f"{file.read_text()}patches:\n- target: {target}\n  patch: '{gone}'\n")
    result = verify(overlay)
    assert result.exit_code == 1
    assert "DENIED  dns: Deployment istio-system/istiod" in result.stdout


def test_a_missing_kustomize_is_told(tmp_path: Path) -> None:
    """The program that could not be found is named."""
    result = verify(KIND, kustomize=str(tmp_path / "kustomize"))
    assert result.exit_code == 2
    assert "which ISTIO_NETPOL_KUSTOMIZE names, is not a program" in result.stderr


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            "port: 6443",
            "values.yaml lacks apiServer.peers.0.ipBlock.cidr: set it as the comment there says (",
        ),
        ("peers: [{ipBlock: {cidr: 10.0.0.1/32}}]", "values.yaml lacks apiServer.port: set it"),
        ("port: 6443, peers: [{ipBlock: {cidr: 10.0.0.1}}]", "the value 10.0.0.1 lacks a prefix length"),
        (
            "port: 6443, peers: [{ipBlock: {cidr: api.example.com}}]",
            "the value api.example.com lacks a prefix",
        ),
        ("port: 6443, peers: 10.0.0.1/32", "the value 10.0.0.1/32 is not where one is expected"),
        ("port: 6443, peers: [10.0.0.1/32]", "the value 10.0.0.1/32 is not where one is expected"),
        ("port: 6443, peers: {ipBlock: {}}", "the value {ipBlock: {}} is not where one is expected"),
    ],
)
def test_a_value_that_fails_the_build_is_told_in_plain_words(tmp_path: Path, values: str, told: str) -> None:
    overlay = filled_tree(tmp_path) / "overlays" / "generic"
    file = overlay / "values.yaml"
    file.write_text(f"{file.read_text().partition('apiServer:')[0]}apiServer: {{{values}}}\n")
    result = verify(overlay)
    assert result.exit_code == 2
    assert f"{overlay}: {told}" in result.stderr


def test_bases_by_url_are_fetched_where_the_user_says_so(tmp_path: Path) -> None:
    """Git may use no transport but files, unless --fetch lets it."""
    require("kustomize")
    program = tmp_path / "kustomize"
    refusal = "echo \"Error: fatal: transport 'https' not allowed\" >&2; exit 1"
    program.write_text(
        f'#!/bin/sh\n[ -z "$GIT_ALLOW_PROTOCOL" ] || {{ {refusal}; }}\nexec {located("kustomize")} "$@"\n'
    )
    program.chmod(0o755)
    refused = verify(KIND, kustomize=str(program))
    assert refused.exit_code == 2
    assert "names something by its URL, and nothing is fetched without --fetch" in refused.stderr
    assert verify(KIND, "--fetch", kustomize=str(program)).exit_code == 0


@pytest.mark.parametrize(
    ("overlay", "unknown", "right", "wrong"),
    [
        ("kind", "the API server", "addresses: [172.18.0.2]", "addresses: [192.168.128.3]"),
        ("eks", "the API server's Service", "serviceAddress: 203.0.113.10", "serviceAddress: 172.20.0.1"),
    ],
)
def test_an_address_that_nothing_but_the_policies_names_is_assumed(
    tmp_path: Path, overlay: str, unknown: str, right: str, wrong: str
) -> None:
    """The proof says what it can't compare, and compares what the environment names."""
    folder = filled_tree(tmp_path) / "overlays" / overlay
    told = f"the address of {unknown} is not known: assumed that the policies name the right one"
    assert told in verify(folder).stdout
    environment = folder / "environment.yaml"
    environment.write_text(environment.read_text().replace("apiServer:\n", f"apiServer:\n  {right}\n"))
    assert "is not known" not in verify(folder).stdout
    environment.write_text(environment.read_text().replace(right, wrong))
    assert verify(folder).exit_code == 1


@pytest.mark.parametrize("kind", ["ConfigMap", "Pod"])
def test_a_control_plane_of_which_nothing_is_isolated_proves_nothing(tmp_path: Path, kind: str) -> None:
    """Neither an empty one nor one of other namespaces is a success."""
    file = tmp_path / "control-plane.yaml"
    file.write_text(f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: a, namespace: shop}}\n")
    result = verify(KIND, "--control-plane", file)
    assert result.exit_code == 2
    assert "holds no workload that the overlay isolates" in result.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("kind: NetworkPolicy", "kind: NetworkPolcy"),
        ("kind: NetworkPolicy", "kind: networkpolicy"),
        ("networking.k8s.io/v1", "networking.k8s.io/v1beta1"),
        ("networking.k8s.io/v1", "networking/v1"),
    ],
)
def test_a_policy_that_no_api_server_takes_is_named(tmp_path: Path, old: str, new: str) -> None:
    """Otherwise all that shows is a connection that nobody allows."""
    tree = filled_tree(tmp_path)
    file = tree / "base" / "istio-system" / "istiod-to-dns.yaml"
    file.write_text(file.read_text().replace(old, new))
    result = verify(tree / "overlays" / "kind")
    assert result.exit_code == 2
    assert "istiod-to-dns" in result.stderr
    assert f'"{new.removeprefix("kind: ")}"' in result.stderr
    assert "is not served by any Kubernetes" in result.stderr


def test_a_policy_of_a_version_that_was_removed_is_an_error(tmp_path: Path) -> None:
    """It was served once, and is named beside what is denied without it."""
    tree = filled_tree(tmp_path)
    file = tree / "base" / "istio-system" / "istiod-to-dns.yaml"
    file.write_text(file.read_text().replace("networking.k8s.io/v1", "extensions/v1beta1"))
    result = verify(tree / "overlays" / "kind")
    assert result.exit_code == 1
    assert "error removed-api: NetworkPolicy istio-system/istiod-to-dns" in result.stdout
