"""The objects that rules look at, by namespace and by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from istio_netpol.istio.catalogue import CATALOGUE
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.failures import Undecoded
from istio_netpol.model.references import ObjectKey
from istio_netpol.model.workloads import Workload
from istio_netpol.state.namespace import in_group
from istio_netpol.state.snapshot import Snapshot

SUBJECT_TYPES: tuple[type[Any], ...] = tuple(
    sorted(
        ({type_ for rule in CATALOGUE for type_ in rule.subjects} - {Workload}) | {Undecoded},
        key=lambda type_: type_.__name__,
    )
)


def subjects_in(snapshot: Snapshot, namespace: str) -> Iterator[ClusterObject]:
    """Every object of a namespace that some rule looks at; workloads as classes of pods."""
    yield from snapshot.workloads(namespace)
    for type_ in SUBJECT_TYPES:
        yield from snapshot.of_type(type_, namespace)


def subjects_named(
    key: ObjectKey, snapshot: Snapshot, changed: Iterable[ClusterObject] = ()
) -> Sequence[ClusterObject]:
    """The objects of that name: several where a controller's pods fall into classes, none where a changed
    workload is told by its controller."""
    group, kind, namespace, name = key
    undecoded = snapshot.find(Undecoded, namespace, name, in_group(kind, group))
    if undecoded is not None:
        return [undecoded]
    named = snapshot.workloads_named(namespace, kind, name)
    classes = [pods for pods in named if pods.ref.key == key]
    if classes or any(isinstance(value, Workload) and value.ref.key == key for value in changed):
        return classes
    found = (snapshot.find(type_, namespace, name, kind) for type_ in SUBJECT_TYPES)
    return [value for value in found if value is not None and value.ref.key == key]
