"""How long a command takes to start: `--version`, and `check` of ten files, beside a bare Python.

Processor time is that of the whole process. The three are run in turn, after a run of each in which bytecode
is compiled.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.measure import Figure
from benchmarks.plan import Plan
from benchmarks.synthetic import Size, write

FILES = 10
RUNS = 30
AIM = 0.15


def figures(plan: Plan) -> Iterator[Figure]:
    """Processor time and wall time of each, in seconds."""
    program = [sys.executable, "-m", "istio_netpol"]
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "--version": [*program, "--version"],
        f"check of {FILES} files": [*program, "check", "--offline", str(_ten_files(plan))],
    }
    found = {
        name: (
            Figure(f"{name}: processor time", "s", at_most=None if name.startswith("python") else AIM),
            Figure(f"{name}: wall time", "s"),
        )
        for name in commands
    }
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(plan.folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    for command in commands.values():
        _run(command, environment)
    for _ in range(plan.times(RUNS)):
        for name, command in commands.items():
            for figure, seconds in zip(found[name], _run(command, environment), strict=True):
                figure.runs.append(seconds)
    for pair in found.values():
        yield from pair


def _ten_files(plan: Plan) -> Path:
    """The manifests of two namespaces and a control plane, as they are in git, in ten files."""
    whole, folder = plan.folder / "whole.yaml", plan.folder / "ten"
    write(str(whole), Size(2, pods=False), plan.seed)
    folder.mkdir()
    documents = whole.read_text(encoding="utf-8").split("\n---\n")
    for number in range(FILES):
        text = "\n---\n".join(documents[number::FILES])
        (folder / f"{number}.yaml").write_text(text + "\n", encoding="utf-8")
    return folder


def _run(command: Sequence[str], environment: dict[str, str]) -> tuple[float, float]:
    """Processor and wall seconds of one run, its output thrown away."""
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - start
