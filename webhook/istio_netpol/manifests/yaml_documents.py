"""Reads a stream of YAML documents; an error in one is told, and the next `---` goes on."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO

from msgspec.structs import replace
from yaml import MarkedYAMLError, YAMLError
from yaml.cyaml import CParser  # type: ignore[attr-defined]

from istio_netpol.errors import InputError, Problem
from istio_netpol.manifests.placeholders import placeholder_in, placeholder_line_in
from istio_netpol.manifests.raw_objects import Document
from istio_netpol.manifests.yaml_builder import Builder
from istio_netpol.manifests.yaml_dialect import FINAL_COLON, question_within_brackets, with_quoted_colons
from istio_netpol.manifests.yaml_segments import Segments

_REMEDIES = {
    "mapping values are not allowed in this context": "indent it as its neighbours are, or quote the text",
    "did not find expected <document start>": "separate documents with a line ---",
    "found undefined tag handle": "quote a text that begins with !",
    "could not find expected ':'": "a key is followed by a colon and a space",
    FINAL_COLON: "quote a text that ends with a colon",
    "did not find expected key": "indent it as its neighbours are",
    "found unexpected end of stream": "close the quote",
    "found unexpected document indicator": "close the quote",
    "did not find expected alphabetic or numeric character": "quote a text that begins with * or &",
}


def read_yaml(stream: BinaryIO, file: str, head: bytes = b"", line: int = 1) -> Iterator[Document]:
    """The objects of a stream; `head` was read from it already, and begins at `line`."""
    segments = Segments(stream, file, head, line)
    builder = Builder(file)
    while segments.advance():
        try:
            yield from _segment(segments, builder, file)
        except InputError as error:
            yield from builder.unreported()
            yield from error.problems
        except YAMLError as error:
            yield from builder.unreported()
            yield _syntax_problem(error, segments, file)


def _segment(segments: Segments, builder: Builder, file: str) -> Iterator[Document]:
    """What the current piece of a stream holds, as the API server would read it."""
    told = 0
    try:
        for document in builder.documents(CParser(segments).get_event, segments.first_line):
            told += 1
            yield document
    except MarkedYAMLError as error:
        if error.problem != FINAL_COLON or not (text := segments.rest()):
            raise
        again = builder.documents(CParser(with_quoted_colons(text)).get_event, segments.first_line)
        yield from islice(again, told, None)
    if (
        builder.saw_question_mark()
        and (line := question_within_brackets(with_quoted_colons(segments.text()))) is not None
    ):
        cause = "is not valid YAML: a text within brackets has a question mark"
        yield Problem(file, segments.first_line + line, None, None, None, cause, "quote it")


def read_text(text: str) -> tuple[Any, tuple[str, ...]]:
    """The value of YAML that a field holds, under the limits of files; and what is wrong with it."""
    segments = Segments(io.BytesIO(text.encode(errors="surrogatepass")), "")
    builder = Builder("")
    try:
        segments.advance()
        value = _value(segments, builder)
        problems = builder.unreported()
    except InputError as error:
        value, problems = None, [*builder.unreported(), *error.problems]
    except YAMLError as error:
        value, problems = None, [*builder.unreported(), _syntax_problem(error, segments, "")]
    return value, tuple(
        f"its line {problem.line or 1}: {replace(problem, line=None)}" for problem in problems
    )


def _value(segments: Segments, builder: Builder) -> Any:
    try:
        return builder.value(CParser(segments).get_event)
    except MarkedYAMLError as error:
        if error.problem != FINAL_COLON or not (text := segments.rest()):
            raise
        return builder.value(CParser(with_quoted_colons(text)).get_event)


def _syntax_problem(error: YAMLError, segments: Segments, file: str) -> Problem:
    """The parser's complaint with the file's own line, and what to do about the frequent ones."""
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return Problem(file, segments.first_line, None, None, None, f"is not valid YAML: {error}", None)
    line = segments.first_line + error.problem_mark.line
    text = segments.line_text(line)
    if "\t" in text[: len(text) - len(text.lstrip())]:
        return Problem(
            file, line, None, None, None, "a tab is used for indentation; YAML allows spaces only", None
        )
    # The parser may stumble long after a placeholder: over what is indented for the text that replaces it.
    remedy = (
        placeholder_in(text) or placeholder_line_in(segments.text()) or _REMEDIES.get(error.problem or "")
    )
    cause = f"is not valid YAML: {error.problem}"
    if error.context is not None:
        start = error.context_mark
        since = "" if start is None else f" that begins at line {segments.first_line + start.line}"
        cause += f" {error.context}{since}"
    return Problem(file, line, None, None, None, cause, remedy)
