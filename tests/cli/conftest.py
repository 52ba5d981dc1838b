"""The workspace that commands run in."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.cli.workspace import Run, install, lay_out

from istio_netpol.cli.main import program


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the manifests of the examples; the tester's own environment does not count."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    lay_out(folder)
    monkeypatch.chdir(folder)
    for name in [name for name in os.environ if name.startswith("ISTIO_NETPOL_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    return folder


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in front of PATH with istio-netpol, kubectl and kustomize."""
    folder = tmp_path / "bin"
    folder.mkdir()
    install(folder)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folder for folder in sys.path if folder))
    return folder


@pytest.fixture
def run(workspace: Path) -> Run:
    """Runs istio-netpol in this process, without DNS."""

    def invoke(*arguments: str, stdin: str = "", **environment: str) -> Result:
        return CliRunner().invoke(program, arguments, input=stdin, env=environment, prog_name="istio-netpol")

    return invoke
