"""What a person does with a denial: copies the command out of the message, and runs it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import yaml
from tests.serving.cluster import Manifest

START, END = "kubectl apply -f - <<'EOF'\n", "\nEOF"


def commands_in(message: str) -> list[str]:
    """The lines to paste, as they stand in the message: for its reader, and for whoever runs other
    namespaces. Fails where there are none."""
    found: list[str] = []
    start = message.index(START)
    while start >= 0:
        end = message.index(END, start) + len(END)
        found.append(message[start:end])
        start = message.find(START, end)
    return found


def pasted(message: str, folder: Path) -> list[Manifest]:
    """Runs the commands in a shell, where a `kubectl` stands ready, and returns what it was told to apply."""
    kubectl = folder / "kubectl"
    if not kubectl.exists():
        kubectl.write_text('#!/bin/sh\n[ "$*" = "apply -f -" ] && exec cat\n')
        kubectl.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    applied: list[Manifest] = []
    for command in commands_in(message):
        ran = subprocess.run(
            ["/bin/sh"], input=command, capture_output=True, text=True, check=True, env={"PATH": path}
        )
        applied += yaml.safe_load_all(ran.stdout)
    return applied
