"""The errors of this package: one tree, and the problem that an unusable input is told by.

    NetpolError
    ├── InputError      an input can't be used; lists every problem found, not only the first
    ├── SettingsError   the settings contradict each other or can't be read
    ├── ApiError        the Kubernetes API refused a request or could not be reached
    └── ToolError       an external program is missing or failed

A denied connection is a value, not an error: see `istio_netpol.model`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from msgspec import Struct

from istio_netpol.printable import visible

_T = TypeVar("_T")


class NetpolError(Exception):
    """Whatever this package raises on purpose."""


class Problem(Struct, frozen=True):
    """What is wrong with one place of one input, and what to do about it.

    `line` counts from 1, `object` reads `Deployment shop/cart`, `field` is a path such as
    `spec.ports[0].port`.
    """

    file: str
    line: int | None
    object: str | None
    field: str | None
    value: str | None
    cause: str
    remedy: str | None

    @classmethod
    def of(cls, file: str, cause: str, remedy: str | None = None) -> Problem:
        """A problem with the whole of a file, or with what stands in its place, such as the arguments."""
        return cls(file, None, None, None, None, cause, remedy)

    def __str__(self) -> str:
        """What is known of `shop.yaml:12: Service shop/cart: spec.ports[0].port = 0: <cause>; <remedy>`."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        field = " = ".join(part for part in (self.field, self.value) if part is not None)
        sentence = self.cause if self.remedy is None else f"{self.cause}; {self.remedy}"
        return visible(": ".join(part for part in (place, self.object, field, sentence) if part))


class InputError(NetpolError):
    """Inputs that can't be used, with all their problems."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        """One problem a line."""
        return "\n".join(str(problem) for problem in self.problems)


def all_told(*questions: Callable[[], _T]) -> list[_T]:
    """The answers to all questions. Raises InputError with what is wrong by any of them, not only the
    first."""
    answers: list[_T] = []
    problems: list[Problem] = []
    for question in questions:
        try:
            answers.append(question())
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(dict.fromkeys(problems))
    return answers


class SettingsError(NetpolError):
    """Settings that contradict each other or can't be read."""


class ApiError(NetpolError):
    """The Kubernetes API refused a request, or could not be reached: then `status` is 0."""

    def __init__(self, status: int, sentence: str) -> None:
        self.status = status
        super().__init__(sentence)


class ToolError(NetpolError):
    """An external program that is missing or failed."""
