"""The programs that the tests run are the ones that are pinned."""

from __future__ import annotations

import re
import subprocess

import pytest
from tests.cluster.fixtures import require
from tests.tools.programs import PINS, PROGRAMS, Program, located

ASKED = {
    "argocd": ["version", "--client"],
    "kubectl": ["version", "--client"],
    "kustomize": ["version"],
    "helm": ["version"],
    "istioctl": ["version", "--remote=false"],
    "pilot-agent": ["version"],
    "pilot-discovery": ["version"],
}
"""How to ask for the version where it is not `--version`."""

SILENT = {"kustomize-controller", "promtool"}
"""Programs that are told their version as their makers build them; of others Go knows the modules."""


WRAPPED = {"miniredis": "github.com/alicebob/miniredis/v2"}
"""The library that a program of our own serves."""


def pinned_release(program: Program) -> str:
    """The major and minor version of the module that has the program."""
    modules = re.findall(
        r"^\s*(?:require )?(\S+) v(\d+\.\d+)\.\d", (PINS / program.pin / "go.mod").read_text(), re.MULTILINE
    )
    package = WRAPPED.get(program.name, program.package)
    (release,) = {release for module, release in modules if f"{package}/".startswith(f"{module}/")}
    return str(release)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_every_program_runs_and_is_the_pinned_release(program: Program) -> None:
    """What the tests say of Kubernetes or Helm, they say of this release; assets of an older one may
    differ."""
    require(program.name)
    file = str(located(program.name))
    command = (
        ["go", "version", "-m", file]
        if program.name in SILENT
        else [file, *ASKED.get(program.name, ["--version"])]
    )
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.search(rf"\bv?{re.escape(pinned_release(program))}\b", done.stdout)
