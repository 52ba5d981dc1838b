"""Times commands and calls: several runs, the median to quote."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass
class Figure:
    """One measured quantity: its runs, its unit, and the most or the least that the project aims at."""

    name: str
    unit: str
    runs: list[float] = field(default_factory=list)
    at_most: float | None = None
    at_least: float | None = None

    @property
    def median(self) -> float:
        return median(self.runs)

    @property
    def aim(self) -> str:
        """The aim in words; empty where the figure is only for information."""
        if self.at_most is not None:
            return f"at most {self.at_most:g}"
        return f"at least {self.at_least:,g}" if self.at_least is not None else ""

    @property
    def met(self) -> bool | None:
        """Whether the median meets the aim; None without one."""
        if self.at_most is not None:
            return self.median <= self.at_most
        return self.median >= self.at_least if self.at_least is not None else None

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "runs": self.runs,
            "aim": self.aim,
            "met": self.met,
        }


def run_command(command: Sequence[str]) -> tuple[float, float]:
    """Wall seconds and peak resident MiB of one run, its output thrown away."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def seconds(call: Callable[[], object]) -> float:
    """Seconds of this thread's processor time: the wall time of the call on a machine with nothing else to
    do, and about the same on any other."""
    start = time.thread_time()
    call()
    return time.thread_time() - start


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
