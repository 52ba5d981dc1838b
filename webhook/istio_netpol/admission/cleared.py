"""Remembers what a review need not work out again: a Deployment, its ReplicaSet and its pods ask the
same, and so does a new Deployment that differs from another in its name alone."""

from __future__ import annotations

import math

from msgspec import Struct

from istio_netpol.admission.reviews import AdmissionRequest
from istio_netpol.flows.currency import Currency, PodClass, PodLikeness, class_of
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.resolution import Resolution, Resolver
from istio_netpol.model.workloads import Workload

MOST = 4 * 1024 * 1024
"""How many characters what is remembered of pods may have in all: those of some thousand classes, of which an
author may write ever longer ones. Then all are forgotten."""

ClearedBy = tuple[Currency, frozenset[str]]
"""The state of the cluster by which something was found, and the namespaces whose policies were asked."""


class Cleared:
    """Classes of pods of which there was nothing to say, each with the state of the cluster by which that was
    found.

    Refusals, warnings and writes are never remembered: they are worked out each time. Every method may be
    called from any thread; two that take note at the same moment may lose what one of them found.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._length = 0
        self._state: object = None
        self._found: dict[PodClass | PodLikeness, ClearedBy] = {}

    def has(self, pods: Asked | None, table: FlowTable) -> bool:
        """Whether there is still nothing to say of these pods."""
        if pods is None:
            return False
        found = self._found.get(pods.of)
        if found is not None and table.currency.covers(*found, pods.of):
            return True
        alike = self._found.get(pods.of.likeness) if pods.are_new else None
        return alike is not None and table.currency.covers_alike(*alike)

    def add(self, pods: Asked | None, table: FlowTable, judged_in: frozenset[str]) -> None:
        """Takes note that by this table there is nothing to say of these pods, whose flows were judged by the
        policies of these namespaces."""
        if pods is None:
            return
        length, state = len(repr(pods.of)), table.currency.state
        # What was found by another state holds no more, and would keep all that came while that lasted.
        if self._length + length > self._most or state is not self._state:
            self._found, self._length, self._state = {}, 0, state
        self._length += length
        self._found[pods.of] = found = (table.currency, judged_in)
        if pods.are_new:
            self._found[pods.of.likeness] = found


class Asked(Struct, frozen=True):
    """The class of the pods that a request brings, and whether the cluster has nothing yet of their
    controller: no pods that lack a flow already excuse them, and nobody knows them by their name."""

    of: PodClass
    are_new: bool


def pods_of(request: AdmissionRequest, put: tuple[object, ...], table: FlowTable) -> Asked | None:
    """The pods that a request brings; None where it does anything else. An update is judged by what it
    changes, so that nothing follows from it for new pods; and pods are judged by the mode of the request's
    namespace, so that nothing follows from it for those of another one. A pod whose own name somebody asked
    for, such as endpoints that name it, is unlike others of its controller."""
    if request.operation != "CREATE" or len(put) != 1 or not isinstance(put[0], Workload):
        return None
    workload = put[0]
    if workload.namespace != request.namespace or table.dependencies.names(workload.ref):
        return None
    return Asked(class_of(workload, table.stored), table.is_new(workload))


class WatchedResolver:
    """Implements `Resolver` with another one, and tells whether it was asked: addresses change unseen."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self.anything = False

    def resolve(self, host: str, asker: str, seconds: float = math.inf) -> Resolution:
        """The other resolver's answer."""
        self.anything = True
        return self._resolver.resolve(host, asker, seconds)
