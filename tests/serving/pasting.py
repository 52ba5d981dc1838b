"""What a person does with a denial: copies the command out of the message, and runs it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import yaml
from tests.serving.cluster import Manifest

START, END = "kubectl apply -f - <<'EOF'\n", "\nEOF"


def command_in(message: str) -> str:
    """The lines to paste, as they stand in the message."""
    start = message.index(START)
    return message[start : message.index(END, start) + len(END)]


def pasted(message: str, folder: Path) -> list[Manifest]:
    """Runs the command in a shell, where a `kubectl` stands ready, and returns what it was told to apply."""
    kubectl = folder / "kubectl"
    if not kubectl.exists():
        kubectl.write_text('#!/bin/sh\n[ "$*" = "apply -f -" ] && exec cat\n')
        kubectl.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["/bin/sh"], input=command_in(message), capture_output=True, text=True, check=True, env={"PATH": path}
    )
    return list(yaml.safe_load_all(ran.stdout))
