"""The blocks of a page that a reader types, in their order, as steps that a test can take."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.docs.transcripts import ROOT, Transcript

ELSEWHERE = re.compile(r"<!-- run by (\S+) -->\n\n?\Z")
"""Before a block that another test runs: an invisible remark that names it."""

LEFT_OUT = re.compile(r"^\*Not run by the tests: (.+)\*\n\n?\Z", re.MULTILINE)
"""Before a block that no test can run: a sentence that readers see, too."""

_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"\A# (\S+\.\w+)\n")
_HEREDOC = re.compile(r"<<'?(\w+)'?")


@dataclass(frozen=True, slots=True)
class Step:
    """A block: a file to write, or commands to type; `skipped` says why no test types them, `elsewhere` which
    other one does."""

    page: Path
    language: str
    text: str
    skipped: str = ""
    elsewhere: str = ""

    @property
    def file(self) -> str:
        """The file that the block is, or nothing."""
        found = _FILE.match(self.text) if self.language in ("yaml", "text") else None
        return found[1] if found else ""

    @property
    def is_typed(self) -> bool:
        return self.language in ("console", "bash")

    def commands(self) -> Iterator[Transcript]:
        """What is typed, one after another, each with what the page shows of its output."""
        if self.language == "bash":
            yield Transcript(self.page, self.text, "")
            return
        for part in re.split(r"^(?=\$ )", self.text, flags=re.MULTILINE):
            if part.startswith("$ "):
                command, printed = _split(part.removeprefix("$ "))
                yield Transcript(self.page, command, printed)


def _split(part: str) -> tuple[str, str]:
    """The command, over as many lines as it has, and what follows it."""
    lines = part.splitlines(keepends=True)
    end = 1
    while lines[end - 1].endswith("\\\n"):
        end += 1
    if heredoc := _HEREDOC.search(lines[0]):
        end = lines.index(f"{heredoc[1]}\n") + 1
    return "".join(lines[:end]).rstrip("\n"), "".join(lines[end:])


def steps(page: Path) -> Iterator[Step]:
    """The blocks of a page that are typed or written."""
    text = page.read_text(encoding="utf-8")
    for block in _BLOCK.finditer(text):
        before = text[: block.start()]
        skipped, elsewhere = LEFT_OUT.search(before), ELSEWHERE.search(before)
        content = re.sub(rf"^{block[1]}", "", block[3], flags=re.MULTILINE)
        step = Step(page, block[2], content, skipped[1] if skipped else "", elsewhere[1] if elsewhere else "")
        if step.is_typed or step.file:
            yield step


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who follows a page in a folder, with these variables."""

    folder: Path
    variables: Mapping[str, str]

    def write(self, step: Step) -> None:
        """Makes the file that the page shows."""
        target = self.folder / step.file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_FILE.sub("", step.text), encoding="utf-8")

    def type(self, command: str) -> tuple[int, str]:
        """Types it into bash; the exit code, and all that it printed."""
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", command],
            cwd=self.folder,
            env=dict(self.variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
            check=False,
        )
        return done.returncode, done.stdout


def walkthroughs() -> list[Path]:
    """The tutorial and the how-to guides."""
    return [ROOT / "docs" / "tutorial.md", *sorted((ROOT / "docs" / "how-to").glob("*.md"))]
