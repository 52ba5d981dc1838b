"""The file of a baseline: read once at the beginning of a check, and written where somebody asks for it."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from istio_netpol.errors import InputError, Problem
from istio_netpol.report.baseline import Baseline, parsed

_MISSING = "write it with --update-baseline, and commit it"


def read_baseline(file: Path) -> Baseline:
    """What the file knows. Raises InputError where it is not there or damaged."""
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
        with NamedTemporaryFile(
            "w", dir=file.parent, prefix=f".{file.name}.", encoding="utf-8", delete=False
        ) as new:
            new.write(baseline.text())
        os.chmod(new.name, 0o644)
        os.replace(new.name, file)
    except OSError as error:
        raise _unreadable(file, f"can't be written: {error.strerror or error}", None) from None


def _unreadable(file: Path, cause: str, remedy: str | None) -> InputError:
    return InputError([Problem(str(file), None, None, None, None, cause, remedy)])
