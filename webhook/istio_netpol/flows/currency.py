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

_NAMED_IN_LABELS = frozenset({"Job", "CronJob"})
"""Whose pods have the name of their controller in a label, for selectors to match."""

_ADDRESSES = frozenset({"addresses", "node_addresses"})
_OF_ONE_POD = frozenset({"ref", "labels", "selector", "owner"}) | _ADDRESSES
"""What is not the same for a controller's template and all of its pods. Every other field is compared, those
that are yet to be thought of included; of the labels, those that are not an instance's."""


def _except(apart: Set[str]) -> Callable[[Workload], tuple[Any, ...]]:
    """What reads all fields of a workload but some."""
    return attrgetter(*(name for name in Workload.__struct_fields__ if name not in apart))


_said, _said_on_the_host = _except(_OF_ONE_POD), _except(_OF_ONE_POD - _ADDRESSES)

_MOST = 256
"""How many new classes are told apart; then all answers end."""


Likeness = tuple[Hashable, ...]
"""The namespace of pods, the kind of their controller, and all that rules and policies read of them. Pods of
two Deployments may be alike."""


class PodClass(Struct, frozen=True):
    """What a template, its ReplicaSet's and its pods have in common: the controller that a person would edit,
    and what is said of them.

    The owner comes from the pod itself and may be forged. The rest is as it will be stored, so two of one
    class in one namespace meet the same policies whoever made them. Pods of the host network meet them by
    their addresses.
    """

    name: str
    likeness: Likeness


def class_of(workload: Workload, snapshot: Snapshot) -> PodClass:
    """The class of the pods of a workload."""
    root = snapshot.root(workload)
    ignored = INSTANCE_LABELS - snapshot.distinguishing
    labels = frozenset([pair for pair in workload.labels.items() if pair[0] not in ignored])
    said = _said_on_the_host if workload.host_network else _said
    own_label = root.name if root.kind in _NAMED_IN_LABELS else ""
    return PodClass(
        root.name, (root.namespace, root.kind, own_label, labels, *map(_hashable, said(workload)))
    )


def _hashable(value: Any) -> Hashable:
    found: Hashable = frozenset(value.items()) if isinstance(value, Mapping) else value
    return found


class Currency(Struct, frozen=True):
    """A state of the cluster, the classes of pods that were stored since it began and what these are like,
    and the objects that are laid over it. Whatever else changes begins another state."""

    state: object = field(default_factory=object)
    came: frozenset[PodClass] = frozenset()
    likenesses: frozenset[Likeness] = frozenset()
    over: tuple[Any, ...] = ()

    def after(self, put: Sequence[Any], remove: Sequence[Any], before: Snapshot, after: Snapshot) -> Currency:
        """The currency once objects were stored and deleted, from one snapshot to the other."""
        if remove or not all(isinstance(value, Workload) for value in put):
            return Currency()
        came: set[PodClass] = set()
        for workload in put:
            found = class_of(workload, after)
            known = before.find(Workload, workload.namespace, workload.name, workload.ref.kind)
            if known is None:
                came.add(found)
            elif class_of(known, before) != found:
                return Currency()
        if came <= self.came:
            return self
        likenesses = self.likenesses.union(pods.likeness for pods in came)
        all_came = self.came | came
        return replace(self, came=all_came, likenesses=likenesses) if len(all_came) <= _MOST else Currency()

    def with_objects(self, objects: Sequence[Any]) -> Currency:
        """The currency with objects laid over the cluster: the same as often as the same ones are."""
        return replace(self, over=(*self.over, *objects))

    def covers(self, earlier: Currency, pods: PodClass) -> bool:
        """Whether what was found of these pods then holds now: nothing came since but pods like them, with
        whom it was found."""
        return self._continues(earlier) and self.came - earlier.came <= {pods}

    def covers_alike(self, earlier: Currency) -> bool:
        """Whether what was found then of pods of a new controller holds now for those of another new one that
        are like them: what came since is like something that was there. So pods like them are there now only
        if some were, and what these need of each other was looked at."""
        return self._continues(earlier) and self.likenesses <= earlier.likenesses

    def _continues(self, earlier: Currency) -> bool:
        return self.state is earlier.state and self.over == earlier.over
