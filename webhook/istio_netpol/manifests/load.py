"""Loads all objects of an input, with all of its problems at once, and places pods of the host network on its
Nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.errors import Problem
from istio_netpol.manifests.cluster_dump import is_note, unseen_of
from istio_netpol.manifests.decode import CLUSTER_DECODERS, decode, is_known, kind_of, reference_of
from istio_netpol.manifests.placeholders import placeholder_in
from istio_netpol.manifests.raw_objects import Document, OtherDocument, RawObject
from istio_netpol.manifests.unserved_objects import Removed, misspelt_policy, removal_of
from istio_netpol.model.addresses import Address
from istio_netpol.model.assumptions import NotSeen
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.references import ObjectKey, ObjectRef
from istio_netpol.model.workloads import NodeAddresses, Workload

KindName = tuple[str, str]
"""An apiVersion and a kind."""


class RemovedApi(Struct, frozen=True):
    """An object of an API version that is not served any more; `is_read` says whether rules read it anyway,
    as they read the version that replaces it."""

    ref: ObjectRef
    removed: Removed
    is_read: bool


class Loaded(Struct, frozen=True):
    """Model values, problems sorted by file and line, and how many objects there are of each apiVersion and
    kind that no rule reads.

    `others` are documents that are not objects, `placed` the objects that name no namespace, `outdated` those
    that no API server takes. `silent` counts objects that have no values, such as a ConfigMap that is not
    Istio's. `unseen` is what dumps say that they do not have.
    """

    objects: tuple[ClusterObject, ...]
    problems: tuple[Problem, ...]
    skipped: Mapping[KindName, int]
    others: tuple[OtherDocument, ...] = ()
    placed: tuple[ObjectRef, ...] = ()
    outdated: tuple[RemovedApi, ...] = ()
    silent: int = 0
    unseen: tuple[NotSeen, ...] = ()


def load(documents: Iterable[Document], default_namespace: str = "default") -> Loaded:
    """Decodes documents one by one. The same object twice counts once; where the two differ, that is a
    problem: nobody can say which one counts."""
    loading = _Loading(default_namespace)
    for document in documents:
        loading.take(document)
    return loading.loaded()


class _Loading:
    """What was decoded so far."""

    def __init__(self, default_namespace: str) -> None:
        self._default_namespace = default_namespace
        self._objects: list[ClusterObject] = []
        self._problems: list[Problem] = []
        self._skipped: Counter[KindName] = Counter()
        self._others: list[OtherDocument] = []
        self._placed: list[ObjectRef] = []
        self._outdated: list[RemovedApi] = []
        self._silent = 0
        self._unseen: list[NotSeen] = []
        self._seen: dict[ObjectKey, list[ClusterObject]] = {}

    def take(self, document: Document) -> None:
        match document:
            case Problem():
                self._problems.append(document)
            case OtherDocument():
                self._others.append(document)
            case RawObject():
                self._take_object(document)

    def loaded(self) -> Loaded:
        self._problems.sort(key=lambda problem: (problem.file, problem.line or 0))
        return Loaded(
            placed_on_nodes(self._objects),
            tuple(self._problems),
            dict(sorted(self._skipped.items())),
            tuple(self._others),
            tuple(self._placed),
            tuple(self._outdated),
            self._silent,
            tuple(self._unseen),
        )

    def _take_object(self, raw: RawObject) -> None:
        if is_note(raw):
            unseen, problems = unseen_of(raw)
            self._unseen += unseen
            self._problems += problems
            self._silent += 1
            return
        is_read = is_known(raw)
        unusable = list(_unfilled(raw)) or list(misspelt_policy(raw, is_known=is_read))
        if unusable:
            self._problems += unusable
            return
        if removed := removal_of(raw):
            self._outdated.append(RemovedApi(reference_of(raw, self._default_namespace), removed, is_read))
        if not is_read:
            self._skipped[str(raw.content.get("apiVersion")), str(raw.content.get("kind"))] += 1
            return
        values, problems = decode(raw, self._default_namespace)
        self._problems += problems
        if not values:
            self._silent += not problems
            return
        first = self._seen.setdefault(values[0].ref.key, values)
        if first is values:
            self._objects += values
            if _names_no_namespace(raw):
                self._placed.append(values[0].ref)
        elif not _are_alike(first, values):
            self._problems.append(_same_object(values[0].ref, first[0].ref))


def _unfilled(raw: RawObject) -> Iterator[Problem]:
    """Problems where not even the kind of an object was filled in."""
    for name in ("apiVersion", "kind"):
        value = str(raw.content.get(name))
        if "{" in value and (hint := placeholder_in(value)):
            yield Problem(raw.file, raw.line or None, None, name, f'"{value}"', "is not filled in", hint)


def _names_no_namespace(raw: RawObject) -> bool:
    metadata = raw.content.get("metadata")
    named = isinstance(metadata, dict) and metadata.get("namespace")
    return not named and kind_of(raw) not in CLUSTER_DECODERS


def _are_alike(some: list[ClusterObject], others: list[ClusterObject]) -> bool:
    """Whether two readings of an object agree in all that rules read."""
    return len(some) == len(others) and all(map(_is_alike, some, others))


def _is_alike(one: ClusterObject, other: ClusterObject) -> bool:
    return type(one) is type(other) and all(
        getattr(one, name) == getattr(other, name) for name in one.__struct_fields__
    )


def joined(parts: Iterable[Loaded]) -> Loaded:
    """The inputs of several files as one; an object that two of them have in different forms is a problem."""
    parts = tuple(parts)
    objects: list[ClusterObject] = []
    problems: list[Problem] = []
    skipped: Counter[KindName] = Counter()
    seen: dict[ObjectKey, list[ClusterObject]] = {}
    for part in parts:
        problems += part.problems
        skipped.update(part.skipped)
        # One object may have several values, which follow one another.
        for key, group in groupby(part.objects, key=lambda value: value.ref.key):
            values = list(group)
            first = seen.setdefault(key, values)
            if first is values:
                objects += values
            elif not _are_alike(values, first):
                problems.append(_same_object(values[0].ref, first[0].ref))
    problems.sort(key=lambda problem: (problem.file, problem.line or 0))
    return Loaded(
        tuple(objects),
        tuple(problems),
        dict(sorted(skipped.items())),
        tuple(document for part in parts for document in part.others),
        tuple(ref for part in parts for ref in part.placed),
        tuple(found for part in parts for found in part.outdated),
        sum(part.silent for part in parts),
        tuple(kind for part in parts for kind in part.unseen),
    )


def _same_object(ref: ObjectRef, first: ObjectRef) -> Problem:
    place = f"{first.file}:{first.line}" if first.line else first.file
    cause = f"is the same object as the one at {place}"
    return Problem(ref.file, ref.line or None, str(ref), None, None, cause, "keep one of them")


def placed_on_nodes(objects: Sequence[ClusterObject]) -> tuple[ClusterObject, ...]:
    """The objects, with the addresses of all Nodes for each controller of hostNetwork pods of which the input
    has none: nothing says on which Nodes they will run."""
    internal = {address for node in objects if isinstance(node, NodeAddresses) for address in node.internal}
    if not internal:
        return tuple(objects)
    addresses = tuple(sorted(internal, key=lambda address: (address.version, int(address))))
    pods = [workload for workload in objects if isinstance(workload, Workload) and workload.ref.kind == "Pod"]
    return tuple(_placed(placed, addresses, pods) for placed in objects)


def _placed(value: ClusterObject, addresses: tuple[Address, ...], pods: Iterable[Workload]) -> ClusterObject:
    if not isinstance(value, Workload) or not value.host_network or value.ref.kind == "Pod":
        return value
    return value if any(_is_pod_of(pod, value) for pod in pods) else replace(value, node_addresses=addresses)


def _is_pod_of(pod: Workload, controller: Workload) -> bool:
    selector = controller.selector
    same_namespace = pod.namespace == controller.namespace
    return same_namespace and selector is not None and selector.matches(pod.labels)
