"""Where libyaml, which parses for us, and go-yaml v2, which parses for the API server, take different texts.

go-yaml ends a plain text within brackets at any of `,?[]{}` and nowhere else (`yaml_parser_scan_plain_scalar`
in scannerc.go, v2.4.3). libyaml 0.2.5 refuses one that ends with a colon, and goes on after a question mark.
"""

from __future__ import annotations

import re
from typing import Any

from yaml import MarkedYAMLError, YAMLError
from yaml.cyaml import CParser  # type: ignore[attr-defined]
from yaml.tokens import (
    FlowMappingEndToken,
    FlowMappingStartToken,
    FlowSequenceEndToken,
    FlowSequenceStartToken,
    ScalarToken,
)

FINAL_COLON = "found unexpected ':'"
"""libyaml's complaint about a plain text within brackets that ends with a colon, such as an IPv6 network."""

_MOST_SCANNED = 1 << 23
"""Characters that are scanned in all for one document: such a text may cost a scan of what is before it."""

_ALIKE = re.compile(r"(,[ ]*)([0-9A-Za-z](?:[-./0-9A-Za-z]|:(?![\s,\]}]))*:)(?=[,\]}])")


def with_quoted_colons(text: str) -> str:
    """The document with quotes around the plain texts that only libyaml refuses; they are not numbers, so
    quotes don't change what they say."""
    for _ in range(max(1, _MOST_SCANNED // (len(text) + 1))):
        try:
            for _ in _tokens(text):
                pass
        except MarkedYAMLError as error:
            if error.problem != FINAL_COLON or error.context_mark is None or error.problem_mark is None:
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


def question_within_brackets(text: str) -> int | None:
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
