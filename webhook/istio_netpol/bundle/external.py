"""Runs external programs: never through a shell, and with a time limit."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from istio_netpol.errors import ToolError

if TYPE_CHECKING:
    import subprocess


def output_of(command: Sequence[str], timeout: float, environment: Mapping[str, str] | None = None) -> bytes:
    """What the program prints. Raises ToolError with a sentence that says why there is nothing; `timeout` in
    seconds, `environment` in addition to our own."""
    import subprocess

    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, **environment} if environment else None,
        )
    except OSError as error:
        raise ToolError(f"{command[0]} can't be run: {error.strerror or error}") from None
    try:
        printed, complaints = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        _kill(process)
        raise ToolError(f"{' '.join(command)} took more than {timeout:g} seconds") from None
    except BaseException:
        _kill(process)
        raise
    if process.returncode != 0:
        raise ToolError(f"{' '.join(command)} failed: {_cause(complaints, process.returncode)}")
    return printed


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Ends the program and whatever it started: kustomize runs git for remote bases."""
    import signal

    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _cause(complaints: bytes, status: int) -> str:
    """The first line that says what is wrong: kustomize and helm mark it with `Error:`, after warnings."""
    lines = [line.strip() for line in complaints.decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    first = (errors or lines or [f"exit status {status}"])[0]
    return first.partition(": ")[2] if first.lower().startswith("error: ") else first
