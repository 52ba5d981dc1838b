"""Which cluster is meant, and what is said where none is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cli.workspace import Run

from istio_netpol.errors import SettingsError
from istio_netpol.kube.kubeconfig import KubeContext, find_context, has_cluster


def write(path: Path, current: str = "", **namespaces: str) -> Path:
    """A kubeconfig with contexts, each with its namespace; an empty one says none."""
    contexts: list[dict[str, Any]] = [
        {"name": name, "context": {"cluster": "c", **({"namespace": namespace} if namespace else {})}}
        for name, namespace in namespaces.items()
    ]
    content = {"apiVersion": "v1", "kind": "Config", "contexts": contexts}
    path.write_text(yaml.safe_dump(content | ({"current-context": current} if current else {})))
    return path


@pytest.fixture(autouse=True)
def home(workspace: Path) -> Path:
    """The workspace's fixture takes the tester's own kubeconfig away."""
    return workspace


def test_the_current_context_or_the_one_that_is_named(home: Path) -> None:
    """With its namespace, or `default`."""
    file = str(write(home / "k", "prod", prod="shop", dev=""))
    assert find_context(file) == KubeContext("prod", "shop")
    assert find_context(file, "dev") == KubeContext("dev", "default")


def test_files_of_the_variable_are_joined(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first that says something counts; one that is not there is left out."""
    first, second = write(home / "a", "", prod="shop"), write(home / "b", "prod", prod="bank", dev="crm")
    monkeypatch.setenv("KUBECONFIG", f"{home / 'gone'}:{first}:{second}")
    assert find_context() == KubeContext("prod", "shop")
    assert find_context("", "dev") == KubeContext("dev", "crm")


def test_without_the_variable_it_is_the_users_own(home: Path) -> None:
    """`~/.kube/config`."""
    assert not has_cluster()
    folder = Path.home() / ".kube"
    folder.mkdir()
    write(folder / "config", "prod", prod="shop")
    assert has_cluster()
    assert find_context() == KubeContext("prod", "shop")


@pytest.mark.parametrize(
    ("text", "context", "sentence"),
    [
        ("a: [", "", "k: is not a kubeconfig: it is not valid YAML; check --kubeconfig and KUBECONFIG"),
        ("[1]", "", "k: is not a kubeconfig: it is not a mapping; check --kubeconfig and KUBECONFIG"),
        ("", "", "k: has no contexts, so that it names no cluster; check --kubeconfig and "
         "KUBECONFIG"),
        ("contexts: [{name: prod}]", "", "k: has no current context; name one with --context, of prod"),
        ("contexts: [{name: prod}]", "prd", "k: has no context prd; did you mean prod?"),
        ("contexts: [{name: prod}]", "x", "k: has no context x; its contexts: prod"),
        ("contexts: [1, {name: 2}, {name: a, context: 3}]\ncurrent-context: [a]", "b", "k: has no context b; "
         "its contexts: a"),
    ],
)  # fmt: skip
def test_a_kubeconfig_that_can_not_be_used_is_one_sentence(
    home: Path, text: str, context: str, sentence: str
) -> None:
    """Whatever stands in it."""
    (home / "k").write_text(text)
    with pytest.raises(SettingsError) as caught:
        find_context("k", context)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["check"], "Error: there is nothing to read: name a PATH (- for standard input), or a cluster by"),
        (["dump"], "Error: there is no cluster to read: name a cluster by --context or a kubeconfig"),
        (["check", "--context", "a"], "there is no kubeconfig: "),
        (["check", "--kubeconfig", "gone"], "gone: the kubeconfig can't be read: No such file or directory"),
        (["diff", "shop.yaml"], "Error: there is nothing to compare shop.yaml with: name OLD before it, or"),
    ],
)
def test_where_there_is_no_cluster_one_error_says_what_to_name(
    run: Run, arguments: list[str], sentence: str
) -> None:
    """And exit code 2."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1].startswith(sentence)


def test_standard_input_is_read_for_a_dash_only(run: Run, home: Path) -> None:
    """Whoever pipes something in is told so before the cluster is asked."""
    write(home / "k", "prod", prod="shop")
    assert "name a PATH (- for standard input)" in run("check", stdin="a: b").stderr


@pytest.mark.parametrize("command", ["check", "doctor", "dump"])
def test_credentials_that_no_program_brings_are_told(workspace: Path, run: Run, command: str) -> None:
    """The program is not installed, say: nobody is asked without credentials instead."""
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "gone-auth-plugin"}}
    content = {
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": user}],
    }
    (workspace / "k").write_text(yaml.safe_dump(content))
    result = run(command, "--kubeconfig", "k")
    assert result.exit_code == 2
    told = result.stderr.splitlines()[-1]
    assert told.startswith("no credentials for the cluster: ")
    assert "'gone-auth-plugin'; the program that the kubeconfig names at users[].user.exec" in told
    assert "ERROR" not in result.stderr
