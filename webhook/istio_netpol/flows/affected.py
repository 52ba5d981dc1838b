"""Whom a change concerns: the objects whose needs may differ after it, and the pods that policies of a tier
judge otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from istio_netpol.flows.dependencies import Dependencies, Move
from istio_netpol.model.failures import NOT_CONTAINED
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.references import KUBERNETES_SERVICE, ObjectKey
from istio_netpol.model.services import EndpointSlice
from istio_netpol.model.tiers import TierPolicy
from istio_netpol.model.unread import UnreadPolicy
from istio_netpol.model.workloads import NodeAddresses
from istio_netpol.state.changes import Change
from istio_netpol.state.persistent_map import PersistentMap
from istio_netpol.state.reader import Answer, EarlierAnswers, Reader
from istio_netpol.state.reads import QUESTION, Read
from istio_netpol.state.snapshot import CLUSTER_SCOPE, Snapshot


class Affected:
    """Follows a change from what it touches. `reader` gives what reads the cluster after it, and takes
    none of the `stale` answers for granted."""

    def __init__(
        self,
        dependencies: Dependencies,
        answers: EarlierAnswers,
        touched: set[Read],
        stale: set[Read],
        reader: Callable[[], Reader],
    ) -> None:
        self._dependencies = dependencies
        self._answers = answers
        self._touched = touched
        self._stale = stale
        self._reader = reader
        self._differs: dict[Read, bool] = {}

    def keys(self, change: Change) -> set[ObjectKey]:
        """The objects to work out anew: those that changed, and those that asked for something which is
        another one now."""
        own = {
            version.ref.key
            for version in change.versions()
            if not isinstance(version, NetworkPolicy | TierPolicy | UnreadPolicy)
        }
        own |= {pods.ref.key for pods in change.pods}
        changed = {asked for asked in self._stale if self._is_another(asked)}
        return own | self._dependencies.objects_on(self._touched | changed)

    def _is_another(self, asked: Read) -> bool:
        """Whether a question has another answer than before. It is asked anew only where what it read is
        touched, or itself another one."""
        known = self._differs.get(asked)
        if known is None:
            self._differs[asked] = True  # a ring of questions does not hold
            known = self._differs[asked] = self._compared(asked)
        return known

    def _compared(self, asked: Read) -> bool:
        before = self._answers[asked]
        is_due = not self._touched.isdisjoint(before.reads) or any(
            self._is_another(read) for read in before.reads if read in self._stale
        )
        if not is_due:
            self._reader().keep(asked)
            return False
        try:
            return self._reader().answer(asked).value is not before.value
        except NOT_CONTAINED:
            raise
        except Exception:
            return True  # whoever asks meets the error, and contains it


def followed(
    dependencies: Dependencies,
    answers: PersistentMap[Read, Answer],
    found: EarlierAnswers,
    moves: Sequence[Move],
) -> tuple[Dependencies, PersistentMap[Read, Answer]]:
    """The dependencies and the answers after objects moved from what they asked to what they ask now, and
    `found` was answered for them. What nobody asks for any more is dropped."""
    asked = [
        (asked, before.reads if (before := answers.get(asked)) is not None else frozenset(), answer.reads)
        for asked, answer in found.items()
    ]
    after = dependencies.moved([*moves, *asked])
    left = answers.after(found)
    unread = {read for _, before, now in (*moves, *asked) for read in (before - now) if read.what == QUESTION}
    unread = {asked for asked in unread | found.keys() if asked not in after.readers}
    while unread:
        gone = {asked: left[asked] for asked in unread if asked in left}
        left = left.after({}, gone)
        after = after.moved([(asked, answer.reads, frozenset()) for asked, answer in gone.items()])
        unread = {
            read
            for answer in gone.values()
            for read in answer.reads
            if read.what == QUESTION and read in left and read not in after.readers
        }
    return after, left


_OF_NODES = frozenset({CLUSTER_SCOPE, KUBERNETES_SERVICE[0]})
"""Where Nodes are, and the EndpointSlice of the API server."""


def namespaces_of_subjects(policies: Iterable[TierPolicy], snapshot: Snapshot) -> frozenset[str]:
    """The namespaces of which these policies select pods."""
    return frozenset().union(*(snapshot.select_namespaces(policy.namespaces) for policy in policies))


def judged_anew(change: Change, snapshots: Iterable[Snapshot]) -> frozenset[str]:
    """The namespaces whose pods a change may judge otherwise: those in which anything differs, and those
    that a policy of a tier selects which came, went, says something else, or names Nodes of which one
    did. Where ipBlocks don't match some addresses of the cluster, whatever says which is about all pods."""
    versions = list(change.versions())
    snapshots = tuple(snapshots)
    if any(snapshot.network.tells_addresses_apart for snapshot in snapshots) and any(
        isinstance(version, NodeAddresses | EndpointSlice) and version.ref.namespace in _OF_NODES
        for version in versions
    ):
        return change.homes.union(*(snapshot.namespace_names for snapshot in snapshots))
    changed = [version for version in versions if isinstance(version, TierPolicy)]
    homes = change.homes
    for snapshot in snapshots:
        policies = list(changed)
        if any(isinstance(version, NodeAddresses) for version in versions):
            policies += [
                policy for policy in snapshot.tier_policies if any(rule.nodes for rule in policy.egress)
            ]
        homes |= namespaces_of_subjects(policies, snapshot)
    return homes
