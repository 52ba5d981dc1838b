"""Reads text into plain objects with their origins: YAML, JSON, multi-document streams, Lists.

Nothing here interprets a field, opens a file or raises: what can't be used is yielded as a Problem, in its
place.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO

from istio_netpol.errors import InputError, Problem
from istio_netpol.manifests.json_documents import JsonDocuments, JsonError
from istio_netpol.manifests.placeholders import placeholder_in
from istio_netpol.manifests.raw_objects import Document, RawObject
from istio_netpol.manifests.yaml_documents import read_yaml
from istio_netpol.manifests.yaml_segments import check_text

__all__ = ["RawObject", "read_documents"]

_HEAD = 1 << 16


def read_documents(data: bytes | BinaryIO, file: str) -> Iterator[Document]:
    """The objects of an input in their order, and the problems among them; `file` is what messages call it.

    A YAML stream is read piece by piece; JSON is held in memory as text. Of each object, what no rule reads
    is left out (see `trimming`).
    """
    stream = io.BytesIO(data) if isinstance(data, bytes) else data
    head = stream.read(_HEAD)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            head = (head + stream.read()).decode("utf-16").encode()
        except UnicodeError:
            yield Problem.of(file, "is not valid UTF-16", "save the file as UTF-8")
            return
    head = head.removeprefix(codecs.BOM_UTF8)
    if head.lstrip(b" \t\r\n")[:1] in (b"{", b"[") or file.endswith(".json"):
        yield from _read_json(head + stream.read(), file)
        return
    if not head.endswith(b"\n"):
        head += stream.readline()
    yield from read_yaml(stream, file, head)


def _read_json(data: bytes, file: str) -> Iterator[Document]:
    """JSON; YAML that only looks like it goes to the other reader, unless the file's name says JSON."""
    try:
        text = check_text(data, file, 1)
    except InputError as error:
        yield from error.problems
        return
    documents = JsonDocuments(text, file)
    try:
        yield from documents.documents()
    except JsonError as error:
        if file.endswith(".json") or documents.yielded:
            line = documents.line(error.at)
            hint = placeholder_in(text.split("\n")[line - 1])
            yield Problem(file, line, None, None, None, f"is not valid JSON: {error.cause}", hint)
            return
        rest = text[documents.resume_at :]
        yield from read_yaml(io.BytesIO(), file, rest.encode(), documents.line(documents.resume_at))
