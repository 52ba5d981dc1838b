"""Renders a Helm chart with `helm template`: with its own values, and without a cluster or the network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from istio_netpol.bundle.external import output_of, program_at
from istio_netpol.errors import ToolError
from istio_netpol.model.json_values import JsonObject

CHART_FILE = "Chart.yaml"
"""What makes a folder a Helm chart."""

PROGRAM_VARIABLE = "ISTIO_NETPOL_HELM"
"""The environment variable that names the program."""

KUBERNETES_VERSION = "1.36.0"
"""What charts are told that they are for. Without it helm says the version that it was built with, and charts
write API versions for that."""

_RELEASE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LONGEST_RELEASE_NAME = 53


class Helm(Struct, frozen=True):
    """How charts are rendered: `program` as named by the user, empty to look for one; `timeout` in seconds.

    `values` are files of values and `sets` single ones, `KEY=VALUE`, over those of the chart; `release` is
    called like the chart where it is empty.
    """

    program: str = ""
    timeout: float = 120.0
    values: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    release: str = ""

    @property
    def is_for_one_chart(self) -> bool:
        """Whether the user said something that can be meant for a single chart only."""
        return bool(self.values or self.sets or self.release)

    @property
    def sources_of_values(self) -> str:
        """Describes where values come from."""
        own = (*self.values, *(["--set"] if self.sets else []))
        return f"{', '.join(own)} over those of the chart" if own else "the values of the chart itself"

    def release_of(self, chart: Path) -> str:
        """The name of a chart's release."""
        return self.release or release_name(chart)

    @property
    def path(self) -> str | None:
        """The path of the program; None where it is not installed."""
        return program_at(self.program or "helm")

    def render(self, chart: Path, namespace: str) -> bytes:
        """The manifests of a release of the chart. Raises ToolError."""
        path = self.path
        if path is None:
            raise ToolError(f"{self.program}, which {PROGRAM_VARIABLE} names, is not a program")
        release = [self.release_of(chart), str(chart), "--namespace", namespace]
        options = ["--kube-version", KUBERNETES_VERSION, "--skip-tests"]
        options += [f"--values={file}" for file in self.values] + [f"--set={value}" for value in self.sets]
        return output_of([path, "template", *release, *options], self.timeout)


def release_name(chart: Path) -> str:
    """The chart's own name where a release may be called so."""
    name = str(_description(chart).get("name"))
    return name if is_release_name(name) else "release"


def is_release_name(name: str) -> bool:
    """Whether a release may be called so."""
    return len(name) <= _LONGEST_RELEASE_NAME and _RELEASE_NAME.fullmatch(name) is not None


def is_library(chart: Path) -> bool:
    """Whether the chart only lends templates to others, so that nothing comes of rendering it."""
    return _description(chart).get("type") == "library"


def _description(chart: Path) -> JsonObject:
    """Chart.yaml; empty where helm, which reads it as well, says what is wrong."""
    try:
        content: Any = yaml.safe_load((chart / CHART_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}
