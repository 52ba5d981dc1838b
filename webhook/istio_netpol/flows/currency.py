"""For how long an answer about a class of pods holds: by which state of the cluster it was found, and what
has come since."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence, Set
from operator import attrgetter
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from istio_netpol.model.workloads import Workload
from istio_netpol.state.pod_classes import INSTANCE_LABELS
from istio_netpol.state.snapshot import Snapshot

PodClass = tuple[Hashable, ...]

_ADDRESSES = frozenset({"addresses", "node_addresses"})
_OF_ONE_POD = frozenset({"ref", "labels", "selector", "owner"}) | _ADDRESSES
"""What is not the same for a controller's template and all of its pods. Every other field is compared, those
that are yet to be thought of included; of the labels, those that are not an instance's."""


def _except(apart: Set[str]) -> Callable[[Workload], tuple[Any, ...]]:
    """What reads all fields of a workload but some."""
    return attrgetter(*(name for name in Workload.__struct_fields__ if name not in apart))


_said, _said_on_the_host = _except(_OF_ONE_POD), _except(_OF_ONE_POD - _ADDRESSES)

_MOST_CLASSES = 256
"""How many new classes are told apart; then all answers end."""


def class_of(workload: Workload, snapshot: Snapshot) -> PodClass:
    """What a template, its ReplicaSet's and its pods have in common: the controller that a person would edit,
    and all that rules and policies read of them.

    The owner comes from the pod itself and may be forged. The rest is as it will be stored, so two of one
    class in one namespace meet the same policies whoever made them. Pods of the host network meet them by
    their addresses.
    """
    root = snapshot.root(workload)
    ignored = INSTANCE_LABELS - snapshot.distinguishing
    labels = frozenset([pair for pair in workload.labels.items() if pair[0] not in ignored])
    said = _said_on_the_host if workload.host_network else _said
    return (root.namespace, root.kind, root.name, labels, *map(_hashable, said(workload)))


def _hashable(value: Any) -> Hashable:
    found: Hashable = frozenset(value.items()) if isinstance(value, Mapping) else value
    return found


class Currency(Struct, frozen=True):
    """A state of the cluster, the classes of pods that were stored since it began, and the objects that are
    laid over it. Whatever else changes begins another state."""

    state: object = field(default_factory=object)
    came: frozenset[PodClass] = frozenset()
    over: tuple[Any, ...] = ()

    def after(self, put: Sequence[Any], remove: Sequence[Any], before: Snapshot, after: Snapshot) -> Currency:
        """The currency once objects were stored and deleted, from one snapshot to the other."""
        if remove or not all(isinstance(value, Workload) for value in put):
            return Currency()
        came = set(self.came)
        for workload in put:
            found = class_of(workload, after)
            known = before.find(Workload, workload.namespace, workload.name, workload.ref.kind)
            if known is None:
                came.add(found)
            elif class_of(known, before) != found:
                return Currency()
        return replace(self, came=frozenset(came)) if len(came) <= _MOST_CLASSES else Currency()

    def with_objects(self, objects: Sequence[Any]) -> Currency:
        """The currency with objects laid over the cluster: the same as often as the same ones are."""
        return replace(self, over=(*self.over, *objects))

    def covers(self, earlier: Currency, pods: PodClass) -> bool:
        """Whether what was found of these pods then holds now: nothing came since but pods like them, with
        whom it was found."""
        is_same = self.state is earlier.state and self.over == earlier.over
        return is_same and self.came - earlier.came <= {pods}
