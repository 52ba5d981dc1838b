"""Finds and runs external programs: never through a shell, and with a time limit.

Most inputs need none. What it takes is imported when a program is asked for: together with what it takes to
write a file, 5 ms of the 150 in which ten files are checked.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Mapping, Sequence

from istio_netpol.errors import ToolError


def program_at(name: str) -> str | None:
    """Where a program is, by its path or its name; None where there is none."""
    import shutil  # noqa: PLC0415

    return shutil.which(name)


def output_of(command: Sequence[str], timeout: float, environment: Mapping[str, str] | None = None) -> bytes:
    """The output of the program. Raises ToolError with a sentence that says why there is nothing; `timeout`
    in seconds, `environment` in addition to our own."""
    import subprocess  # noqa: PLC0415

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
        raise ToolError(f"{' '.join(command)} took more than {timeout:g} seconds") from None
    finally:
        if process.returncode is None:
            _kill_group(process.pid)
            process.communicate()
    if process.returncode != 0:
        raise ToolError(f"{' '.join(command)} failed: {_cause(complaints, process.returncode)}")
    return printed


def _kill_group(leader: int) -> None:
    """Ends the program and whatever it started: kustomize runs git for remote bases."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


_LOGGED = re.compile(
    r'^E\d{4} [^\]\n]*\] "command failed" err=(?:<(?P<lines>.*?)^ >|"(?P<line>.*)")', re.MULTILINE | re.DOTALL
)
"""How kubectl tells an error where it is built to log it, as Google's is (`cli/run.go` in
k8s.io/component-base): after the time, quoted, or between brackets where it has several lines."""


def _cause(complaints: bytes, status: int) -> str:
    """The first line that says what is wrong, which kustomize and helm mark with `Error:`, after warnings; or
    what kubectl logs as its error."""
    text = complaints.decode(errors="replace")
    if logged := _LOGGED.search(text):
        return " ".join((logged["lines"] or "").split()) or logged["line"].replace('\\"', '"')
    if status == -signal.SIGKILL:
        return "it was killed, which happens to a program that takes more memory than there is"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    first = (errors or lines or [f"exit status {status}"])[0]
    return first.partition(": ")[2] if first.lower().startswith("error: ") else first
