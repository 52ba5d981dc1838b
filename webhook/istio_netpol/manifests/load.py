"""All objects of an input, with all of its problems at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from istio_netpol.errors import Problem
from istio_netpol.manifests.decode import decode, is_known
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.model.references import ObjectRef

KindName = tuple[str, str]
"""An apiVersion and a kind."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Model values, problems sorted by file and line, and how many objects there are of each apiVersion and
    kind that no rule reads."""

    objects: tuple[Any, ...]
    problems: tuple[Problem, ...]
    skipped: Mapping[KindName, int]


def load(documents: Iterable[RawObject | Problem], default_namespace: str = "default") -> Loaded:
    """Decodes documents one by one; the same object twice is a problem: nobody can say which one counts."""
    objects: list[Any] = []
    problems: list[Problem] = []
    skipped: Counter[KindName] = Counter()
    seen: dict[tuple[str, str, str, str], ObjectRef] = {}
    for document in documents:
        if isinstance(document, Problem):
            problems.append(document)
            continue
        if not is_known(document):
            skipped[str(document.content.get("apiVersion")), str(document.content.get("kind"))] += 1
            continue
        values, found = decode(document, default_namespace)
        problems += found
        twice = _repeated(values, seen)
        if twice is None:
            objects += values
        else:
            problems.append(twice)
    problems.sort(key=lambda problem: (problem.file, problem.line or 0))
    return Loaded(tuple(objects), tuple(problems), dict(sorted(skipped.items())))


def joined(parts: Iterable[Loaded]) -> Loaded:
    """The inputs of several files as one; the same object in two of them is a problem."""
    objects: list[Any] = []
    problems: list[Problem] = []
    skipped: Counter[KindName] = Counter()
    seen: dict[tuple[str, str, str, str], ObjectRef] = {}
    for part in parts:
        problems += part.problems
        skipped.update(part.skipped)
        for value in part.objects:
            first = seen.setdefault(value.ref.key, value.ref)
            if first is value.ref:
                objects.append(value)
            else:
                problems.append(_same_object(value.ref, first))
    problems.sort(key=lambda problem: (problem.file, problem.line or 0))
    return Loaded(tuple(objects), tuple(problems), dict(sorted(skipped.items())))


def _repeated(values: list[Any], seen: dict[tuple[str, str, str, str], ObjectRef]) -> Problem | None:
    if not values:
        return None
    ref: ObjectRef = values[0].ref
    first = seen.setdefault(ref.key, ref)
    if first is ref:
        return None
    return _same_object(ref, first)


def _same_object(ref: ObjectRef, first: ObjectRef) -> Problem:
    place = f"{first.file}:{first.line}" if first.line else first.file
    cause = f"is the same object as the one at {place}"
    return Problem(ref.file, ref.line or None, str(ref), None, None, cause, "keep one of them")
