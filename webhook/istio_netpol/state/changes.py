"""What differs between two snapshots of a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.workloads import Namespace, Workload
from istio_netpol.state.contents import is_unchanged
from istio_netpol.state.snapshot import Snapshot, home_of


class Change(Struct, frozen=True):
    """`objects` are those that came, went or say something else, as they were and as they are, pods left out:
    `pods` are the classes of pods that are no more or were not yet. `namespaces` are those that say something
    else, as they were and as they are, `founded` the names of those that came or went."""

    objects: tuple[tuple[ClusterObject | None, ClusterObject | None], ...] = ()
    pods: tuple[Workload, ...] = ()
    namespaces: tuple[tuple[Namespace, Namespace], ...] = ()
    founded: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.objects or self.pods or self.namespaces or self.founded)

    def versions(self) -> Iterator[ClusterObject]:
        """The objects as they were and as they are."""
        return (version for pair in self.objects for version in pair if version is not None)

    @property
    def homes(self) -> frozenset[str]:
        """The namespaces in which anything differs."""
        found = {version.ref.namespace for version in self.versions()}
        found |= {pods.namespace for pods in self.pods}
        return frozenset(found | {after.name for _, after in self.namespaces} | self.founded)


def change_between(
    before: Snapshot, after: Snapshot, touched: Iterable[ClusterObject], starting: Iterable[Workload] = ()
) -> Change:
    """The difference between a snapshot and the one after `touched` objects were stored or deleted. All
    classes of pods that share a controller with one of `starting` count as new ones."""
    workloads: dict[str, set[tuple[str, str]]] = {}
    objects: dict[Any, tuple[ClusterObject | None, ClusterObject | None]] = {}
    homes: set[str] = set()
    for value in touched:
        homes.add(home_of(value))
        if isinstance(value, Workload):
            workloads.setdefault(value.namespace, set()).add((value.ref.kind, value.name))
        elif not isinstance(value, Namespace):
            ref, type_ = value.ref, type(value)
            pair = (before.at(type_, ref), after.at(type_, ref))
            if pair[0] is not pair[1]:
                objects[type_, ref.key] = pair
    namespaces = ((before.namespace(home), after.namespace(home)) for home in sorted(homes) if home)
    return Change(
        tuple(objects.values()),
        tuple(_changed_pods(before, after, workloads, {(pods.ref.kind, pods.name) for pods in starting})),
        tuple(pair for pair in namespaces if not is_unchanged(*pair)),
        frozenset(home for home in homes if before.has(home) != after.has(home)),
    )


def _changed_pods(
    before: Snapshot,
    after: Snapshot,
    touched: Mapping[str, set[tuple[str, str]]],
    starting: set[tuple[str, str]],
) -> Iterator[Workload]:
    """The classes of pods that are in one of the snapshots only, or of whose families some start."""
    is_told_otherwise = before.distinguishing != after.distinguishing
    homes = {*before.namespace_names, *after.namespace_names} if is_told_otherwise else touched
    for home in sorted(homes):
        found = {id(pods): pods for pods in _in_one_only(before, after, home)}
        if keys := touched.get(home, set()) & starting:
            found |= {id(pods): pods for pods in _of_families(before, after, home, keys)}
        yield from sorted(found.values(), key=lambda pods: (pods.ref.kind, pods.name))


def _in_one_only(before: Snapshot, after: Snapshot, home: str) -> Iterator[Workload]:
    """The classes of a namespace that are no more, or not yet."""
    for _, was, now in before.class_map(home).differences(after.class_map(home)):
        yield from (pods for pods in (was, now) if pods is not None)


def _of_families(
    before: Snapshot, after: Snapshot, home: str, keys: set[tuple[str, str]]
) -> Iterator[Workload]:
    """The classes that share a root with one of these members, as they were and as they are."""
    for family in before.families_of(home, keys) | after.families_of(home, keys):
        for snapshot in (before, after):
            yield from snapshot.family(home, *family)
