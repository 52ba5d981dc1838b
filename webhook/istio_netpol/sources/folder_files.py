"""Lists the files of a folder with marks that show whether they changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping

FileMark = tuple[int, int, int]
"""Inode, size, and time of change: of content, name, owner or mode. It can't be set back, as the time of
modification can."""

FileMarks = Mapping[str, FileMark]


def marks_of(folder: str) -> FileMarks:
    """The mark of every file below a folder, through links, each folder once; names that begin with a dot are
    left out. Raises OSError where a folder can't be listed."""
    return dict(_walk(folder, set()))


def _walk(folder: str, seen: set[tuple[int, int]]) -> Iterator[tuple[str, FileMark]]:
    status = os.stat(folder)
    identity = (status.st_dev, status.st_ino)
    if identity in seen:
        return
    seen.add(identity)
    with os.scandir(folder) as entries:
        found = [entry for entry in entries if not entry.name.startswith(".")]
    for entry in found:
        try:
            status = entry.stat()
        except OSError:
            yield entry.path, (0, 0, 0)
            continue
        if stat.S_ISDIR(status.st_mode):
            yield from _walk(entry.path, seen)
        else:
            yield entry.path, (status.st_ino, status.st_size, status.st_ctime_ns)
