"""An immutable, indexed view of a cluster.

A `Snapshot` maps namespaces to their `NamespaceObjects`. A change copies what it touches of that mapping
and of the objects of its namespaces, nothing else; answers that span namespaces are kept per namespace, so
that a change makes only its own namespaces' part of them stale.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, Self, TypeVar
from weakref import WeakKeyDictionary

from istio_netpol.model.addresses import Address, AddressSet
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.connections import Protocol
from istio_netpol.model.labels import EVERYTHING, Selector
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Service
from istio_netpol.model.tiers import TierPolicy
from istio_netpol.model.workloads import Namespace, Workload, implied_namespace
from istio_netpol.state.beyond_ip_blocks import beyond_ip_blocks
from istio_netpol.state.class_index import ClassIndex, ClassKey
from istio_netpol.state.namespace import NamespaceObjects
from istio_netpol.state.network import AS_DOCUMENTED, ClusterNetwork
from istio_netpol.state.persistent_map import EMPTY, PersistentMap
from istio_netpol.state.reads import Index
from istio_netpol.state.spanning_answers import NAMESPACES, PODS, PODS_BY_ADDRESS, SpanningAnswers
from istio_netpol.state.spread import Spread
from istio_netpol.state.tier_index import TierIndex

T = TypeVar("T")

CLUSTER_SCOPE = ""
"""The place of objects without a namespace (Nodes)."""

PinnedClasses = WeakKeyDictionary[NamespaceObjects, ClassIndex]
"""The classes of pods of places, as some labels tell them apart."""

_OF_CLASSES = (PODS, PODS_BY_ADDRESS)
"""Answers that are made of classes, so that they end with the labels that tell these apart."""


class Snapshot:
    """Objects by namespace, with the indexes that evaluation and flow rules need. Never changes;
    `with_changes` makes another.

    Once indexed, a snapshot is what its changes go by: an answer that is first asked of one of them is made
    here, where the next finds it.
    """

    def __init__(
        self,
        places: PersistentMap[str, NamespaceObjects],
        answers: SpanningAnswers | None = None,
        origin: Snapshot | None = None,
        network: ClusterNetwork = AS_DOCUMENTED,
        classes: PinnedClasses | None = None,
        told: frozenset[str] | None = None,
    ) -> None:
        self._places = places
        self.network = network
        """How the cluster's plugin judges its policies."""
        self._answers = SpanningAnswers(places) if answers is None else answers
        self._origin = origin
        self._classes: PinnedClasses = WeakKeyDictionary() if classes is None else classes
        self._told = told
        self._is_indexed = False

    @classmethod
    def of(cls, objects: Iterable[ClusterObject]) -> Snapshot:
        """A snapshot of decoded objects; where two have the same reference the later one counts."""
        grouped: dict[str, list[ClusterObject]] = {}
        for value in objects:
            grouped.setdefault(home_of(value), []).append(value)
        return cls(
            PersistentMap(
                (name, NamespaceObjects.of(implied_namespace(name), members))
                for name, members in sorted(grouped.items())
            )
        )

    def with_changes(
        self, put: Iterable[ClusterObject] = (), remove: Iterable[ClusterObject] = ()
    ) -> Snapshot:
        """The snapshot after objects were stored or deleted; both are decoded objects."""
        puts: dict[str, list[ClusterObject]] = {}
        removes: dict[str, list[ClusterObject]] = {}
        for value in put:
            puts.setdefault(home_of(value), []).append(value)
        for value in remove:
            removes.setdefault(home_of(value), []).append(value)
        changes: dict[str, frozenset[type] | None] = {}
        places: dict[str, NamespaceObjects] = {}
        for name in puts.keys() | removes.keys():
            members = puts.get(name, []), removes.get(name, [])
            before = self._places.get(name)
            after = (before or NamespaceObjects.of(implied_namespace(name), ())).with_changes(*members)
            if after is before:
                continue
            changes[name] = frozenset(type(value) for part in members for value in part) if before else None
            if after.object_count:
                places[name] = after
            elif before:
                changes[name] = None
            else:
                del changes[name]
        if not changes:
            return self
        after_all = self._places.after(places, [name for name in changes if name not in places])
        answers = self._answers.after(after_all, changes, by_these=self._is_indexed)
        origin = self if self._is_indexed else self._origin
        return Snapshot(after_all, answers, origin, self.network, self._classes, self._told)

    def judged_by(self, network: ClusterNetwork) -> Snapshot:
        """The same objects in a cluster with this network; so are its changes."""
        if network == self.network:
            return self
        origin, told = self if self._is_indexed else self._origin, self.distinguishing
        answers = self._answers.copied(by_these=self._is_indexed)
        return Snapshot(self._places, answers, origin, network, self._classes, told)

    @cached_property
    def as_documented(self) -> Snapshot:
        """The same objects, to be judged as the documentation of Kubernetes has it."""
        return self.judged_by(AS_DOCUMENTED)

    @cached_property
    def beyond_ip_blocks(self) -> AddressSet:
        """The addresses that no ipBlock matches, whatever it names: see `state/beyond_ip_blocks.py`."""
        return beyond_ip_blocks(self)

    def index(self) -> None:
        """Makes the indexes of every namespace now, so that changes of this snapshot only add to them."""
        for place in self._places.values():
            place.index(self.distinguishing)
        self.indexed()

    def indexed(self) -> Self:
        """The snapshot itself, which its changes go by from now on: for one whose namespaces have indexes of
        their own, or what is left of earlier ones."""
        if self._is_indexed:
            return self
        if self._origin is None or self._origin.distinguishing != self.distinguishing:
            for place in self._places.values():
                place.follow(self.distinguishing)
        self._origin = None
        self._answers.settle()
        self._is_indexed = True
        return self

    @property
    def namespace_names(self) -> tuple[str, ...]:
        return tuple(sorted(name for name in self._places if name != CLUSTER_SCOPE))

    def namespace(self, name: str) -> Namespace:
        """The namespace of that name; an implied one where nothing of it was read."""
        place = self._places.get(name)
        return place.namespace if place else implied_namespace(name)

    def has(self, namespace: str) -> bool:
        """Whether anything of a namespace was read."""
        return namespace != CLUSTER_SCOPE and namespace in self._places

    def place(self, namespace: str) -> NamespaceObjects:
        return self._places.get(namespace) or NamespaceObjects.of(implied_namespace(namespace), ())

    def find(self, type_: type[T], namespace: str, name: str, kind: str = "") -> T | None:
        """The object of a type by name; `kind` tells apart types that stand for several kinds."""
        place = self._places.get(namespace)
        return place.find(type_, name, kind) if place else None

    def at(self, type_: type[T], ref: ObjectRef) -> T | None:
        """The object of a type that a reference names, of its API group where kinds of several are of that
        type."""
        place = self._places.get(ref.namespace)
        return place.at(type_, ref) if place else None

    def names(self, ref: ObjectRef) -> bool:
        """Whether an object of this reference was read, and not just told of by what it owns."""
        place = self._places.get(ref.namespace)
        return place is not None and place.names(ref)

    def holds(self, value: ClusterObject) -> bool:
        """Whether the snapshot has this object, and as it is here."""
        place = self._places.get(home_of(value))
        return place is not None and place.holds(value)

    def of_type(self, type_: type[T], namespace: str) -> tuple[T, ...]:
        """A namespace's objects of a type as they were read, sorted by kind and name."""
        place = self._places.get(namespace)
        return place.of_type(type_) if place else ()

    def every(self, type_: type[T]) -> Iterator[T]:
        """All objects of a type, sorted by namespace, kind and name."""
        answers = self._answers.kept(("type", type_), (type_,), lambda place: place.of_type(type_)).answers
        for name in sorted(answers):
            yield from answers[name]

    def workloads(self, namespace: str) -> tuple[Workload, ...]:
        """The classes of pods of a namespace."""
        classes = self._classes_of(namespace)
        return classes.workloads if classes else ()

    def workloads_named(self, namespace: str, kind: str, name: str) -> tuple[Workload, ...]:
        """The classes of pods of one name: a controller's, or a pod's of its own."""
        classes = self._classes_of(namespace)
        return classes.named(kind, name) if classes else ()

    def class_with(self, workload: Workload) -> Workload | None:
        """The class of pods that a workload of that kind and name is of."""
        classes = self._classes_of(workload.namespace)
        return classes.with_member((workload.ref.kind, workload.name)) if classes else None

    def is_alone(self, pods: Workload) -> bool:
        """Whether a class of pods is one member alone, which nobody owns and which owns nobody."""
        classes = self._classes_of(pods.namespace)
        return classes is not None and classes.is_alone(pods)

    def alike(self, pods: Workload) -> Iterator[Workload]:
        """Other classes that are one member alone and say the same as these pods, all but the name: a few at
        most."""
        classes = self._classes_of(pods.namespace)
        return classes.alike(pods) if classes else iter(())

    def family(self, namespace: str, kind: str, name: str) -> tuple[Workload, ...]:
        """The classes of the pods that share a root: the first carries its name, the others a pod's."""
        classes = self._classes_of(namespace)
        return classes.family((kind, name)) if classes else ()

    def families_of(self, namespace: str, keys: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """The roots of members of a namespace, and of all that they own, by kind and name."""
        classes = self._classes_of(namespace)
        return classes.families_of(keys) if classes else set()

    def class_map(self, namespace: str) -> PersistentMap[ClassKey, Workload]:
        """The classes of pods of a namespace by what tells them apart; compares quickly with that of another
        snapshot."""
        classes = self._classes_of(namespace)
        return classes.classes if classes else EMPTY

    def root(self, workload: Workload) -> ObjectRef:
        """The object that a person would edit to change these pods; its name is that of their class."""
        place = self._places.get(workload.namespace)
        return place.root(workload) if place else workload.ref

    def _classes_of(self, namespace: str) -> ClassIndex | None:
        """The classes of pods of a namespace, the same ones as long as the snapshot lives."""
        place: NamespaceObjects | None = self._places.get(namespace)
        if place is None:
            return None
        distinguishing = self.distinguishing
        found = self._classes.get(place)
        if found is None:
            found = self._classes.setdefault(place, place.classes(distinguishing))
        return found

    def every_workload(self) -> Iterator[Workload]:
        for name in self.namespace_names:
            yield from self.workloads(name)

    def select(self, namespace: str, selector: Selector) -> tuple[Workload, ...]:
        """The workloads of a namespace that a pod selector matches, hostNetwork ones included."""
        classes = self._classes_of(namespace)
        return classes.select(selector) if classes else ()

    def select_anywhere(self, selector: Selector) -> tuple[Workload, ...]:
        """The workloads of all namespaces that a pod selector matches."""
        _ = self.distinguishing  # which drops what others told apart
        answers = self._answers.own(
            (PODS, selector), (Workload,), lambda place: self.select(place.namespace.name, selector)
        ).answers
        return tuple(workload for name in sorted(answers) for workload in answers[name])

    def select_namespaces(self, selector: Selector) -> frozenset[str]:
        """The names of the namespaces whose labels a selector matches."""
        answers = self._answers.own(
            (NAMESPACES, selector),
            (Namespace,),
            lambda place: (True,) if selector.matches(place.namespace.labels) else (),
        ).answers
        return frozenset(name for name in answers if name != CLUSTER_SCOPE)

    def namespaces_labelled(self, label: str) -> tuple[str, ...]:
        """The names of the namespaces that carry a label, sorted."""
        key = ("labelled", label)
        answers = self._answers.kept(
            key, (Namespace,), lambda place: (True,) if label in place.namespace.labels else ()
        )
        return tuple(sorted(answers.answers))

    def by_namespace(
        self, key: str, types: tuple[type, ...], compute: Callable[[NamespaceObjects], tuple[Any, ...]]
    ) -> Mapping[str, tuple[Any, ...]]:
        """What each namespace adds to an answer, where it adds anything; kept under `key` across changes
        of other namespaces and other types.

        `compute` must depend on objects of these types in the place alone, and must be the same for the same
        key.
        """
        return self._answers.kept(("by namespace", key), types, compute).answers

    def by_key(self, index: Index, keys: Sequence[Hashable]) -> Iterator[Any]:
        """What all namespaces have under these keys of an index, sorted by namespace, without asking each of
        them."""
        return self._indexed(index).under(keys)

    def held(self, index: Index, keys: frozenset[Hashable]) -> frozenset[Hashable]:
        """Those of the keys that an index has."""
        return self._indexed(index).held(keys)

    def _indexed(self, index: Index) -> Spread:
        return self._answers.kept(
            ("by key", index), (index.type,), lambda place: _by_key(place, index), named=True
        )

    def pods_at(self, address: Address) -> tuple[Workload, ...]:
        """The classes of pods of which one is at an address, sorted by namespace; those of the host's network
        have none of their own."""
        return tuple(self._pods_by_address().under((address,)))

    def held_addresses(self, addresses: frozenset[Address]) -> frozenset[Hashable]:
        """Those of the addresses at which there are pods."""
        return self._pods_by_address().held(addresses)

    def _pods_by_address(self) -> Spread:
        ask, origin = self._answers.own, self._origin
        if origin is not None and origin.distinguishing == self.distinguishing:
            # Classes are the snapshot's own: what the origin keeps is made of those that it has itself.
            origin._pods_by_address()
            ask = self._answers.kept
        return ask(
            (PODS_BY_ADDRESS,),
            (Workload,),
            lambda place: _by_address(self.workloads(place.namespace.name)),
            named=True,
        )

    def isolates_all(self, namespace: str, direction: Direction) -> bool:
        """Whether every pod of the namespace, those to come included, is isolated: some policy selects
        all."""
        return any(
            direction in policy.policy_types and policy.pod_selector == EVERYTHING
            for policy in self.place(namespace).policies
        )

    def every_object(self) -> Iterator[ClusterObject]:
        """All that was read, in no order."""
        return chain.from_iterable(place.members() for place in self._places.values())

    @property
    def object_count(self) -> int:
        """How many objects were read."""
        return sum(place.object_count for place in self._places.values())

    def policies_for(self, workload: Workload) -> tuple[NetworkPolicy, ...]:
        """The policies of the workload's namespace whose podSelector matches it; none for hostNetwork
        pods."""
        place = self._places.get(workload.namespace)
        return place.policies_for(workload) if place else ()

    @cached_property
    def _tiers(self) -> TierIndex:
        return TierIndex(self.of_type(TierPolicy, CLUSTER_SCOPE))

    @property
    def tier_policies(self) -> tuple[TierPolicy, ...]:
        """The policies of the Admin and Baseline tiers in the order in which they are asked."""
        return self._tiers.policies

    def tiers_for(self, workload: Workload) -> tuple[TierPolicy, ...]:
        """The policies of the tiers whose subject the workload's pods are, in the order in which they are
        asked; none for hostNetwork pods: "host-networked pods are not included in subject selection"."""
        if not self._tiers.policies or workload.host_network:
            return ()
        return self._tiers.on(workload, self.namespace(workload.namespace))

    def tiers_concerning(
        self, workload: Workload, direction: Direction, protocol: Protocol, port: int
    ) -> tuple[TierPolicy, ...]:
        """Those of `tiers_for` of which some rule may match connections to a port."""
        tiers = self.tiers_for(workload)
        return self._tiers.concerning(tiers, direction, protocol, port) if tiers else ()

    @cached_property
    def distinguishing(self) -> frozenset[str]:
        """The labels of single pods of a controller that some selector tells apart."""
        types = (NetworkPolicy, Service, TierPolicy)
        spread = self._answers.kept(("distinguishing",), types, lambda place: tuple(place.distinguishing))
        found = frozenset(key for keys in spread.answers.values() for key in keys)
        if found != self._told:
            # The classes of the snapshot before, and what was answered with them, are others.
            self._classes = WeakKeyDictionary()
            self._answers.forget(_OF_CLASSES)
        self._told = found
        return found


def _by_key(place: NamespaceObjects, index: Index) -> tuple[Mapping[Hashable, Sequence[Any]], ...]:
    """A namespace's part of an index."""
    found: dict[Hashable, list[Any]] = {}
    for member in place.of_type(index.type):
        for key in index.keys_of(member):
            found.setdefault(key, []).append(member)
    return (found,) if found else ()


def _by_address(pods: Iterable[Workload]) -> tuple[Mapping[Hashable, Sequence[Any]], ...]:
    """Classes of pods by the addresses of their pods; those of the host's network have none of their own."""
    found: dict[Hashable, list[Any]] = {}
    for workload in pods:
        for address in () if workload.host_network else workload.addresses:
            found.setdefault(address, []).append(workload)
    return (found,) if found else ()


def home_of(value: ClusterObject) -> str:
    """The name of the place that holds a decoded object: a Namespace lives in its own."""
    return str(value.ref.name if isinstance(value, Namespace) else value.ref.namespace)
