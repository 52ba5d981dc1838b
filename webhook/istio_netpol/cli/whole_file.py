"""A file that is written as a whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(file: Path, mode: int = 0o600) -> Iterator[BinaryIO]:
    """A stream whose content replaces the file once all of it is written; what fails leaves nothing behind.
    Raises OSError."""
    # `check` has this function at hand for a baseline, which it seldom writes; see `bundle/external.py`.
    import tempfile  # noqa: PLC0415

    descriptor, half = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(descriptor)
        os.chmod(half, mode)
        os.replace(half, file)
    except BaseException:
        os.unlink(half)
        raise
