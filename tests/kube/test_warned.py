"""What a person does with a warning of kubectl: types the command that it ends with."""

from __future__ import annotations

import re
import shlex

import pytest
import yaml
from tests.cluster.control_plane import ControlPlane
from tests.kube.manifests import deployment
from tests.kube.test_admission import denied_namespace
from tests.kube.test_commands import run

pytestmark = pytest.mark.usefixtures("webhook")

REMEDY = re.compile(r"^Warning: (.*) Remedy: istio-netpol (.*)$", re.MULTILINE)


def test_the_command_of_a_warning_prints_what_makes_it_go_away(
    control_plane: ControlPlane,
) -> None:
    """Each warning arrives whole and names the connection; its command, with the context that kubectl uses,
    says that it is denied and prints policies. Once those are applied it says that it is allowed, and the
    next apply warns of nothing."""
    namespace = denied_namespace(control_plane, "warn")
    kubectl = control_plane.kubectl()
    warned = kubectl.apply(deployment("web", namespace))
    assert warned.code == 0
    found = REMEDY.findall(warned.stderr)
    assert len(found) == 3, warned.stderr
    commands = [[*shlex.split(command), "--offline"] for _, command in found]
    policies = []
    for (sentence, command), arguments in zip(found, commands, strict=True):
        assert len(f"{sentence} Remedy: istio-netpol {command}") <= 256
        assert f"Deployment {namespace}/web: egress to Deployment " in sentence
        explained = run(control_plane, *arguments, "-f", "json")
        assert explained.returncode == 1, explained.stderr
        policies += yaml.safe_load(explained.stdout)["remedy"]
    assert kubectl.apply(*policies).code == 0
    assert {run(control_plane, *arguments).returncode for arguments in commands} == {0}
    assert kubectl("delete", "deployment", "web", "--namespace", namespace).code == 0
    quiet = kubectl.apply(deployment("web", namespace))
    assert (quiet.code, quiet.stderr) == (0, "")


def test_where_names_are_too_long_the_command_for_the_namespace_stands_there(
    control_plane: ControlPlane,
) -> None:
    """It prints the same policies among all that the namespace lacks."""
    namespace = denied_namespace(control_plane, "warn")
    kubectl = control_plane.kubectl()
    name = "a-very-long-name-" * 11 + "web"
    manifest = deployment("web", namespace)
    manifest["metadata"]["name"] = name
    warned = kubectl.apply(manifest)
    assert warned.code == 0, warned.stderr
    found = REMEDY.findall(warned.stderr)
    assert {command for _, command in found} == {f"generate -n {namespace}"}, warned.stderr
    assert all(" is denied [" in sentence for sentence, _ in found)
    printed = run(control_plane, *shlex.split(found[0][1]), "--offline")
    assert printed.returncode == 0, printed.stderr
    policies = [document for document in yaml.safe_load_all(printed.stdout) if document]
    assert {policy["metadata"]["namespace"] for policy in policies} == {namespace}
    assert kubectl.apply(*policies).code == 0
    assert kubectl("delete", "deployment", name, "--namespace", namespace).code == 0
    quiet = kubectl.apply(manifest)
    assert quiet.code == 0
    assert "istio-netpol" not in quiet.stderr
