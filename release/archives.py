"""Tar archives whose bytes depend on nothing but the files in them."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path


def normalise(archive: Path, epoch: int) -> None:
    """Writes a .tar.gz anew: sorted, every file of one time, nobody's, readable by all."""
    with tarfile.open(archive, "r:gz") as packed:
        members = sorted(packed.getmembers(), key=lambda member: member.name)
        contents = {member.name: _content(packed, member) for member in members}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            tar.addfile(_plain(member, epoch), io.BytesIO(contents[member.name]))
    with archive.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=epoch) as compressed:
        compressed.write(buffer.getvalue())


def _content(packed: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = packed.extractfile(member)
    return b"" if file is None else file.read()


def _plain(member: tarfile.TarInfo, epoch: int) -> tarfile.TarInfo:
    """The member without what the machine that packed it added."""
    plain = tarfile.TarInfo(member.name)
    plain.type, plain.size, plain.linkname, plain.mtime = member.type, member.size, member.linkname, epoch
    plain.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return plain
