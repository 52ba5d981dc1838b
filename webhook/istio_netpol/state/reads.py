"""The queries that can be asked of a cluster, as values: who asked for what tells whom a change concerns."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Final, NamedTuple

from msgspec import Struct

from istio_netpol.model.addresses import Address
from istio_netpol.model.labels import Selector


class Index(Struct, frozen=True, eq=False):
    """Objects of a type by the keys under which they are looked for. `keys_of` depends on the object
    alone."""

    name: str
    type: type[Any]
    keys_of: Callable[[Any], Iterable[Hashable]]


EVERYWHERE: Final = ""
"""Where a read has no namespace."""

OBJECT: Final = "object"
OBJECTS: Final = "objects"
INDEXED: Final = "indexed"
HELD: Final = "held"
PODS: Final = "pods"
NAMED: Final = "named"
NAMESPACE: Final = "namespace"
EXISTENCE: Final = "existence"
LABELLED: Final = "labelled"
ADDRESSED: Final = "addressed"
QUESTION: Final = "question"


class Read(NamedTuple):
    """One thing that was asked: `what` is one of the words above, `of` a type, an index or the name of a
    question, `subject` a name, a key, a selector or arguments."""

    what: str
    of: Any
    namespace: str
    subject: Hashable = ""


def object_read(type_: type[Any], namespace: str, kind: str, name: str) -> Read:
    """An object by its name, existing or not."""
    return Read(OBJECT, type_, namespace, (kind, name))


def objects_read(type_: type[Any], namespace: str = EVERYWHERE) -> Read:
    """All objects of a type in a namespace, or everywhere."""
    return Read(OBJECTS, type_, namespace)


def indexed_read(index: Index, key: Hashable) -> Read:
    """What an index has under a key."""
    return Read(INDEXED, index, EVERYWHERE, key)


def held_read(index: Index, keys: frozenset[Hashable]) -> Read:
    """Which of many keys an index has."""
    return Read(HELD, index, EVERYWHERE, keys)


def pods_read(selector: Selector, namespace: str = EVERYWHERE) -> Read:
    """The classes of pods that a selector matches."""
    return Read(PODS, "", namespace, selector)


def named_read(namespace: str, kind: str, name: str) -> Read:
    """The classes of pods that carry the name of an object."""
    return Read(NAMED, "", namespace, (kind, name))


def namespace_read(name: str) -> Read:
    """A namespace's labels and state."""
    return Read(NAMESPACE, "", name)


def existence_read(name: str) -> Read:
    """Whether anything of a namespace was read."""
    return Read(EXISTENCE, "", name)


def labelled_read(label: str) -> Read:
    """Which namespaces carry a label, and in which state they are."""
    return Read(LABELLED, "", EVERYWHERE, label)


def held_addresses_read(addresses: frozenset[Address]) -> Read:
    """At which of many addresses there are pods."""
    return Read(HELD, PODS, EVERYWHERE, addresses)


def addressed_read(address: Address) -> Read:
    """The classes of pods of which one is at an address."""
    return Read(ADDRESSED, "", EVERYWHERE, address)
