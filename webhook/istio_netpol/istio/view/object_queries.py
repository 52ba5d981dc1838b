"""Asks a snapshot for objects, by what they are and where they live: each query is noted, and counts against
what one object may cost."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from typing import Any, TypeVar

from istio_netpol.model.failures import TooMuchError
from istio_netpol.model.istio_networking import ServiceEntry
from istio_netpol.model.labels import Labels, Selector
from istio_netpol.model.services import Service
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.state.reader import Reader
from istio_netpol.state.reads import Index

T = TypeVar("T")
Labelled = TypeVar("Labelled", Service, ServiceEntry)


class ObjectQueries:
    """Whatever is asked is noted by the reader behind it; `noting` tells what a piece of work asked."""

    def __init__(self, reader: Reader, settings: Settings) -> None:
        self.settings = settings
        self.noting = reader.noting
        self._reader = reader
        self._left = math.inf
        self._paid: set[Hashable] = set()

    def allow(self, lookups: float) -> None:
        """Lets so many more lookups come; the next one raises TooMuchError. What was worked out for somebody
        else before costs the same."""
        self._left = lookups
        self._paid.clear()

    def spend(self, lookups: int) -> None:
        """Counts what costs as much as so many lookups. Raises TooMuchError where too few are left."""
        self._left -= lookups
        if self._left < 0:
            limit = self.settings.limits.lookups_per_object
            raise TooMuchError(f"more than {limit:,} lookups", "limits.lookupsPerObject")

    @property
    def reader(self) -> Reader:
        """What this view asks, for those who keep its answers."""
        return self._reader

    def find(self, type_: type[T], namespace: str, name: str, kind: str = "") -> T | None:
        """The object of a type by name; `kind` tells apart types that stand for several kinds."""
        self.spend(1)
        return self._reader.find(type_, namespace, name, kind)

    def all(self, type_: type[T], namespace: str) -> tuple[T, ...]:
        """A namespace's objects of a type, sorted by kind and name."""
        self.spend(1)
        return self._reader.all(type_, namespace)

    def by_key(self, index: Index, *keys: Hashable) -> Iterator[Any]:
        """The objects that an index has under any of these keys, sorted by namespace."""
        self.spend(1)
        return self._reader.by_key(index, *keys)

    def services_labelled(self, label: str) -> Iterator[Service]:
        """The Services that carry a label, or whose namespace does, sorted by namespace and name."""
        return self._labelled(Service, SERVICE_LABELS, label)

    def entries_labelled(self, label: str) -> Iterator[ServiceEntry]:
        """The ServiceEntries that carry a label, or whose namespace does, sorted by namespace and name."""
        return self._labelled(ServiceEntry, SERVICE_ENTRY_LABELS, label)

    def _labelled(self, type_: type[Labelled], index: Index, label: str) -> Iterator[Labelled]:
        self.spend(1)
        own = {value.ref.key: value for value in self._reader.by_key(index, label)}
        for namespace in self._reader.namespaces_labelled(label):
            own.update((value.ref.key, value) for value in self._reader.all(type_, namespace))
        yield from (own[key] for key in sorted(own))

    def has_namespace(self, name: str) -> bool:
        """Whether anything of a namespace was read."""
        self.spend(1)
        return self._reader.has_namespace(name)

    def namespace_labels(self, name: str) -> Labels:
        """The labels of a namespace, the API server's own among them."""
        self.spend(1)
        return self._reader.namespace(name).labels

    def workloads(self, namespace: str) -> tuple[Workload, ...]:
        """The classes of pods of a namespace."""
        self.spend(1)
        return self._reader.pods(namespace)

    def every_workload(self) -> tuple[Workload, ...]:
        """The classes of pods of all namespaces."""
        self.spend(1)
        return self._reader.pods_anywhere()

    def selected(self, namespace: str, selector: Selector) -> tuple[Workload, ...]:
        """The classes of pods of a namespace that a pod selector matches, hostNetwork ones included."""
        self.spend(1)
        return self._reader.pods(namespace, selector)

    def selected_anywhere(self, selector: Selector) -> tuple[Workload, ...]:
        """The classes of pods of all namespaces that a pod selector matches."""
        self.spend(1)
        return self._reader.pods_anywhere(selector)


SERVICE_LABELS = Index("service-labels", Service, lambda service: service.labels)
SERVICE_ENTRY_LABELS = Index("service-entry-labels", ServiceEntry, lambda entry: entry.labels)
