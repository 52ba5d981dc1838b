"""An immutable, indexed view of a cluster.

A `Snapshot` is a mapping of namespaces to `Shard`s. A change copies the outer mapping and the shards that
it touches, nothing else; answers that span namespaces are kept per namespace, so that a change makes only
its own namespaces' part of them stale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from istio_netpol.model.labels import EVERYTHING, Selector
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Service
from istio_netpol.model.shard import Shard
from istio_netpol.model.workloads import Namespace, Workload, implied_namespace

T = TypeVar("T")
Answers = dict[str, tuple[Any, ...]]
"""An answer that spans namespaces: what each namespace adds to it, where it adds anything."""


@dataclass(frozen=True, slots=True)
class Spread:
    """An answer with the types of objects that it is made from, and the namespaces whose part is stale."""

    answers: Answers
    types: frozenset[type]
    stale: frozenset[str]

    def after(self, changes: Mapping[str, frozenset[type] | None]) -> Spread:
        """The same after types of objects changed in namespaces; None: the namespace came or went."""
        stale = [name for name, types in changes.items() if types is None or types & self.types]
        return replace(self, stale=self.stale.union(stale)) if stale else self


CLUSTER_SCOPE = ""
"""The shard of objects without a namespace (Nodes)."""


class Snapshot:
    """Objects by namespace, with the indexes that evaluation and flow rules need. Never changes;
    `with_changes` makes another."""

    def __init__(self, shards: Mapping[str, Shard], spreads: Mapping[Any, Spread] | None = None) -> None:
        self._shards = shards
        self._spreads: dict[Any, Spread] = dict(spreads or {})

    @classmethod
    def of(cls, objects: Iterable[Any]) -> Snapshot:
        """A snapshot of decoded objects; where two have the same reference the later one counts."""
        grouped: dict[str, list[Any]] = {}
        for each in objects:
            grouped.setdefault(_home(each), []).append(each)
        return cls(
            {name: Shard.of(implied_namespace(name), members) for name, members in sorted(grouped.items())}
        )

    def with_changes(self, put: Iterable[Any] = (), remove: Iterable[Any] = ()) -> Snapshot:
        """The snapshot after objects were stored or deleted; both are decoded objects."""
        puts: dict[str, list[Any]] = {}
        removes: dict[str, list[Any]] = {}
        for each in put:
            puts.setdefault(_home(each), []).append(each)
        for each in remove:
            removes.setdefault(_home(each), []).append(each)
        changes: dict[str, frozenset[type] | None] = {}
        shards = dict(self._shards)
        for name in puts.keys() | removes.keys():
            members = puts.get(name, []), removes.get(name, [])
            before = shards.get(name)
            after = (before or Shard.of(implied_namespace(name), ())).with_changes(*members)
            changes[name] = frozenset(type(each) for part in members for each in part) if before else None
            if after.object_count:
                shards[name] = after
            elif shards.pop(name, None):
                changes[name] = None
        spreads = {key: spread.after(changes) for key, spread in self._spreads.items()}
        return Snapshot(shards, spreads)

    def index(self) -> None:
        """Makes the indexes of every namespace now, so that changes of this snapshot only add to them."""
        for shard in self._shards.values():
            shard.index(self._distinguishing())

    @property
    def namespace_names(self) -> tuple[str, ...]:
        return tuple(sorted(name for name in self._shards if name != CLUSTER_SCOPE))

    def namespace(self, name: str) -> Namespace:
        """The namespace of that name; an implied one where nothing of it was read."""
        shard = self._shards.get(name)
        return shard.namespace if shard else implied_namespace(name)

    def shard(self, namespace: str) -> Shard:
        return self._shards.get(namespace) or Shard.of(implied_namespace(namespace), ())

    def find(self, type_: type[T], namespace: str, name: str, kind: str = "") -> T | None:
        """The object of a type by name; `kind` tells apart types that stand for several kinds."""
        shard = self._shards.get(namespace)
        return shard.find(type_, name, kind) if shard else None

    def of_type(self, type_: type[T], namespace: str) -> tuple[T, ...]:
        """A namespace's objects of a type as they were read, sorted by kind and name."""
        shard = self._shards.get(namespace)
        return shard.of_type(type_) if shard else ()

    def every(self, type_: type[T]) -> Iterator[T]:
        """All objects of a type, sorted by namespace, kind and name."""
        spread = self._spread(("type", type_), (type_,), lambda shard: shard.of_type(type_))
        for name in sorted(spread):
            yield from spread[name]

    def workloads(self, namespace: str) -> tuple[Workload, ...]:
        """The classes of pods of a namespace."""
        shard = self._shards.get(namespace)
        return shard.workloads(self._distinguishing()) if shard else ()

    def workloads_named(self, namespace: str, kind: str, name: str) -> tuple[Workload, ...]:
        """The classes of pods of one name: a controller's, or a pod's of its own."""
        shard = self._shards.get(namespace)
        return shard.workloads_named(kind, name, self._distinguishing()) if shard else ()

    def root(self, workload: Workload) -> ObjectRef:
        """The object that a person would edit to change these pods; its name is that of their class."""
        shard = self._shards.get(workload.namespace)
        return shard.root(workload) if shard else workload.ref

    def every_workload(self) -> Iterator[Workload]:
        for name in self.namespace_names:
            yield from self.workloads(name)

    def select(self, namespace: str, selector: Selector) -> tuple[Workload, ...]:
        """The workloads of a namespace that a pod selector matches, hostNetwork ones included."""
        shard = self._shards.get(namespace)
        return shard.select(selector, self._distinguishing()) if shard else ()

    def select_anywhere(self, selector: Selector) -> tuple[Workload, ...]:
        """The workloads of all namespaces that a pod selector matches."""
        distinguishing = self._distinguishing()
        spread = self._spread(
            ("pods", selector, distinguishing),
            (Workload,),
            lambda shard: shard.select(selector, distinguishing),
        )
        return tuple(workload for name in sorted(spread) for workload in spread[name])

    def select_namespaces(self, selector: Selector) -> frozenset[str]:
        """The names of the namespaces whose labels a selector matches."""
        spread = self._spread(
            ("namespaces", selector),
            (Namespace,),
            lambda shard: (True,) if selector.matches(shard.namespace.labels) else (),
        )
        return frozenset(name for name in spread if name != CLUSTER_SCOPE)

    def by_namespace(
        self, key: str, types: tuple[type, ...], compute: Callable[[Shard], tuple[Any, ...]]
    ) -> Mapping[str, tuple[Any, ...]]:
        """What each namespace adds to an answer, where it adds anything; kept under `key` across changes
        of other namespaces and other types.

        `compute` must depend on objects of these types in the shard alone, and must be the same for the same
        key.
        """
        return self._spread(("by namespace", key), types, compute)

    def isolates_all(self, namespace: str, direction: Direction) -> bool:
        """Whether every pod of the namespace, those to come included, is isolated: some policy selects
        all."""
        return any(
            direction in policy.policy_types and policy.pod_selector == EVERYTHING
            for policy in self.shard(namespace).policies
        )

    @property
    def object_count(self) -> int:
        """How many objects were read."""
        return sum(shard.object_count for shard in self._shards.values())

    def policies_for(self, workload: Workload) -> tuple[NetworkPolicy, ...]:
        """The policies of the workload's namespace whose podSelector matches it; none for hostNetwork
        pods."""
        shard = self._shards.get(workload.namespace)
        return shard.policies_for(workload) if shard else ()

    def _distinguishing(self) -> frozenset[str]:
        types = (NetworkPolicy, Service)
        answers = self._spread("distinguishing", types, lambda shard: tuple(shard.distinguishing))
        return frozenset(key for keys in answers.values() for key in keys)

    def _spread(
        self, key: Any, types: tuple[type, ...], compute: Callable[[Shard], tuple[Any, ...]]
    ) -> Answers:
        known = self._spreads.get(key)
        if known is not None and not known.stale:
            return known.answers
        answers = dict(known.answers) if known else {}
        for name in known.stale if known else self._shards:
            if name in self._shards and (answer := compute(self._shards[name])):
                answers[name] = answer
            else:
                answers.pop(name, None)
        self._spreads[key] = Spread(answers, frozenset(types), frozenset())
        return answers


def _home(value: Any) -> str:
    """The name of the shard that holds a decoded object: a Namespace lives in its own."""
    return str(value.ref.name if isinstance(value, Namespace) else value.ref.namespace)
