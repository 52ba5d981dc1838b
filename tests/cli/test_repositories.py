"""Folders as repositories have them: bases with overlays, charts, values, and objects of no namespace."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from tests.cli.workspace import DENY_ALL, SHOP, Run, program
from tests.cluster.fixtures import require
from tests.tools.programs import located

KUSTOMIZE = """\
import pathlib, sys, yaml

def objects(folder):
    content = yaml.safe_load((folder / "kustomization.yaml").read_text())
    for name in [*content.get("resources", []), *content.get("components", [])]:
        path = folder / name
        found = objects(path) if path.is_dir() else yaml.safe_load_all(path.read_text())
        for item in found:
            if item["kind"] != "Namespace":
                item["metadata"]["name"] += content.get("nameSuffix", "")
            yield item

print(yaml.safe_dump_all(objects(pathlib.Path(sys.argv[2]))))
"""
HELM = """\
import sys
command, release, chart, option, namespace, *more = sys.argv[1:]
assert (command, option, more) == ("template", "--namespace", ["--kube-version", "1.36.0", "--skip-tests"])
print(f'''# Source: {release}
apiVersion: v1
kind: Service
metadata: {{name: {release}, namespace: {namespace}}}
spec: {{ports: [{{port: 80}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: other}}
spec: {{ports: [{{port: 80}}]}}
''')
"""
OVERLAYS = {
    "repo/base/kustomization.yaml": "resources: [shop.yaml]\n",
    "repo/base/shop.yaml": SHOP + DENY_ALL,
    "repo/overlays/dev/kustomization.yaml": "resources: [../../base]\nnameSuffix: -dev\n",
    "repo/overlays/prod/kustomization.yaml": "resources: [../../base]\n",
}


@pytest.fixture
def tools(tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kustomize that knows bases and suffixes, and a helm."""
    monkeypatch.setenv("ISTIO_NETPOL_KUSTOMIZE", str(program(tmp_path / "kustomize", KUSTOMIZE)))
    monkeypatch.setenv("ISTIO_NETPOL_HELM", str(program(tmp_path / "helm", HELM)))


@pytest.fixture
def repository(workspace: Path, tools: None) -> Path:
    """A base and two overlays of it."""
    lay_out(workspace, OVERLAYS)
    return workspace / "repo"


def lay_out(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def report(run: Run, *arguments: str) -> Any:
    result = run("check", *arguments, "--offline", "-f", "json")
    assert result.exit_code != 2, result.stderr
    return json.loads(result.stdout)


def inputs(run: Run, *arguments: str) -> list[tuple[str, int]]:
    """The names of the inputs, with how many objects each has."""
    return [(part["name"], part["summary"]["objects"]) for part in report(run, *arguments)["inputs"]]


def test_each_overlay_is_judged_on_its_own(run: Run, repository: Path) -> None:
    """And the base through them, since it is applied nowhere."""
    found = report(run, "repo")
    assert inputs(run, "repo") == [("repo/overlays/dev", 4), ("repo/overlays/prod", 4)]
    assert found["summary"]["objects"] == 8
    assert {(finding["input"], finding["object"]["name"]) for finding in found["findings"]} == {
        ("repo/overlays/dev", "cart-dev"),
        ("repo/overlays/prod", "cart"),
    }


def test_text_has_a_heading_for_each_overlay(run: Run, repository: Path) -> None:
    """And the sum at the end."""
    result = run("check", "repo", "--offline", "--all")
    lines = result.stdout.splitlines()
    assert result.exit_code == 1
    assert [line for line in lines if line.startswith("== ")] == [
        "== repo/overlays/dev ==",
        "== repo/overlays/prod ==",
    ]
    assert lines[-1] == (
        "All 2 inputs: 6 errors in 8 objects, 6 flows checked, 6 denied (6 connections of 4 pairs)"
    )


def test_the_worst_overlay_decides(run: Run, repository: Path) -> None:
    """One is fine, the other is not."""
    lay_out(repository, {"overlays/dev/kustomization.yaml": "resources: [cart.yaml]\n"})
    lay_out(repository, {"overlays/dev/cart.yaml": SHOP})
    assert {finding["input"] for finding in report(run, "repo")["findings"]} == {"repo/overlays/prod"}
    assert run("check", "repo", "--offline").exit_code == 1


def test_other_formats_tell_overlays_apart(run: Run, repository: Path) -> None:
    """Suites of their own, fingerprints of their own, titles of their own."""
    lay_out(repository, {"overlays/dev/kustomization.yaml": "resources: [../../base]\n"})
    suites = ET.fromstring(run("check", "repo", "--offline", "-f", "junit").stdout)
    assert [suite.get("name") for suite in suites] == [
        "istio-netpol check: repo/overlays/dev",
        "istio-netpol check: repo/overlays/prod",
    ]
    assert [case.get("classname") for case in suites.iter("testcase")] == [
        "repo/overlays/dev.shop.Deployment",
        "repo/overlays/prod.shop.Deployment",
    ]
    sarif = json.loads(run("check", "repo", "--offline", "-f", "sarif").stdout)
    results = sarif["runs"][0]["results"]
    assert len({json.dumps(result["partialFingerprints"]) for result in results}) == len(results) == 6
    assert "title=dns%3A Deployment shop/cart in repo/overlays/prod::" in (
        run("check", "repo", "--offline", "-f", "github").stdout
    )


def test_an_overlay_of_an_overlay_includes_it(run: Run, repository: Path) -> None:
    """Only what no other one includes is applied."""
    lay_out(repository, {"overlays/prod-eu/kustomization.yaml": "resources: [../prod]\nnameSuffix: -eu\n"})
    assert [name for name, _ in inputs(run, "repo")] == ["repo/overlays/dev", "repo/overlays/prod-eu"]


def test_overlays_below_an_overlay_are_found(run: Run, repository: Path) -> None:
    """A kustomization at the top does not hide those that it leaves out."""
    lay_out(repository, {"kustomization.yaml": "resources: [base]\nnameSuffix: -top\n"})
    assert [name for name, _ in inputs(run, "repo")] == ["repo", "repo/overlays/dev", "repo/overlays/prod"]


def test_a_component_is_not_built_alone(run: Run, repository: Path) -> None:
    """It changes what an overlay has; without one it is nothing, which is said."""
    component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
    lay_out(repository, {"components/used/kustomization.yaml": component})
    lay_out(repository, {"components/spare/kustomization.yaml": component})
    lay_out(
        repository,
        {
            "overlays/dev/kustomization.yaml": (
                "resources: [../../base]\ncomponents: [../../components/used]\n"
            ),
        },
    )
    assert [name for name, _ in inputs(run, "repo")] == ["repo/overlays/dev", "repo/overlays/prod"]
    told = run("check", "repo", "--offline").stderr
    assert "note: repo/components/spare is a kustomize Component" in told
    assert "components/used" not in told


def test_files_of_no_overlay_are_one_more_input(run: Run, repository: Path) -> None:
    """All together; those that an overlay names are read through it."""
    lay_out(repository, {"extra/a.yaml": SHOP, "extra/b.yaml": DENY_ALL, "patches/p.yaml": "spec: {}\n"})
    lay_out(
        repository,
        {
            "overlays/dev/kustomization.yaml": (
                "resources: [../../base]\npatches: [{path: ../../patches/p.yaml}]\n"
            ),
        },
    )
    assert inputs(run, "repo")[2:] == [("repo (files outside of overlays)", 4)]
    assert "patches/p.yaml" not in run("check", "repo", "--offline").stderr


def test_what_holds_nothing_is_not_an_input(run: Run, repository: Path) -> None:
    """Values beside overlays, and an overlay of nothing, which is said."""
    lay_out(repository, {"values.yaml": "a: 1\n", "overlays/dev/kustomization.yaml": "resources: []\n"})
    result = run("check", "repo", "--offline", "-f", "json")
    assert "inputs" not in json.loads(result.stdout)
    assert "note: repo/overlays/dev holds no objects: there is nothing to judge" in result.stderr


def test_a_file_counts_in_every_overlay(run: Run, repository: Path) -> None:
    """The cluster that each of them goes to."""
    lay_out(repository.parent, {"cluster.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n"})
    assert inputs(run, "cluster.yaml", "repo") == [("repo/overlays/dev", 5), ("repo/overlays/prod", 5)]


def test_a_single_overlay_is_one_input_with_everything_else(run: Run, repository: Path) -> None:
    """As it always was: nothing has to be told apart."""
    assert "inputs" not in report(run, "repo/overlays/prod")
    lay_out(repository.parent, {"cluster.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n"})
    assert report(run, "cluster.yaml", "repo/overlays/prod")["summary"]["objects"] == 5


def test_overlays_that_include_one_another_are_not_passed_over(run: Run, repository: Path) -> None:
    """kustomize says what is wrong with them."""
    lay_out(repository, {"base/kustomization.yaml": "resources: [../overlays/dev]\n"})
    result = run("check", "repo", "--offline")
    assert result.exit_code == 2
    assert "failed" in result.stderr


def test_list_names_the_overlay_of_each_connection(run: Run, repository: Path) -> None:
    """In each format."""
    lay_out(repository, {"base/shop.yaml": SHOP})
    rows = json.loads(run("list", "repo", "-f", "json").stdout)["connections"]
    assert {row["input"] for row in rows} == {"repo/overlays/dev", "repo/overlays/prod"}
    table = list(csv.reader(StringIO(run("list", "repo", "-f", "csv").stdout)))
    assert table[0] == ["input", "source", "destination", "protocol", "from", "to"]
    assert {row[0] for row in table[1:]} == {"repo/overlays/dev", "repo/overlays/prod"}
    assert run("list", "repo").stdout.startswith("== repo/overlays/dev ==\n\n0.0.0.0-255.255.255.255 -> ")


def test_generate_keeps_the_policies_of_overlays_apart(run: Run, repository: Path) -> None:
    """Their names may be the same."""
    printed = run("generate", "repo", "--offline").stdout
    assert printed.startswith("# repo/overlays/dev\n")
    assert "---\n# repo/overlays/prod\n" in printed
    assert all(document["kind"] == "NetworkPolicy" for document in yaml.safe_load_all(printed))
    assert run("generate", "repo", "--offline", "-o", "out").exit_code == 0
    written = sorted(file.parent.as_posix() for file in Path("out").rglob("*.yaml"))
    assert set(written) == {"out/overlays/dev", "out/overlays/prod"}


def test_explain_answers_for_each_overlay_that_has_both_ends(run: Run, repository: Path) -> None:
    """And complains where none has."""
    both = run("explain", "repo", "--from", "shop/cart", "--to", "192.0.2.1:443", "-f", "json")
    assert json.loads(both.stdout)["kind"] == "ExplanationList"
    assert [item["input"] for item in json.loads(both.stdout)["items"]] == ["repo/overlays/prod"]
    assert both.exit_code == 1
    none = run("explain", "repo", "--from", "shop/nobody", "--to", "192.0.2.1:443")
    assert (none.exit_code, none.stdout) == (2, "")


def test_diff_compares_overlays_at_the_same_place(run: Run, repository: Path, workspace: Path) -> None:
    """Two states of a repository."""
    lay_out(workspace, {name.replace("repo/", "next/"): text for name, text in OVERLAYS.items()})
    lay_out(workspace, {"next/overlays/dev/kustomization.yaml": "resources: [shop.yaml]\nnameSuffix: -dev\n"})
    lay_out(workspace, {"next/overlays/dev/shop.yaml": SHOP})
    found = json.loads(run("diff", "repo", "next", "--offline", "-f", "json").stdout)
    assert {row["input"] for row in found["gained"]} == {"overlays/dev"}
    assert {finding["input"] for finding in found["flowsGained"]} == {"overlays/dev"}
    assert found["lost"] == found["flowsLost"] == []


def test_a_chart_is_rendered(run: Run, workspace: Path, tools: None) -> None:
    """As a release in the namespace that was named, with the chart's own values, which is said."""
    lay_out(workspace, {"charts/cart/Chart.yaml": "name: cart\n", "charts/cart/templates/a.yaml": "{{"})
    result = run("list", "charts/cart", "-n", "shop", "-f", "json")
    assert result.exit_code == 0
    assert result.stderr == (
        "note: charts/cart is rendered for Kubernetes 1.36.0 with the values of the chart itself, as release "
        "cart in namespace shop\n"
    )
    assert report(run, "charts")["summary"]["objects"] == 2


def test_helm_itself_renders_a_chart(run: Run, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its values, its namespace and its tests."""
    require("helm")
    monkeypatch.setenv("ISTIO_NETPOL_HELM", str(located("helm")))
    namespace = "apiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: {{ .Release.Namespace }}}\n"
    lay_out(
        workspace,
        {
            "chart/Chart.yaml": "apiVersion: v2\nname: cart\nversion: 1.0.0\nkubeVersion: '>=1.30.0-0'\n",
            "chart/values.yaml": "port: 80\n",
            "chart/templates/a.yaml": namespace % "a" + "spec: {ports: [{port: {{ .Values.port }}}]}\n",
            "chart/templates/tests/b.yaml": namespace % "b, annotations: {helm.sh/hook: test}",
        },
    )
    assert report(run, "chart", "-n", "shop")["summary"]["objects"] == 1
    lay_out(workspace, {"chart/templates/a.yaml": '{{ required "a port" .Values.nothing }}'})
    result = run("check", "chart")
    assert result.exit_code == 2
    assert "a port" in result.stderr


@pytest.fixture
def valued(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chart whose values decide which namespace is denied, rendered by helm itself, and values for it."""
    require("helm")
    monkeypatch.setenv("ISTIO_NETPOL_HELM", str(located("helm")))
    lay_out(
        workspace,
        {
            "chart/Chart.yaml": "apiVersion: v2\nname: cart\nversion: 1.0.0\n",
            "chart/values.yaml": "port: 80\nteam: {name: nobody}\n",
            "chart/templates/a.yaml": (
                "apiVersion: apps/v1\nkind: Deployment\n"
                "metadata: {name: {{ .Release.Name }}-{{ .Values.team.name }}-{{ .Values.port }}}\n"
                "spec: {selector: {}, template: {spec: {containers: []}}}\n"
            ),
            "prod.yaml": "port: 8080\nteam: {name: shop}\n",
            "more.yaml": "port: 9090\n",
        },
    )


@pytest.mark.parametrize(
    ("options", "name", "told"),
    [
        ([], "cart-nobody-80", "with the values of the chart itself, as release cart"),
        (
            ["--values", "prod.yaml"],
            "cart-shop-8080",
            "with prod.yaml over those of the chart, as release cart",
        ),
        (
            ["--values=prod.yaml", "--values=more.yaml"],
            "cart-shop-9090",
            "with prod.yaml, more.yaml over those",
        ),
        (
            ["--values", "prod.yaml", "--set", "port=1", "--set", "team.name=b"],
            "cart-b-1",
            "prod.yaml, --set over",
        ),
        (["--release", "blue"], "blue-nobody-80", "as release blue in namespace default"),
    ],
)
def test_a_chart_is_rendered_with_values_and_a_name(
    run: Run, valued: None, options: list[str], name: str, told: str
) -> None:
    """As helm takes them; what was done is said."""
    result = run("list", "chart", *options, "-f", "json")
    assert result.exit_code == 0, result.stderr
    peers = {connection["source"] for connection in json.loads(result.stdout)["connections"]}
    assert f"default/Deployment/{name}" in peers
    assert told in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["chart", "--values", "gone.yaml"], "File 'gone.yaml' does not exist."),
        (["chart", "--release", "Blue"], "'Blue' is not the name of a release; use at most 53 lower-case"),
        (["chart", "other", "--values", "prod.yaml"], "arguments: --values, --set and --release are for one "
         "chart, and there are chart, other; name the folder of one of them as PATH"),
    ],
)  # fmt: skip
def test_values_are_for_one_chart(
    run: Run, valued: None, workspace: Path, arguments: list[str], told: str
) -> None:
    """And mistakes are told before anything is judged."""
    lay_out(workspace, {"other/Chart.yaml": "apiVersion: v2\nname: other\nversion: 1.0.0\n"})
    result = run("check", *arguments, "--offline")
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in " ".join(result.stderr.split())


def test_values_without_a_chart_change_nothing(run: Run, valued: None) -> None:
    """Which is said."""
    result = run("check", "shop.yaml", "--values", "prod.yaml", "--offline")
    assert result.exit_code == 0
    assert "change nothing: there is no Helm chart in PATH" in result.stderr


def test_kustomize_itself_builds_overlays(
    run: Run, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a component, a patch from elsewhere and a generator whose files are not manifests."""
    require("kustomize")
    monkeypatch.setenv("ISTIO_NETPOL_KUSTOMIZE", str(located("kustomize")))
    lay_out(
        repository,
        {
            "parts/label/kustomization.yaml": (
                "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
                "patches: [{path: patch.yaml, target: {kind: Namespace}}]\n"
            ),
            "parts/label/patch.yaml": "- {op: add, path: /metadata/labels/team, value: shop}\n",
            "overlays/dev/kustomization.yaml": (
                "resources: [../../base]\nnameSuffix: -dev\ncomponents: [../../parts/label]\n"
                "configMapGenerator: [{name: settings, files: [app=settings.yaml]}]\n"
            ),
            "overlays/dev/settings.yaml": "a: {{ not YAML\n",
        },
    )
    assert inputs(run, "repo") == [("repo/overlays/dev", 4), ("repo/overlays/prod", 4)]
    assert "left out" not in run("check", "repo", "--offline").stderr


def test_charts_beside_others_are_inputs_of_their_own(run: Run, repository: Path) -> None:
    """A library is none: nothing comes of it."""
    lay_out(
        repository, {"charts/cart/Chart.yaml": "name: cart\n", "charts/lib/Chart.yaml": "type: library\n"}
    )
    assert ("repo/charts/cart", 2) in inputs(run, "repo")
    assert "note: repo/charts/lib is a library chart" in run("check", "repo", "--offline").stderr


def test_charts_below_a_folder_need_helm(run: Run, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is missing, everything else is judged, and what was not is said."""
    monkeypatch.setenv("PATH", str(workspace))
    lay_out(workspace, {"manifests/chart/Chart.yaml": "name: cart\n"})
    result = run("check", "manifests", "--offline")
    assert result.exit_code == 1
    assert (
        "note: manifests/chart is a Helm chart and helm is not installed: it is not judged" in result.stderr
    )


def test_what_is_no_object_is_left_out_with_one_remark(run: Run, workspace: Path) -> None:
    """Values, images and patches, among them two documents of one file."""
    lay_out(
        workspace,
        {
            "manifests/values.yaml": "replicas: 2\nimage: {tag: '1'}\n",
            "manifests/images.yaml": "images:\n- a\n---\nb: 1\n",
            "manifests/patch.json": '[{"op": "remove", "path": "/spec/replicas"}]',
        },
    )
    result = run("check", "manifests", "--offline", "-f", "json")
    assert json.loads(result.stdout)["summary"]["objects"] == 4
    assert [line for line in result.stderr.splitlines() if line.startswith("note:")] == [
        "note: 4 documents without apiVersion and kind are not Kubernetes objects and left out: "
        "manifests/images.yaml:1, manifests/images.yaml:4, manifests/patch.json:1 and 1 more"
    ]


@pytest.mark.parametrize(
    "text", ["kind: Deployment\n", "apiVersion: v1\ndata: {}\n", "metadata: {name: a, labels: {}}\n"]
)
def test_a_broken_object_is_not_left_out(run: Run, workspace: Path, text: str) -> None:
    """It was meant to be one."""
    lay_out(workspace, {"manifests/broken.yaml": text})
    result = run("check", "manifests", "--offline")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "manifests/broken.yaml:1" in result.stderr


@pytest.mark.parametrize(("name", "text"), [("values.yaml", "a: 1\n"), ("values.json", "[1]")])
def test_an_input_without_objects_is_an_error(run: Run, workspace: Path, name: str, text: str) -> None:
    """Nothing was checked, so nothing is fine."""
    lay_out(workspace, {f"none/{name}": text})
    for command in ("check", "list", "generate"):
        result = run(command, "none")
        assert result.exit_code == 2
        assert result.stderr.splitlines()[-2:] == [
            "none: holds no Kubernetes objects; name manifests with apiVersion and kind",
            "nothing was done",
        ]


NOWHERE = SHOP.replace(", namespace: shop", "")


def test_objects_of_which_nothing_is_read_are_objects(run: Run, workspace: Path) -> None:
    """A ConfigMap of an application, a CustomResourceDefinition without a webhook."""
    lay_out(
        workspace,
        {
            "quiet/settings.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app, namespace: a}\n",
            "quiet/crd.yaml": (
                "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
                "metadata: {name: carts.example.com}\nspec: {group: example.com}\n"
            ),
        },
    )
    assert run("check", "quiet", "--offline").exit_code == 0


def test_objects_of_no_namespace_are_judged_in_default(run: Run, workspace: Path) -> None:
    """One assumption says so, whatever their number, and is part of the report."""
    lay_out(workspace, {"rendered.yaml": NOWHERE, "deny.yaml": DENY_ALL})
    result = run("check", "rendered.yaml", "deny.yaml", "--offline")
    assert result.exit_code == 0
    assert result.stdout.count("no namespace") == 1
    assert (
        "  - 2 objects name no namespace, Deployment cart (rendered.yaml:7), Deployment db "
        "(rendered.yaml:18): assumed namespace default, in which they are judged; -n NAME names another\n"
    ) in result.stdout


def test_the_namespace_of_objects_can_be_named(run: Run, workspace: Path) -> None:
    """There the same objects are denied what they need."""
    lay_out(workspace, {"rendered.yaml": NOWHERE, "deny.yaml": DENY_ALL})
    found = report(run, "rendered.yaml", "deny.yaml", "-n", "shop")
    assert {finding["object"]["namespace"] for finding in found["findings"]} == {"shop"}
    assert "no namespace" not in run("check", "rendered.yaml", "-n", "shop", "--offline").stdout
    explained = run(
        "explain", "rendered.yaml", "deny.yaml", "-n", "shop", "--from", "shop/cart", "--to", "shop/db:5432"
    )
    assert explained.exit_code == 1
    listed = run("list", "rendered.yaml", "-n", "shop").stdout
    assert "shop/Deployment/cart" in listed
    assert "default/" not in listed


def test_an_explicit_namespace_wins(run: Run, workspace: Path) -> None:
    """And what belongs to no namespace keeps to none."""
    found = json.loads(run("list", "manifests", "-n", "elsewhere", "-f", "json").stdout)
    names = {row["source"] for row in found["connections"]} | {
        row["destination"] for row in found["connections"]
    }
    assert not any(name.startswith("elsewhere/") for name in names)


def test_other_commands_say_which_namespace_they_took(run: Run, workspace: Path) -> None:
    """On standard error."""
    lay_out(workspace, {"rendered.yaml": NOWHERE})
    for command in ("list", "generate"):
        assert "note: 2 objects name no namespace" in run(command, "rendered.yaml").stderr
    compared = run("diff", "rendered.yaml", "shop.yaml", "--offline")
    assert compared.stderr.count("note: 2 objects name no namespace") == 1
    same = run("diff", "rendered.yaml", "shop.yaml", "-n", "shop", "--offline", "-f", "json")
    assert json.loads(same.stdout)["lost"] == json.loads(same.stdout)["gained"] == []


@pytest.mark.parametrize("name", ["", "Shop", "a.b", "x" * 64])
def test_a_name_that_no_namespace_has_is_refused(run: Run, name: str) -> None:
    """An empty variable of a script, for instance."""
    result = run("check", "manifests", "-n", name)
    assert result.exit_code == 2
    assert "is not the name of a namespace" in result.stderr


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("b.yaml", ["a.yaml", "deep/c.yaml"]),
        ("/b.yaml", ["a.yaml", "deep/b.yaml", "deep/c.yaml"]),
        ("deep/", ["a.yaml", "b.yaml"]),
        ("deep", ["a.yaml", "b.yaml"]),
        ("deep/*.yaml", ["a.yaml", "b.yaml"]),
        ("**/b.yaml", ["a.yaml", "deep/c.yaml"]),
        ("deep/**", ["a.yaml", "b.yaml"]),
        ("[ab].yaml", ["deep/c.yaml"]),
        ("?.yaml", []),
        ("[!a].yaml", ["a.yaml"]),
        ("b.yaml/", ["a.yaml", "b.yaml", "deep/b.yaml", "deep/c.yaml"]),
    ],
)
@pytest.mark.parametrize("in_a_file", [False, True])
def test_files_are_left_out_by_patterns(
    run: Run, workspace: Path, pattern: str, left: list[str], in_a_file: bool
) -> None:
    """On the command line, or in the folder's own ignore file."""
    files = ("a.yaml", "b.yaml", "deep/b.yaml", "deep/c.yaml")
    namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: n%d}\n"
    lay_out(workspace, {f"some/{file}": namespace % number for number, file in enumerate(files)})
    lay_out(workspace, {"other.yaml": namespace % 9})
    if in_a_file:
        lay_out(workspace, {"some/.istio-netpolignore": f"# not ours\n\n{pattern}\n"})
    arguments = () if in_a_file else ("--exclude", pattern)
    if not left:
        assert "some: no manifests found that are not excluded" in run("check", "some", *arguments).stderr
        return
    assert report(run, "some", "other.yaml", *arguments)["summary"]["objects"] == len(left) + 1


def test_an_exclusion_can_be_taken_back(run: Run, workspace: Path) -> None:
    """The last pattern that matches decides."""
    lay_out(workspace, {"manifests/values.yaml": "{{ broken", "manifests/values-b.yaml": "{{ broken"})
    lay_out(workspace, {"manifests/.istio-netpolignore": "values*\n!values-b.yaml\n"})
    assert "values-b.yaml" in run("check", "manifests").stderr
    assert report(run, "manifests", "--exclude", "values-b.yaml")["summary"]["objects"] == 4


@pytest.mark.parametrize(
    "text",
    [
        'apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: "${NAMESPACE}"}\n',
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: '${PORT}'}]}\n",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, labels: {app: '${APP:-shop}'}}\n",
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n"
        "spec: {hosts: ['${HOST}']}\n",
        "apiVersion: v1\nkind: ${KIND}\nmetadata: {name: a}\n",
        "apiVersion: apps/${VERSION}\nkind: Deployment\nmetadata: {name: a}\n",
    ],
)
def test_variables_are_recognised(run: Run, workspace: Path, text: str) -> None:
    """In names, numbers, labels and lists, each with the program that fills them in."""
    lay_out(workspace, {"a.yaml": text})
    result = run("check", "a.yaml", "--offline")
    assert result.exit_code == 2
    (problem,) = result.stderr.splitlines()[:-1]
    assert "is not filled in; this looks like a variable for envsubst; fill it in first: " in problem


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": {{ .x }}}}', "looks like a Helm template"),
        ('{"apiVersion": "v1",\n"kind": "Pod", "spec": ${SPEC}}', "looks like a variable for envsubst"),
    ],
)
def test_placeholders_in_json_are_recognised(run: Run, workspace: Path, text: str, hint: str) -> None:
    """Where it breaks over them."""
    lay_out(workspace, {"a.json": text})
    assert hint in run("check", "a.json").stderr


@pytest.mark.parametrize("text", ['{{ template "a" . }}\n', "{{ if .x }}\n---\n# nothing\n"])
def test_a_document_of_nothing_but_a_template_is_a_problem(run: Run, workspace: Path, text: str) -> None:
    """Objects come of it once it is rendered."""
    lay_out(workspace, {"manifests/a.yaml": text})
    result = run("check", "manifests")
    assert result.exit_code == 2
    assert "this looks like a Helm template; render it first" in result.stderr


def test_templates_are_recognised(run: Run, workspace: Path) -> None:
    """In quotes, where YAML takes them."""
    text = "apiVersion: v1\nkind: Service\nmetadata: {name: '{{ .Release.Name }}'}\n"
    lay_out(workspace, {"a.yaml": text})
    assert "is not filled in; this looks like a Helm template; render it first: helm template" in (
        run("check", "a.yaml").stderr
    )


def test_the_injector_may_have_templates(run: Run, workspace: Path) -> None:
    """What istiod fills in itself is no mistake."""
    text = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio-sidecar-injector, namespace: istio-system}\n"
        "data:\n  config: |\n    templates:\n      sidecar: |\n        {{ .Values.x }} ${HOME}\n"
        "  values: '{}'\n"
    )
    lay_out(workspace, {"injector.yaml": text})
    assert run("check", "injector.yaml", "--offline").exit_code == 0


@pytest.mark.parametrize(
    ("version", "kind", "sentence"),
    [
        ("extensions/v1beta1", "Deployment", "1.16, so that the object is refused, and it is not judged; use "
         "apps/v1"),
        ("extensions/v1beta1", "NetworkPolicy", "and it is not judged; use networking.k8s.io/v1"),
        ("extensions/v1beta1", "Ingress", "since Kubernetes 1.22"),
        ("networking.k8s.io/v1beta1", "Ingress", "since Kubernetes 1.22"),
        ("apps/v1beta2", "Deployment", "is refused, and it is judged as apps/v1 would be"),
        ("batch/v1beta1", "CronJob", "since Kubernetes 1.25"),
        ("authentication.istio.io/v1alpha1", "Policy", "since Istio 1.6, so that the object is refused, and "
         "it is not judged; use PeerAuthentication and RequestAuthentication of security.istio.io/v1"),
        ("config.istio.io/v1alpha2", "handler", "since Istio 1.8"),
        ("rbac.istio.io/v1alpha1", "ServiceRole", "use AuthorizationPolicy of security.istio.io/v1"),
        ("networking.x-k8s.io/v1alpha1", "HTTPRoute", "since Gateway API 0.4"),
        ("gateway.networking.k8s.io/v1alpha2", "HTTPRoute", "since Gateway API 0.6"),
    ],
)  # fmt: skip
def test_versions_that_are_not_served_are_named(
    run: Run, workspace: Path, version: str, kind: str, sentence: str
) -> None:
    """As findings of check, and as notes of the others."""
    pods = "template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: c}]}}"
    selected = f"selector: {{matchLabels: {{a: b}}}}, {pods}"
    spec = f"jobTemplate: {{spec: {{{pods}}}}}" if kind == "CronJob" else selected
    head = f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a, namespace: x}}\n"
    lay_out(workspace, {"a.yaml": f"{head}spec: {{{spec}}}\n"})
    (finding,) = report(run, "a.yaml")["findings"]
    assert (finding["rule"], finding["severity"]) == ("removed-api", "warning")
    assert (finding["object"]["apiVersion"], finding["object"]["line"]) == (version, 1)
    assert sentence in finding["message"]
    assert f"note: {kind} x/a: {version} is not served" in run("list", "a.yaml").stderr
