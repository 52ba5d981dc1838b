"""The chart as helm renders it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from tests.tools.programs import located

CHART = Path(__file__).parents[2] / "charts" / "istio-netpol"
RELEASE = "istio-netpol"
NAMESPACE = "istio-netpol"
KUBERNETES = "1.36.0"
"""A helm that was built from source does not know for which version it renders."""

Manifest = dict[str, Any]


def run_helm(
    *arguments: str | Path, stdin: str = "", home: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs helm with nothing of the tester's own; the caller judges the exit code."""
    program = located("helm")
    assert program is not None, "helm is not built"
    command = [str(program), *map(str, arguments)]
    folder = str(home or "/nonexistent")
    environment = {"HOME": folder, "HELM_CACHE_HOME": folder, "HELM_CONFIG_HOME": folder}
    return subprocess.run(
        command, env=environment, input=stdin, capture_output=True, text=True, timeout=120, check=False
    )


def try_to_render(values: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
    """`helm template` with these values, which helm may refuse."""
    options = ("--namespace", NAMESPACE, "--kube-version", KUBERNETES, "--values", "-")
    return run_helm("template", RELEASE, CHART, *options, stdin=json.dumps(values))


def render(values: Mapping[str, Any] | None = None) -> str:
    """The manifests, as text."""
    done = try_to_render(values or {})
    assert done.returncode == 0, done.stderr
    return done.stdout


def manifests(values: Mapping[str, Any] | None = None) -> list[Manifest]:
    """The manifests, as objects, in the order in which helm installs them."""
    return [manifest for manifest in yaml.load_all(render(values), yaml.CSafeLoader) if manifest]


def of_kind(objects: list[Manifest], kind: str) -> list[Manifest]:
    """Those of one kind."""
    return [manifest for manifest in objects if manifest["kind"] == kind]


def plural(kind: str) -> str:
    """As the API spells it."""
    if kind.endswith("ss"):
        return f"{kind.lower()}es"
    ends_in_ies = kind.endswith("y") and kind[-2] not in "aeiou"
    return kind.lower().removesuffix("y") + "ies" if ends_in_ies else f"{kind.lower()}s"
