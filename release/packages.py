"""The Python packages and the chart, built from an exported tree."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from release.archives import normalise


def build_python(tree: Path, into: Path, epoch: int) -> list[Path]:
    """The wheel and the source distribution, made by the setuptools that the lock pins."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(into), str(tree)]
    _run(command, {"SOURCE_DATE_EPOCH": str(epoch)})
    (wheel,), (source,) = into.glob("*.whl"), into.glob("*.tar.gz")
    normalise(source, epoch)
    return [wheel, source]


def build_chart(tree: Path, into: Path, epoch: int, version: str, helm: Path) -> Path:
    """The chart as `helm install` takes it, under the version of the program."""
    chart = tree / "charts" / "istio-netpol"
    options = ["--version", version, "--app-version", version, "--destination", str(into)]
    _run([str(helm), "package", str(chart), *options], {})
    packed = into / f"istio-netpol-{version}.tgz"
    normalise(packed, epoch)
    return packed


def _run(command: list[str], variables: dict[str, str]) -> None:
    done = subprocess.run(
        command,
        env={**os.environ, **variables},
        umask=0o022,  # archives have the files' modes in them
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
