"""PATH arguments: what is read, what is left out, and what is said of what can't be read."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.cli.workspace import DENY_ALL, KUSTOMIZE, SHOP, Run, program


def objects(run: Run, *arguments: str, stdin: str = "", **environment: str) -> int:
    result = run("check", *arguments, "--offline", "-f", "json", stdin=stdin, **environment)
    assert result.exit_code != 2, result.stderr
    return int(json.loads(result.stdout)["summary"]["objects"])


def problems(run: Run, *arguments: str, stdin: str = "", **environment: str) -> list[str]:
    result = run("check", *arguments, "--offline", stdin=stdin, **environment)
    assert (result.exit_code, result.stdout) == (2, "")
    return result.stderr.splitlines()


def test_folders_are_read_recursively(run: Run, workspace: Path) -> None:
    """YAML under both suffixes, and JSON."""
    (workspace / "all/deep").mkdir(parents=True)
    (workspace / "all/deep/a.yml").write_text(SHOP)
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "a"},
        "spec": {},
    }
    (workspace / "all/b.json").write_text(json.dumps(policy))
    (workspace / "all/notes.txt").write_text("not: [yaml")
    assert objects(run, "all") == 4


def test_hidden_files_and_folders_are_left_out(run: Run, workspace: Path) -> None:
    """Editors and git keep their own YAML there."""
    (workspace / "manifests/.git").mkdir()
    (workspace / "manifests/.git/x.yaml").write_text("broken: [")
    (workspace / "manifests/.swap.yaml").write_text("broken: [")
    assert objects(run, "manifests") == 4


def test_a_loop_of_links_ends(run: Run, workspace: Path) -> None:
    """A link to the folder above is not followed again."""
    (workspace / "manifests/loop").symlink_to(workspace / "manifests", target_is_directory=True)
    assert objects(run, "manifests") == 4


def test_overlapping_arguments_are_read_once(run: Run) -> None:
    """Else every object would be there twice."""
    assert objects(run, "manifests", "manifests/shop.yaml", "manifests") == 4


def test_standard_input_is_a_dash(run: Run) -> None:
    """Together with files."""
    assert objects(run, "shop.yaml", "-", stdin=DENY_ALL) == 4


def test_a_named_pipe_is_read(run: Run, workspace: Path) -> None:
    """As `<(helm template …)` in a shell is one."""
    reader, writer = os.pipe()
    os.write(writer, SHOP.encode())
    os.close(writer)
    assert objects(run, f"/dev/fd/{reader}") == 3
    os.close(reader)


def test_all_problems_of_all_files_are_told_at_once(run: Run, workspace: Path) -> None:
    """Sorted by file, and counted."""
    (workspace / "bad.yaml").write_text("kind: Deployment\nmetadata: {name: a}\n")
    assert problems(run, "gone.yaml", "bad.yaml", "shop.yaml") == [
        "bad.yaml:1: Deployment a: apiVersion: is missing; "
        "every Kubernetes object names its apiVersion and kind",
        "gone.yaml: does not exist; check the path",
        "2 problems; nothing was done",
    ]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n---\n"])
def test_an_empty_file_is_a_problem(run: Run, workspace: Path, text: str) -> None:
    """Whoever names it expects that something is checked."""
    (workspace / "empty.yaml").write_text(text)
    assert problems(run, "empty.yaml") == ["empty.yaml: holds no objects; name manifests", "nothing was done"]


def test_an_empty_file_among_others_is_none(run: Run, workspace: Path) -> None:
    """A folder may hold one."""
    (workspace / "manifests/empty.yaml").write_text("# later\n")
    assert objects(run, "manifests") == 4


def test_empty_standard_input_is_a_problem(run: Run) -> None:
    """The command before the pipe failed, probably."""
    assert problems(run, "-") == ["<stdin>: holds no objects; name manifests", "nothing was done"]


def test_a_folder_without_manifests_is_a_problem(run: Run, workspace: Path) -> None:
    """A typo would otherwise pass every check."""
    (workspace / "docs").mkdir()
    (workspace / "docs/readme.md").write_text("hello")
    assert problems(run, "docs")[0] == "docs: no manifests found; looked for *.yaml, *.yml, *.json"


def test_a_helm_chart_without_helm_is_a_problem(run: Run, workspace: Path) -> None:
    """Templates are no manifests; the message says how to get some."""
    (workspace / "chart").mkdir()
    (workspace / "chart/Chart.yaml").write_text("name: a\n")
    assert problems(run, "chart", PATH=str(workspace))[0] == (
        "chart: is a Helm chart, whose templates are not manifests yet; "
        "install helm, or render it: helm template chart | istio-netpol … -"
    )


def test_a_broken_link_is_a_problem(run: Run, workspace: Path) -> None:
    """What it pointed to may have been a policy."""
    (workspace / "manifests/gone.yaml").symlink_to("nowhere.yaml")
    assert problems(run, "manifests")[0] == "manifests/gone.yaml: does not exist; check the path"


@pytest.mark.parametrize("command", ["check", "generate", "list"])
def test_nothing_to_read_is_a_usage_error(run: Run, command: str) -> None:
    """Without PATH, and without a cluster to read in its place."""
    result = run(command)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == (
        "Error: there is nothing to read: name a PATH (- for standard input), or a cluster by --context or a "
        "kubeconfig (--kubeconfig, KUBECONFIG, ~/.kube/config)"
    )


def test_an_overlay_is_built(run: Run, workspace: Path) -> None:
    """By the program that the variable names; objects point to the kustomization, without a line."""
    kustomize = str(program(workspace / "my kustomize", KUSTOMIZE))
    result = run("check", "overlays/prod", "--offline", "-f", "json", ISTIO_NETPOL_KUSTOMIZE=kustomize)
    place = json.loads(result.stdout)["findings"][0]["object"]
    assert (place["file"], place["line"]) == ("overlays/prod/kustomization.yaml", 0)


def test_an_overlay_below_a_folder_is_built_too(run: Run, workspace: Path) -> None:
    """And what lies in it is not read as it stands."""
    kustomize = str(program(workspace / "kustomize", KUSTOMIZE))
    assert objects(run, "overlays", ISTIO_NETPOL_KUSTOMIZE=kustomize) == 4
    assert objects(run, "overlays/prod/kustomization.yaml", ISTIO_NETPOL_KUSTOMIZE=kustomize) == 4


def test_a_failed_build_is_a_problem_among_others(run: Run, workspace: Path) -> None:
    """With the first line of what kustomize complained about."""
    code = "import sys\nsys.exit('# Warning: old\\nError: no such file: base\\nmore')\n"
    kustomize = str(program(workspace / "kustomize", code))
    assert problems(run, "overlays/prod", "gone.yaml", ISTIO_NETPOL_KUSTOMIZE=kustomize) == [
        "gone.yaml: does not exist; check the path",
        f"overlays/prod: {kustomize} build overlays/prod failed: no such file: base",
        "2 problems; nothing was done",
    ]


def test_a_kustomize_that_is_none_is_a_problem(run: Run) -> None:
    """The variable has a typo."""
    assert problems(run, "overlays/prod", ISTIO_NETPOL_KUSTOMIZE="/nowhere/kustomize")[0] == (
        "overlays/prod: /nowhere/kustomize, which ISTIO_NETPOL_KUSTOMIZE names, is not a program"
    )


def test_an_empty_path_is_no_folder(run: Run) -> None:
    """A script's variable was empty; the current folder is not what it meant."""
    assert problems(run, "") == ["arguments: a PATH is empty; use . for this folder", "nothing was done"]


def test_a_device_is_not_read(run: Run) -> None:
    """Some of them never end."""
    assert problems(run, "/dev/zero")[0] == (
        "/dev/zero: is a device; name a file or a folder, or - for standard input"
    )


def test_what_follows_a_json_object_is_told(run: Run, workspace: Path) -> None:
    """Half a file was appended."""
    text = '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}} trailing'
    (workspace / "pod.json").write_text(text)
    assert (
        problems(run, "pod.json")[0]
        == "pod.json:1: is not valid JSON: what follows the object is not an object"
    )


def test_the_same_object_in_a_file_and_an_overlay_names_both(run: Run, workspace: Path) -> None:
    """Without the line of the build, which nobody could find, where the two are not alike."""
    (workspace / "shop.yaml").write_text(SHOP.replace("istio-injection: enabled", "other: label"))
    kustomize = str(program(workspace / "kustomize", KUSTOMIZE))
    assert problems(run, "shop.yaml", "overlays", ISTIO_NETPOL_KUSTOMIZE=kustomize)[0] == (
        "overlays/prod/kustomization.yaml: Namespace shop: is the same object as the one at shop.yaml:1; "
        "keep one of them"
    )


def test_the_same_object_twice_counts_once(run: Run, workspace: Path) -> None:
    """Whoever applies it twice has it once."""
    (workspace / "again.yaml").write_text(SHOP + DENY_ALL)
    result = run("check", "manifests", "again.yaml", "--offline", "-f", "json")
    report = json.loads(result.stdout)
    assert report["summary"]["objects"] == 4
    assert {tuple(finding["denied"]["egress"]) for finding in report["findings"]} == {("shop/default-deny",)}
