"""Istio's own charts of several minor versions, out of its Go module; rendered once, and kept in `build/`."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.bundle.istio_manifests import decoded
from tests.cluster.fixtures import do_without, require, require_go
from tests.tools.programs import CACHE, PINS, located

MODULE = "istio.io/istio"
RENDERED = CACHE.parent / "istio-charts"


@dataclass(frozen=True, slots=True)
class Release:
    """A version of Istio: that of its Go module, and the checksum of what it holds."""

    version: str
    checksum: str


RELEASES = {
    "1.27.9": Release(
        "v0.0.0-20260403063052-b9159ca3e5d5", "h1:7jPkixzr2Ye4hEWCQgKSp4a50itfep8rDIsczwEHH78="
    ),
    "1.28.2": Release(
        "v0.0.0-20251217200826-ab413ac6c1f4", "h1:ZjvJ/8XwORLRdv0CBMQ5N8fLnw9FUP01CShxrB58fcQ="
    ),
    "1.29.1": Release(
        "v0.0.0-20260306174214-6991a379e1fc", "h1:/cuKTtCeZxShA9tOz6N0QwNraftSlel9bqOvMNune94="
    ),
}
"""Releases that the Go module proxy has; it has none of 1.30. What `tests/tools/istio` pins is 1.31."""

PINNED = "1.31"
VERSIONS = (*RELEASES, PINNED)


@dataclass(frozen=True, slots=True)
class Chart:
    """A release of a chart, as `helm template` makes it."""

    release: str
    folder: str
    namespace: str = "istio-system"
    values: tuple[str, ...] = ()


def istiod(*values: str) -> Chart:
    """istiod, with `--set` for each value."""
    return Chart("istiod", "istio-control/istio-discovery", values=values)


def gateway(release: str, namespace: str, *values: str) -> Chart:
    """A release of the `gateway` chart."""
    return Chart(release, "gateway", namespace, values)


CNI = Chart("istio-cni", "istio-cni")
INGRESS = Chart("istio-ingressgateway", "gateways/istio-ingress")
EGRESS = Chart("istio-egressgateway", "gateways/istio-egress")
ZTUNNEL = Chart("ztunnel", "ztunnel")


def gateway_chart(release: str, namespace: str = "istio-system", *values: str) -> tuple[Any, ...]:
    """The objects of a release of the newest `gateway` chart."""
    return rendered(PINNED, [gateway(release, namespace, *values)])


def rendered(version: str, charts: Sequence[Chart]) -> tuple[Any, ...]:
    """The objects of these charts of a version of Istio."""
    return tuple(document for chart in charts for document in _rendered(version, chart))


@cache
def _rendered(version: str, chart: Chart) -> tuple[Any, ...]:
    return decoded(manifests(version, chart).read_text())


def manifests(version: str, chart: Chart) -> Path:
    """The file of what `helm template` makes of a chart."""
    require("helm")
    helm = Path(str(located("helm")))
    key = repr((version, RELEASES.get(version), chart, helm.parent.name))
    kept = RENDERED / f"{version}-{chart.release}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.yaml"
    if not kept.exists():
        folder = _module(version) / "manifests" / "charts" / chart.folder
        settings = [f"--set={value}" for value in chart.values]
        command = [str(helm), "template", chart.release, str(folder), "-n", chart.namespace, *settings]
        _keep(kept, subprocess.run(command, capture_output=True, check=True).stdout)
    return kept


def _keep(file: Path, content: bytes) -> None:
    """Writes a file as a whole: other workers render the same."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content)
    os.replace(temporary, file)


@cache
def _module(version: str) -> Path:
    """Where Go keeps the module; it is fetched where it is not there yet."""
    require_go()
    if version == PINNED:
        command = ["go", "-C", str(PINS / "istio"), "list", "-m", "-f", "{{.Dir}}", MODULE]
        return Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    release = RELEASES[version]
    command = ["go", "mod", "download", "-json", f"{MODULE}@{release.version}"]
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        do_without(f"Istio's module of {version} can't be had: {done.stdout or done.stderr}")
    found = json.loads(done.stdout)
    assert found["Sum"] == release.checksum
    return Path(found["Dir"])
