"""The file of a baseline: read once at the beginning of a check, and written where somebody asks for it."""

from __future__ import annotations

from pathlib import Path

from istio_netpol.cli.whole_file import whole_file
from istio_netpol.errors import InputError, Problem
from istio_netpol.report.baseline import Baseline, parsed

_MISSING = "write it with --update-baseline, and commit it"


def read_baseline(file: Path) -> Baseline:
    """The baseline that the file holds. Raises InputError where it is not there or damaged."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _unreadable(file, "there is no such file", _MISSING) from None
    except OSError as error:
        raise _unreadable(file, f"can't be read: {error.strerror or error}", _MISSING) from None
    except UnicodeDecodeError:
        raise _unreadable(file, "is not valid UTF-8", _MISSING) from None
    return parsed(text, str(file))


def write_baseline(file: Path, baseline: Baseline) -> None:
    """Replaces the file as a whole, so that nobody reads half of it. Raises InputError where it can't be
    written."""
    try:
        with whole_file(file, 0o644) as stream:
            stream.write(baseline.text().encode())
    except OSError as error:
        raise _unreadable(file, f"can't be written: {error.strerror or error}", None) from None


def _unreadable(file: Path, cause: str, remedy: str | None) -> InputError:
    return InputError([Problem.of(str(file), cause, remedy)])
