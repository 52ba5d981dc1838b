"""Who asked for what: from what a change touches to those whom it concerns.

Nothing here ever changes: a change makes another of each, which copies only what it changes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any

from istio_netpol.model.addresses import Address
from istio_netpol.model.labels import Labels, Selector
from istio_netpol.model.references import ObjectKey, ObjectRef
from istio_netpol.state.changes import Change
from istio_netpol.state.persistent_map import PersistentMap
from istio_netpol.state.postings import Postings
from istio_netpol.state.reads import (
    ADDRESSED,
    EVERYWHERE,
    HELD,
    INDEXED,
    PODS,
    Index,
    Read,
    addressed_read,
    existence_read,
    indexed_read,
    labelled_read,
    named_read,
    namespace_read,
    object_read,
    objects_read,
    pods_read,
)

Asker = ObjectKey | Read
"""Who reads: an object whose needs were worked out, or a question, told by what is read of it."""

Move = tuple[Asker, frozenset[Read], frozenset[Read]]
"""An asker with what it read before and what it reads now."""


class Selectors:
    """The selectors by which pods of one namespace, or of all, are read: by one pair of their labels, so that
    a pod is compared with few of them."""

    def __init__(self, by_pair: Postings[tuple[str, str] | None, Selector] | None = None) -> None:
        self._by_pair = Postings[tuple[str, str] | None, Selector]() if by_pair is None else by_pair

    def __bool__(self) -> bool:
        return bool(self._by_pair)

    def matching(self, labels: Labels) -> Iterator[Selector]:
        """Those that match pods with these labels."""
        for pair in (None, *labels.items()):
            for selector in self._by_pair.at(pair):
                if selector.matches(labels):
                    yield selector

    def moved(self, come: Iterable[Selector], gone: Iterable[Selector]) -> Selectors:
        """The selectors after some came and some are read no more."""
        nowhere: frozenset[tuple[str, str] | None] = frozenset()
        moves = [(selector, nowhere, _pairs_of(selector)) for selector in come]
        moves += [(selector, _pairs_of(selector), nowhere) for selector in gone]
        return Selectors(self._by_pair.moved(moves))


def _pairs_of(selector: Selector) -> frozenset[tuple[str, str] | None]:
    """The label under which a selector is found; None where it names none with its value."""
    return frozenset((next(iter(selector.match_labels), None),))


class Dependencies:
    """The readers of everything that was read."""

    def __init__(
        self,
        readers: Postings[Read, Asker] | None = None,
        selectors: PersistentMap[str, Selectors] | None = None,
        indexes: Mapping[type, frozenset[Index]] | None = None,
        addresses: PersistentMap[Address, None] | None = None,
        held: Mapping[Any, frozenset[Read]] | None = None,
    ) -> None:
        self.readers = Postings[Read, Asker]() if readers is None else readers
        self._selectors = PersistentMap[str, Selectors]() if selectors is None else selectors
        self._indexes = indexes or {}
        self._addresses = PersistentMap[Address, None]() if addresses is None else addresses
        self._held = held or {}

    def moved(self, moves: Iterable[Move]) -> Dependencies:
        """The dependencies after these owners were asked anew."""
        moves = list(moves)
        readers = self.readers.moved(moves)
        groups = {group for _, before, after in moves for group in (before, after)}
        touched = {
            read for group in groups if self.readers.has(group) != readers.has(group) for read in group
        }
        if not touched:
            return Dependencies(readers, self._selectors, self._indexes, self._addresses, self._held)
        come = [read for read in touched if read in readers and read not in self.readers]
        gone = [read for read in touched if read in self.readers and read not in readers]
        return Dependencies(
            readers,
            self._selectors_after(come, gone),
            self._indexes_after(come),
            self._addresses.after(dict.fromkeys(_addresses_of(come)), _addresses_of(gone)),
            self._held_after(come, gone),
        )

    def _selectors_after(self, come: Iterable[Read], gone: Iterable[Read]) -> PersistentMap[str, Selectors]:
        changed: dict[str, tuple[list[Any], list[Any]]] = {}
        for part, reads in enumerate((come, gone)):
            for read in reads:
                if read.what == PODS:
                    changed.setdefault(read.namespace, ([], []))[part].append(read.subject)
        if not changed:
            return self._selectors
        after = {home: self._selectors.get(home, Selectors()).moved(*both) for home, both in changed.items()}
        left = {home: selectors for home, selectors in after.items() if selectors}
        return self._selectors.after(left, [home for home in after if home not in left])

    def _indexes_after(self, come: Iterable[Read]) -> Mapping[type, frozenset[Index]]:
        indexes = dict(self._indexes)
        for index in {read.of for read in come if read.what in (INDEXED, HELD) and read.of != PODS}:
            indexes[index.type] = indexes.get(index.type, frozenset()) | {index}
        return indexes

    def _held_after(self, come: Iterable[Read], gone: Iterable[Read]) -> Mapping[Any, frozenset[Read]]:
        held = dict(self._held)
        for index, reads in _held_by_index(come).items():
            held[index] = held.get(index, frozenset()).union(reads)
        for index, reads in _held_by_index(gone).items():
            held[index] = held[index].difference(reads)
        return held

    def touched(self, change: Change) -> set[Read]:
        """What was read and a change touches."""
        return {read for read in self._candidates(change) if read in self.readers}

    def _candidates(self, change: Change) -> Iterator[Read]:
        for version in change.versions():
            type_, ref = type(version), version.ref
            yield object_read(type_, ref.namespace, ref.kind, ref.name)
            yield objects_read(type_, ref.namespace)
            yield objects_read(type_)
            for index in self._indexes.get(type_, ()):
                keys = set(index.keys_of(version))
                yield from (indexed_read(index, key) for key in keys)
                yield from self._held_with(index, keys)
        for pods in change.pods:
            yield named_read(pods.namespace, pods.ref.kind, pods.name)
            for home in (pods.namespace, EVERYWHERE):
                selectors = self._selectors.get(home)
                for selector in selectors.matching(pods.labels) if selectors else ():
                    yield pods_read(selector, home)
            if self._addresses:  # most clusters name no address of a pod, and a class may have thousands
                known = self._addresses
                yield from (addressed_read(address) for address in pods.addresses if address in known)
            if PODS in self._held:
                yield from self._held_with(PODS, set(pods.addresses))
        for before, after in change.namespaces:
            yield namespace_read(after.name)
            yield from (labelled_read(label) for label in before.labels.keys() | after.labels.keys())
        yield from (existence_read(name) for name in change.founded)

    def _held_with(self, index: Any, keys: set[Hashable]) -> Iterator[Read]:
        """The reads of many keys of an index, or of pods' addresses, among which is one of these."""
        for read in self._held.get(index, ()):
            if isinstance(read.subject, frozenset) and not read.subject.isdisjoint(keys):
                yield read

    def names(self, ref: ObjectRef) -> bool:
        """Whether anybody asked for pods by the name of this object."""
        return named_read(ref.namespace, ref.kind, ref.name) in self.readers

    def questions_on(self, reads: Iterable[Read]) -> set[Read]:
        """The questions that rest on any of these, and on the questions among them."""
        found: set[Read] = set()
        left = list(reads)
        while left:
            more = {asker for asker in self.readers.at(left.pop()) if isinstance(asker, Read)} - found
            found |= more
            left += more
        return found

    def objects_on(self, reads: Iterable[Read]) -> set[ObjectKey]:
        """The objects whose needs rest on any of these themselves."""
        return {asker for read in reads for asker in self.readers.at(read) if not isinstance(asker, Read)}


def _held_by_index(reads: Iterable[Read]) -> dict[Any, list[Read]]:
    """The reads of many keys among these, by what has the keys: a cluster may have thousands of them."""
    found: dict[Any, list[Read]] = {}
    for read in reads:
        if read.what == HELD:
            found.setdefault(read.of, []).append(read)
    return found


def _addresses_of(reads: Iterable[Read]) -> Iterator[Address]:
    """The addresses at which pods are looked for."""
    return (read.subject for read in reads if read.what == ADDRESSED and isinstance(read.subject, Address))
