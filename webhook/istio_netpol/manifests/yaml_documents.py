"""Reads a stream of YAML documents as the API server does; an error in one is told, and the next `---` goes
on.

libyaml, which parses for us, and go-yaml v2, which parses for the API server, take different texts: go-yaml
ends a plain text within brackets at any of `,?[]{}` and nowhere else (`yaml_parser_scan_plain_scalar` in
scannerc.go, v2.4.3). libyaml 0.2.5 refuses one that ends with a colon, and goes on after a question mark.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO

from msgspec.structs import replace
from yaml import MarkedYAMLError, YAMLError
from yaml.cyaml import CParser  # type: ignore[attr-defined]
from yaml.tokens import (
    FlowMappingEndToken,
    FlowMappingStartToken,
    FlowSequenceEndToken,
    FlowSequenceStartToken,
    ScalarToken,
)

from istio_netpol.errors import InputError, Problem
from istio_netpol.manifests.placeholders import placeholder_in, placeholder_line_in
from istio_netpol.manifests.raw_objects import Document
from istio_netpol.manifests.yaml_builder import Builder
from istio_netpol.manifests.yaml_segments import Segments

_FINAL_COLON = "found unexpected ':'"
"""libyaml's complaint about a plain text within brackets that ends with a colon, such as an IPv6 network."""

_REMEDIES = {
    "mapping values are not allowed in this context": "indent it as its neighbours are, or quote the text",
    "did not find expected <document start>": "separate documents with a line ---",
    "found undefined tag handle": "quote a text that begins with !",
    "could not find expected ':'": "a key is followed by a colon and a space",
    _FINAL_COLON: "quote a text that ends with a colon",
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
        if error.problem != _FINAL_COLON or not (text := segments.rest()):
            raise
        again = builder.documents(CParser(_with_quoted_colons(text)).get_event, segments.first_line)
        yield from islice(again, told, None)
    if (
        builder.saw_question_mark()
        and (line := _question_within_brackets(_with_quoted_colons(segments.text()))) is not None
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
        if error.problem != _FINAL_COLON or not (text := segments.rest()):
            raise
        return builder.value(CParser(_with_quoted_colons(text)).get_event)


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


_MOST_SCANNED = 1 << 23
"""Characters that are scanned in all for one document: such a text may cost a scan of what is before it."""

_ALIKE = re.compile(r"(,[ ]*)([0-9A-Za-z](?:[-./0-9A-Za-z]|:(?![\s,\]}]))*:)(?=[,\]}])")


def _with_quoted_colons(text: str) -> str:
    """The document with quotes around the plain texts that only libyaml refuses; they are not numbers, so
    quotes don't change what they say."""
    for _ in range(max(1, _MOST_SCANNED // (len(text) + 1))):
        try:
            for _ in _tokens(text):
                pass
        except MarkedYAMLError as error:
            if error.problem != _FINAL_COLON or error.context_mark is None or error.problem_mark is None:
                return text
            start, end = error.context_mark.index, error.problem_mark.index + 1
            if "?" in text[start:end]:
                # Both refuse it; with quotes it would be taken.
                return text
            quoted = text[start:end].replace("'", "''")
            # Two quoted texts that touch would be read as one.
            gap = " " if text[start - 1 : start] in ("'", '"') else ""
            text = f"{text[:start]}{gap}'{quoted}'{_alike_quoted(text[end:])}"
        else:
            return text
    return text


def _alike_quoted(rest: str) -> str:
    """What follows such a text, with quotes around those on the same line that are plainly alike: a list of
    networks may have thousands."""
    line, line_end, more = rest.partition("\n")
    if "'" in line or '"' in line:
        return rest
    return _ALIKE.sub(r"\1'\2'", line) + line_end + more


def _question_within_brackets(text: str) -> int | None:
    """The line, from 0, of a plain text within brackets that has a question mark, where go-yaml ends it and
    refuses what follows; None if there is none."""
    depth = 0
    try:
        for token in _tokens(text):
            match token:
                case FlowSequenceStartToken() | FlowMappingStartToken():
                    depth += 1
                case FlowSequenceEndToken() | FlowMappingEndToken():
                    depth -= 1
                case ScalarToken(plain=True, value=value) if depth and "?" in value:
                    line: int = token.start_mark.line
                    return line
    except YAMLError:
        return None
    return None


def _tokens(text: str) -> Any:
    """The tokens of a text. Raises YAMLError."""
    scanner = CParser(text)
    return iter(scanner.get_token, None)
