"""The commands and outputs that the pages show, as blocks that can be run and compared."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from istio_netpol.cli.main import program

ROOT = Path(__file__).parents[2]
PROMPT = "$ "
ELISION = "..."
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Transcript:
    """A command as a page shows it, and what the page says that it prints; a line `...` stands for any
    number of lines."""

    page: Path
    command: str
    printed: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {self.command}"

    @property
    def is_ours(self) -> bool:
        """Whether it is one command of this program that ends by itself."""
        words = shlex.split(self.command)
        return words[0] == "istio-netpol" and words[1] != "serve" and "|" not in words

    def run(self) -> str:
        """What the program really prints on standard output, run from the top of the repository."""
        result = CliRunner().invoke(program, [*shlex.split(self.command)[1:]], prog_name="istio-netpol")
        assert result.exit_code in (0, 1), result.stderr
        return result.stdout

    def tells(self, output: str) -> bool:
        """Whether the page shows this output."""
        parts = re.split(rf"^{re.escape(ELISION)}\n", self.printed, flags=re.MULTILINE)
        pattern = "(?:.*\n)*".join(map(re.escape, parts))
        text = output if output.endswith("\n") or not output else output + "\n"
        return re.fullmatch(pattern, text) is not None


def transcripts(page: Path) -> Iterator[Transcript]:
    """The commands in the console blocks of a page."""
    for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        for part in re.split(r"^(?=\$ )", block, flags=re.MULTILINE):
            if part.startswith(PROMPT):
                command, _, printed = part.removeprefix(PROMPT).partition("\n")
                yield Transcript(page, command, printed)


def pages() -> list[Path]:
    """The pages for users."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
