"""Cuts a stream of YAML at its `---` lines, so that an error in one document leaves the others readable.

A line that begins with `---` ends a document wherever it stands, even within a quoted text or a block
scalar (YAML 1.2, rule c-forbidden), so cutting there needs no parser. Only a piece of the stream is in
memory at a time.
"""

from __future__ import annotations

import codecs
import re
from typing import BinaryIO

from istio_netpol.errors import InputError, Problem

_PIECE = 1 << 16
_LONGEST_KEPT = 1 << 20
_MARKER = re.compile(rb"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_BOM = re.compile(rb"\A(---[ \t]*\r?\n|)" + codecs.BOM_UTF8)
_LONGEST_MARKER = 100
_DIRECTIVES = re.compile(rb"(?:[ \t]*(?:#[^\n]*)?\r?\n|%[^\n]*\n)+")
_CONTROL = bytes({*range(0x20), 0x7F} - {0x09, 0x0A, 0x0D})
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")


class Segments:
    """The documents of a stream, one after the other; `read` hands the current one to a parser."""

    def __init__(self, stream: BinaryIO, file: str, head: bytes = b"", line: int = 1) -> None:
        """`head` was read from the stream already and ends with a whole line; `line` is where it begins."""
        self.first_line = line
        self._stream = stream
        self._file = file
        self._text = head
        self._at = 0
        self._line = line
        self._offset = 0
        self._inside = False
        self._ended = True
        self._recent: list[tuple[int, bytes]] = []
        self._kept: list[bytes] | None = []
        self._kept_size = 0

    def advance(self) -> bool:
        """Goes to the next document, past what is unread of the current one; returns False at the end of the
        stream."""
        while self._next_piece():
            pass
        if self._at >= len(self._text) and not self._fill():
            return False
        self.first_line = self._line
        self._inside = self._ended = False
        self._recent.clear()
        self._kept, self._kept_size = [], 0
        return True

    def read(self, _size: int = -1) -> bytes:
        """The next piece of the current document, b"" at its end. Raises InputError if it is not text."""
        offset, line, is_first = self._offset, self._line, not self._inside
        piece = self._next_piece()
        if is_first and codecs.BOM_UTF8 in piece[:_LONGEST_MARKER]:
            # Files that were put behind one another keep their marks.
            piece = _BOM.sub(rb"\1", piece)
        if not piece.isascii() or len(piece.translate(None, _CONTROL)) != len(piece):
            check_text(piece, self._file, line, offset)
        self._recent = [*self._recent[-1:], (line, piece)]
        self._keep(piece)
        return piece

    def text(self) -> str:
        """What was read of the current document, "" if that is longer than any that a person writes."""
        return b"".join(self._kept or ()).decode(errors="replace")

    def rest(self) -> str:
        """The same, after reading what is left of the document."""
        while self.read():
            pass
        return self.text()

    def _keep(self, piece: bytes) -> None:
        self._kept_size += len(piece)
        if self._kept is not None and self._kept_size <= _LONGEST_KEPT:
            self._kept.append(piece)
        else:
            self._kept = None

    def line_text(self, line: int) -> str:
        """A line read shortly before, "" if it is forgotten already."""
        for first, piece in self._recent:
            lines = piece.split(b"\n")
            if first <= line < first + len(lines) and lines[line - first]:
                return lines[line - first].decode(errors="replace")
        return ""

    def _fill(self) -> bool:
        self._text = self._stream.read(_PIECE)
        if self._text and not self._text.endswith(b"\n"):
            self._text += self._stream.readline()
        self._at = 0
        return bool(self._text)

    def _next_piece(self) -> bytes:
        if self._ended or (self._at >= len(self._text) and not self._fill()):
            self._ended = True
            return b""
        end = self._end()
        piece = self._text[self._at : end]
        self._ended = end < len(self._text)
        self._inside = True
        self._at = end
        self._offset += len(piece)
        self._line += piece.count(b"\n")
        return piece

    def _end(self) -> int:
        """Where the current document ends in the text at hand: at the next marker that is not its own."""
        # A document's own marker is its first line: only a later one ends it.
        marker = _MARKER.search(self._text, self._at if self._inside else self._at + 1)
        if marker is None:
            return len(self._text)
        # Directives such as %YAML stand before the marker of the document that they are for.
        directives = None if self._inside else _DIRECTIVES.match(self._text, self._at)
        if directives and directives.end() == marker.start() and b"%" in directives.group():
            marker = _MARKER.search(self._text, marker.end())
        return len(self._text) if marker is None else marker.start()


def check_text(piece: bytes, file: str, line: int, offset: int = 0) -> str:
    """`piece` decoded. Raises InputError with line and byte offset if it is not UTF-8 or has control
    characters."""
    try:
        text = piece.decode()
    except UnicodeDecodeError as error:
        line += piece.count(b"\n", 0, error.start)
        cause = f"byte {offset + error.start} (0x{piece[error.start]:02x}) is not UTF-8"
        raise InputError([Problem(file, line, None, None, None, cause, "save the file as UTF-8")]) from None
    if found := _UNPRINTABLE.search(text):
        before = text[: found.start()]
        line += before.count("\n")
        at = offset + len(before.encode())
        cause = f"byte {at} is the control character U+{ord(found.group()):04X}, which YAML forbids"
        raise InputError([Problem(file, line, None, None, None, cause, "remove it")])
    return text
