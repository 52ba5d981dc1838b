"""What is asked of a run: how large, from which seed, and where files may be written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.synthetic import SEED, Size

QUICK = Size(100)


@dataclass(frozen=True)
class Plan:
    """`folder` is empty and deleted after the run; `quick` is for development: a tenth of everything."""

    folder: Path
    seed: int = SEED
    quick: bool = False

    @property
    def size(self) -> Size:
        """The cluster that most parts measure."""
        return QUICK if self.quick else Size()

    def times(self, count: int) -> int:
        """How often to repeat what is repeated `count` times in a full run."""
        return max(1, count // 10) if self.quick else count
