"""Runs `kustomize build`, or `kubectl kustomize` where only kubectl is installed. Never through a shell."""

from __future__ import annotations

import os
import re
from pathlib import Path

from msgspec import Struct

from istio_netpol.bundle.external import output_of, program_at
from istio_netpol.errors import ToolError

KUSTOMIZATION_FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
"""What makes a folder one that kustomize builds (kustomize, `konfig.RecognizedKustomizationFileNames`)."""

PROGRAM_VARIABLE = "ISTIO_NETPOL_KUSTOMIZE"
"""The environment variable that names the program."""


def kustomization_of(folder: Path) -> Path | None:
    """The folder's kustomization file, if it has one."""
    return next((folder / name for name in KUSTOMIZATION_FILES if os.path.isfile(folder / name)), None)


_OFFLINE = {
    "GIT_ALLOW_PROTOCOL": "file",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "",
}
"""Leaves git the local file system, and HTTP a port on which nothing answers."""


class Kustomize(Struct, frozen=True):
    """How overlays are built: `program` as named by the user, empty to look for one; `timeout` in seconds;
    `offline` keeps git and HTTP away from the network. Plugins are off, as kustomize has them by default."""

    program: str = ""
    timeout: float = 120.0
    offline: bool = False

    def build(self, folder: Path) -> bytes:
        """The manifests of an overlay, as YAML. Raises ToolError with a sentence that says what to do."""
        try:
            return output_of(
                [*self._command(), str(folder)], self.timeout, _OFFLINE if self.offline else None
            )
        except ToolError as error:
            raise ToolError(_plainly(str(error))) from None

    def _command(self) -> list[str]:
        if self.program:
            found = program_at(self.program)
            if found is None:
                raise ToolError(f"{self.program}, which {PROGRAM_VARIABLE} names, is not a program")
            return [found, "build"]
        if found := program_at("kustomize"):
            return [found, "build"]
        if found := program_at("kubectl"):
            return [found, "kustomize"]
        raise ToolError(
            "the folder is built with kustomize, which is not installed; install kustomize or kubectl, or "
            f"name the program with {PROGRAM_VARIABLE}, or pipe the built manifests in and read them with `-`"
        )


_CAUSES = (
    (
        re.compile(
            r"fieldPath `(?P<value>[^`]+)` is missing for replacement source \S+?/(?P<file>[\w.-]+\.yaml)"
        ),
        "{file} lacks {value}: set it as the comment there says",
    ),
    (
        re.compile(r"options\.index \d+ is out of bounds for value (?P<value>[^\s\"]+)"),
        "the value {value} lacks a prefix length: write an address such as 192.0.2.1/32 or 2001:db8::1/128",
    ),
    (
        re.compile(
            r"wrong node kind: expected \w+ but got \w+: node contents:"
            r"(?:\\n|\s)*(?P<value>.+?)(?:\\n|\"|$)"
        ),
        "the value {value} is not where one is expected: peers are a list, as in "
        "`peers: [{{ipBlock: {{cidr: 192.0.2.1/32}}}}]`",
    ),
    (
        re.compile(r"transport '\w+' not allowed|\b127\.0\.0\.1:9\b"),
        "a kustomization names something by its URL, and nothing is fetched without --fetch",
    ),
)


def _plainly(complaint: str) -> str:
    """Explains the complaint of kustomize, and quotes it; quotes it alone where its meaning is not
    known."""
    for pattern, sentence in _CAUSES:
        if found := pattern.search(complaint):
            return f"{sentence.format(**found.groupdict())} ({complaint})"
    return complaint
