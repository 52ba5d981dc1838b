"""A terminal in which somebody types commands, and what stands on its screen afterwards."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.cluster.clients import Kubectl

REFUSED = "denied the request"
PASTED = re.compile(r"^kubectl apply -f - <<'EOF'\n.*?^EOF$", re.MULTILINE | re.DOTALL)


class Terminal:
    """Runs each line in a shell whose kubectl is that of one user, in a folder; `screen` has what a person
    sees, with standard output and standard error in the order in which they came."""

    def __init__(self, kubectl: Kubectl, folder: Path) -> None:
        self._folder = folder
        self._environment = {
            "PATH": f"{kubectl.program.parent}{os.pathsep}/usr/bin{os.pathsep}/bin",
            "HOME": str(kubectl.kubeconfig.parent),
            "KUBECONFIG": str(kubectl.kubeconfig),
        }
        self.screen = ""

    def type(self, command: str) -> str:
        """Runs a command; what it printed, whether it succeeded or not."""
        ran = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        self.screen += f"$ {command}\n{ran.stdout}"
        return ran.stdout


def remedies_in(printed: str) -> list[str]:
    """The commands that refusals say to paste."""
    return PASTED.findall(printed)
