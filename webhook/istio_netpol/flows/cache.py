"""Answers that are kept from one analysis of a cluster to the next."""

from __future__ import annotations

from collections.abc import Hashable, Set
from typing import Any


class NamespaceAnswers:
    """Answers with the namespaces that they are about: each holds until one of those changes.

    What an analysis does not ask for is gone after the next one, so that no more is kept than two need.
    """

    def __init__(self) -> None:
        self._now: dict[Hashable, tuple[Set[str], Any]] = {}
        self._before: dict[Hashable, tuple[Set[str], Any]] = {}

    def begin(self) -> None:
        """Starts an analysis."""
        self._before, self._now = self._now, {}

    def find(self, question: Hashable) -> Any:
        """The answer; None where it is not known."""
        found = self._now.get(question)
        if found is None:
            found = self._before.get(question)
            if found is None:
                return None
            self._now[question] = found
        return found[1]

    def keep(self, question: Hashable, namespaces: Set[str], answer: Any) -> None:
        """Remembers an answer, which is not None."""
        self._now[question] = (namespaces, answer)

    @property
    def namespaces(self) -> frozenset[str]:
        """All namespaces that the answers of this analysis are about."""
        return frozenset().union(*(about for about, _ in self._now.values()))

    def forget(self, namespaces: Set[str]) -> None:
        """Drops what is about any of these."""
        for answers in (self._now, self._before):
            for question in [key for key, (about, _) in answers.items() if not about.isdisjoint(namespaces)]:
                del answers[question]
