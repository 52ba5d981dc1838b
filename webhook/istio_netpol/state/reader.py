"""Queries of a cluster that note what was asked, and questions whose answers are kept as long as they hold.

Whoever derives something asks a `Reader`; it has no other way to the objects. A question is a derived answer
that many ask for: who asks notes the question, and the question notes what it read itself. So a change is
followed from the objects that differ to the questions that rest on them, and no further where their answers
come out the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from functools import update_wrapper
from typing import Any, NamedTuple, Protocol, TypeVar, TypeVarTuple

from istio_netpol.model.addresses import Address
from istio_netpol.model.labels import EVERYTHING, Selector
from istio_netpol.model.workloads import Namespace, Workload
from istio_netpol.state.reads import (
    EVERYWHERE,
    QUESTION,
    Index,
    Read,
    addressed_read,
    existence_read,
    held_addresses_read,
    held_read,
    indexed_read,
    labelled_read,
    named_read,
    namespace_read,
    object_read,
    objects_read,
    pods_read,
)
from istio_netpol.state.snapshot import Snapshot

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class Answer(NamedTuple):
    """The answer to a question, and what it rests on."""

    value: Any
    reads: frozenset[Read]


EarlierAnswers = Mapping[Read, Answer]
NO_ANSWERS: EarlierAnswers = {}


class Reader:
    """One snapshot behind queries. `answers` are those of an earlier snapshot, `stale` the questions among
    them that must be asked anew; `found` are the answers that were worked out here."""

    def __init__(
        self, snapshot: Snapshot, answers: EarlierAnswers = NO_ANSWERS, stale: Collection[Read] = frozenset()
    ) -> None:
        self._snapshot = snapshot
        self._answers = answers
        self._stale = stale
        self._parts: dict[str, Any] = {}
        self._noted: set[Read] = set()
        self._lacking: dict[Read, bool] = {}
        self._known_reads: dict[Read, Read] = {}
        self._known_sets: dict[frozenset[Read], frozenset[Read]] = {}
        self.found: dict[Read, Answer] = {}

    def noting(self, work: Callable[[], T]) -> tuple[T, frozenset[Read]]:
        """What a piece of work comes to, and all that it asked. What fails has asked, too: that is noted of
        whoever wanted it."""
        outer, self._noted = self._noted, set()
        try:
            return work(), self._shared(self._noted)
        except Exception:
            outer |= self._noted
            raise
        finally:
            self._noted = outer

    def _shared(self, noted: set[Read]) -> frozenset[Read]:
        """These reads; the same ones are one value, since many objects ask the same."""
        reads = frozenset(noted)
        found = self._known_sets.get(reads)
        if found is None:
            known = self._known_reads
            found = frozenset([known.setdefault(read, read) for read in noted])
            self._known_sets[found] = found
        return found

    def note(self, reads: Iterable[Read]) -> None:
        """Counts as asked what an earlier piece of work asked."""
        self._noted.update(reads)

    # Objects

    def find(self, type_: type[T], namespace: str, name: str, kind: str = "") -> T | None:
        """The object of a type by name; `kind` tells apart types that stand for several kinds."""
        self._noted.add(object_read(type_, namespace, kind or type_.__name__, name))
        return self._snapshot.find(type_, namespace, name, kind)

    def all(self, type_: type[T], namespace: str) -> tuple[T, ...]:
        """A namespace's objects of a type, sorted by kind and name."""
        self._noted.add(objects_read(type_, namespace))
        return self._snapshot.of_type(type_, namespace)

    def every(self, type_: type[T]) -> Iterator[T]:
        """All objects of a type, sorted by namespace, kind and name."""
        self._noted.add(objects_read(type_))
        return self._snapshot.every(type_)

    def by_key(self, index: Index, *keys: Hashable) -> Iterator[Any]:
        """The objects that an index has under any of these keys, sorted by namespace."""
        self._noted.update(indexed_read(index, key) for key in keys)
        return self._snapshot.by_key(index, keys)

    def held(self, index: Index, keys: frozenset[Hashable]) -> frozenset[Hashable]:
        """Those of many keys that an index has, as one read."""
        self._noted.add(held_read(index, keys))
        return self._snapshot.held(index, keys)

    def lacks(self, index: Index, key: Hashable) -> bool:
        """Whether an index has nothing under a key. Noted where that is so: elsewhere whoever asks goes on to
        ask for what is there."""
        read = indexed_read(index, key)
        found = self._lacking.get(read)
        if found is None:
            found = self._lacking[read] = next(self._snapshot.by_key(index, (key,)), None) is None
        if found:
            self._noted.add(read)
        return found

    # Namespaces

    def namespace(self, name: str) -> Namespace:
        """The namespace of that name; an implied one where nothing of it was read."""
        self._noted.add(namespace_read(name))
        return self._snapshot.namespace(name)

    def has_namespace(self, name: str) -> bool:
        """Whether anything of a namespace was read."""
        self._noted.add(existence_read(name))
        return self._snapshot.has(name)

    def namespaces_labelled(self, label: str) -> tuple[str, ...]:
        """The names of the namespaces that carry a label, sorted."""
        self._noted.add(labelled_read(label))
        return self._snapshot.namespaces_labelled(label)

    # Pods

    def pods(self, namespace: str, selector: Selector = EVERYTHING) -> tuple[Workload, ...]:
        """The classes of pods of a namespace that a selector matches, hostNetwork ones included."""
        if not self.has_namespace(namespace):
            return ()
        self._noted.add(pods_read(selector, namespace))
        return self._snapshot.select(namespace, selector)

    def pods_named(self, namespace: str, kind: str, name: str) -> tuple[Workload, ...]:
        """The classes of pods that carry the name of an object: a controller's, or a pod's of its own."""
        self._noted.add(named_read(namespace, kind, name))
        return self._snapshot.workloads_named(namespace, kind, name)

    def pods_anywhere(self, selector: Selector = EVERYTHING) -> tuple[Workload, ...]:
        """The classes of pods of all namespaces that a selector matches."""
        self._noted.add(pods_read(selector))
        if selector == EVERYTHING:
            return tuple(self._snapshot.every_workload())
        return self._snapshot.select_anywhere(selector)

    def pods_at(self, address: Address) -> tuple[Workload, ...]:
        """The classes of pods of which one is at an address, those of the host's network left out."""
        self._noted.add(addressed_read(address))
        return self._snapshot.pods_at(address)

    def held_addresses(self, addresses: frozenset[Address]) -> frozenset[Hashable]:
        """Those of many addresses at which there are pods, as one read."""
        self._noted.add(held_addresses_read(addresses))
        return self._snapshot.held_addresses(addresses)

    # Questions

    def take(self, part: Any) -> None:
        """Lets a part answer the questions that its class has."""
        self._parts[type(part).__name__] = part

    def ask(self, asked: Read) -> Any:
        """The answer to a question: one that holds still, or a new one."""
        self._noted.add(asked)
        found = self.found.get(asked) or self.answer(asked)
        return found.value

    def answer(self, asked: Read) -> Answer:
        """The same with what it rests on, unnoted. Where a new answer equals an earlier one, that one is
        kept."""
        found = self.found.get(asked)
        if found is not None:
            return found
        known = self._answers.get(asked)
        if known is not None and asked not in self._stale:
            return known
        value, reads = self.noting(lambda: self._worked_out(asked))
        if known is not None and known.value == value:
            value = known.value
        found = self.found[asked] = Answer(value, reads)
        return found

    def keep(self, asked: Read) -> None:
        """Takes an earlier answer for one that holds, though it could have been stale."""
        self.found[asked] = self._answers[asked]

    def _worked_out(self, asked: Read) -> Any:
        part, _, method = asked.of.partition(".")
        found = self._parts[part]
        arguments: tuple[Hashable, ...] = asked.subject  # type: ignore[assignment]
        return getattr(type(found), method).work_out(found, *arguments)


class _Questioned(Protocol):
    """What has questions: a class whose instances answer by one reader."""

    @property
    def reader(self) -> Reader: ...


S = TypeVar("S", bound=_Questioned)


def question(method: Callable[[S, *Arguments], T]) -> Callable[[S, *Arguments], T]:
    """Makes a method a question: worked out once for the same arguments, and again when what it read
    changed.

    Its arguments are hashable and given by position; it depends on them and on what it asks the reader,
    nothing else.
    """
    name = method.__qualname__

    def asked(self: S, *arguments: *Arguments) -> T:
        found: T = self.reader.ask(Read(QUESTION, name, EVERYWHERE, arguments))
        return found

    update_wrapper(asked, method)
    asked.work_out = method  # type: ignore[attr-defined]
    return asked
