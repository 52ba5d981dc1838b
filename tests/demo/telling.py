"""How the demo is told: what was submitted, what came back, what is new, within the width of a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.serving.cluster import Manifest
from tests.serving.pasting import commands_in

from istio_netpol.cli.terminal import palette

WIDTH = 100
SHOWN_CAUSES = 3

NEXT = """\
Where to go next:
  .venv/bin/istio-netpol check PATH         what your own manifests lack
  .venv/bin/istio-netpol generate PATH      the missing policies as YAML
  .venv/bin/istio-netpol explain --help     why a connection is blocked
  docs/                                     commands, settings, and a page for each rule"""


class Telling:
    """Writes to standard output, in colour on a terminal."""

    def __init__(self) -> None:
        self._colours = palette()

    def opening(self, url: str) -> None:
        """What the reader is about to see."""
        self._wrapped(
            "A folder of manifests stands for a cluster with Istio and Kyma's Istio operator. istio-netpol "
            f"serve watches it and answers at {url}, with a certificate that it made. Five objects are "
            "submitted to it, as an API server would: each first in mode reject, then in mode augment."
        )

    def scene(self, number: int, tells: str) -> None:
        """The heading of a scene."""
        print()
        self._wrapped(f"{number}. {tells}", escape=self._colours.heading)

    def submitted(self, mode: str, manifest: Manifest) -> None:
        """What is sent, and in which mode."""
        metadata = manifest["metadata"]
        print(f"\n   mode {mode}: {manifest['kind']} {metadata['namespace']}/{metadata['name']} is submitted")

    def refused(self, status: Mapping[str, Any], shows: str) -> None:
        """The first causes of a refusal, and one policy of the remedy in full."""
        message, causes = status["message"], status["details"]["causes"]
        first, *lines = message.splitlines()
        self._verdict("REFUSED", self._colours.error, first)
        for line in lines[: min(len(causes), SHOWN_CAUSES)]:
            self._wrapped(line.removeprefix("- "), first="   - ", indent="     ")
        self._rest(len(causes) - SHOWN_CAUSES, "connection", "connections")
        documents = [
            document
            for command in commands_in(message)
            for document in command.partition("\n")[2].rpartition("\nEOF")[0].split("\n---\n")
        ]
        shown = next(document for document in documents if f"\n  name: {shows}" in document)
        print("   The answer brings the remedy, ready to paste:\n")
        for line in ("kubectl apply -f - <<'EOF'", *shown.splitlines()):
            print(self._colours.paint(f"   | {line}", self._colours.faint))
        self._rest(len(documents) - 1, "policy", "policies")

    def admitted(self, files: Sequence[Path], is_written_before: bool) -> None:
        """That it passed, and which policies are new."""
        when = "before it was admitted" if is_written_before else "as soon as it was stored"
        self._verdict("ADMITTED", self._colours.good, f"What was missing was written {when}:")
        for file in files:
            print(f"   + {file.parent.name}/{file.name}")

    def closing(self, scenes: int, seconds: float) -> None:
        """What was seen, and what to do with it."""
        print(f"\n{scenes} objects refused with their remedy, completed and admitted in {seconds:.0f} s.")
        print(f"\n{NEXT}")

    def _verdict(self, word: str, escape: str, sentence: str) -> None:
        text = textwrap.fill(f"{word}  {sentence}", WIDTH, initial_indent="   ", subsequent_indent="   ")
        print(text.replace(word, self._colours.paint(word, escape), 1))

    def _rest(self, count: int, one: str, several: str) -> None:
        if count > 0:
            print(f"     ... and {count} more {one if count == 1 else several}")

    def _wrapped(self, text: str, first: str = "", indent: str = "", escape: str = "") -> None:
        lines = textwrap.wrap(
            text,
            WIDTH,
            initial_indent=first,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in lines:
            print(self._colours.paint(line, escape))
