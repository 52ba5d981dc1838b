"""Reads the selector expressions of Calico's policies.

Source: Calico documentation, reference/resources/networkpolicy, "Selectors"; projectcalico/calico
libcalico-go/lib/selector (v3.30). An expression that can't be read matches every pod, so that nobody believes
that the policy selects nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from msgspec import Struct

from istio_netpol.model.labels import EVERYTHING, Labels
from istio_netpol.model.unread import Expression

LONGEST = 10_000
"""How many characters of a selector are read; a longer one matches every pod."""

DEEPEST = 50
"""How many levels of parentheses and negations are read."""

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"]*"|'[^']*')|(?P<word>[A-Za-z0-9_./-]+)|(?P<mark>&&|\|\||==|!=|[!(){},]))"""
)


class _LabelMatcher(Struct, frozen=True):
    """A parsed expression, as a function from labels to whether it matches."""

    answer: Callable[[Labels], bool]

    def matches(self, labels: Labels) -> bool:
        return self.answer(labels)


class CalicoSelector(Struct, frozen=True):
    """A selector. Two are equal if they are written alike."""

    text: str

    def matches(self, labels: Labels) -> bool:
        """Whether it selects objects with these labels. It selects everything where it is empty or can't be
        read."""
        return _read(self.text).matches(labels)


NOBODY = CalicoSelector("global()")
"""Matches no pods: it selects hosts and the like."""


@lru_cache(maxsize=4096)
def _read(text: str) -> Expression:
    if not text.strip():
        return EVERYTHING
    try:
        return _SelectorParser(_tokens(text)).whole()
    except ValueError:
        return EVERYTHING


def _tokens(text: str) -> list[str]:
    """The words, quoted texts and marks of a selector. Raises ValueError for anything else."""
    if len(text) > LONGEST:
        raise ValueError("too long")
    found, at = [], 0
    while at < len(text.rstrip()):
        token = _TOKEN.match(text, at)
        if token is None:
            raise ValueError("no selector")
        found.append(token[0].strip())
        at = token.end()
    return found


class _SelectorParser:
    """Reads an expression from its tokens: `||` binds least, `!` most. Raises ValueError."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def whole(self) -> Expression:
        found = self._either()
        if self._at != len(self._tokens):
            raise ValueError("more than an expression")
        return found

    def _either(self) -> Expression:
        parts = [self._both()]
        while self._takes("||"):
            parts.append(self._both())
        return (
            parts[0]
            if len(parts) == 1
            else _LabelMatcher(lambda labels: any(part.matches(labels) for part in parts))
        )

    def _both(self) -> Expression:
        parts = [self._one()]
        while self._takes("&&"):
            parts.append(self._one())
        return (
            parts[0]
            if len(parts) == 1
            else _LabelMatcher(lambda labels: all(part.matches(labels) for part in parts))
        )

    def _one(self) -> Expression:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError("too deep")
        try:
            if self._takes("!"):
                negated = self._one()
                return _LabelMatcher(lambda labels: not negated.matches(labels))
            if self._takes("("):
                inner = self._either()
                self._expect(")")
                return inner
            return self._test(self._word())
        finally:
            self._depth -= 1

    def _test(self, word: str) -> Expression:
        if self._takes("("):
            return self._function(word)
        if self._takes("=="):
            value = self._text()
            return _LabelMatcher(lambda labels: labels.get(word) == value)
        if self._takes("!="):
            other = self._text()
            return _LabelMatcher(lambda labels: labels.get(word) != other)
        operator = self._word()
        if operator == "not":
            if self._word() != "in":
                raise ValueError("not what?")
            unwanted = self._texts()
            return _LabelMatcher(lambda labels: labels.get(word) not in unwanted)
        if operator == "in":
            wanted = self._texts()
            return _LabelMatcher(lambda labels: labels.get(word) in wanted)
        return self._part_of_value(word, operator)

    def _function(self, name: str) -> Expression:
        if name == "has":
            label = self._word()
            self._expect(")")
            return _LabelMatcher(lambda labels: label in labels)
        self._expect(")")
        if name == "all":
            return EVERYTHING
        if name == "global":
            return _LabelMatcher(lambda labels: False)
        raise ValueError("no function")

    def _part_of_value(self, label: str, operator: str) -> Expression:
        """`contains`, `starts with` and `ends with`."""
        if operator == "contains":
            part = self._text()
            return _LabelMatcher(lambda labels: part in labels.get(label, "") and label in labels)
        if operator not in ("starts", "ends") or self._word() != "with":
            raise ValueError("no operator")
        end = self._text()
        if operator == "starts":
            return _LabelMatcher(lambda labels: label in labels and labels[label].startswith(end))
        return _LabelMatcher(lambda labels: label in labels and labels[label].endswith(end))

    def _texts(self) -> frozenset[str]:
        self._expect("{")
        found: set[str] = set()
        while not self._takes("}"):
            found.add(self._text())
            if not self._takes(","):
                self._expect("}")
                break
        return frozenset(found)

    def _text(self) -> str:
        token = self._next()
        if token[0] not in "\"'":
            raise ValueError("no text")
        return token[1:-1]

    def _word(self) -> str:
        token = self._next()
        if not (token[0].isalnum() or token[0] in "_./-"):
            raise ValueError("no word")
        return token

    def _next(self) -> str:
        if self._at == len(self._tokens):
            raise ValueError("ends early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _takes(self, mark: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == mark:
            self._at += 1
            return True
        return False

    def _expect(self, mark: str) -> None:
        if not self._takes(mark):
            raise ValueError(f"{mark} is missing")
