"""The required flows of a cluster that changes, and the answers about them that still hold."""

from __future__ import annotations

from collections.abc import Sequence

from istio_netpol.analysis.check import judge_of
from istio_netpol.analysis.flow_verdicts import FlowJudge
from istio_netpol.flows.cache import NamespaceAnswers
from istio_netpol.flows.table import FlowTable
from istio_netpol.flows.tier_subjects import judged_anew
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.resolution import Resolver


class CurrentFlows:
    """A flow table that follows its cluster, at the cost of what changes. `known` holds what analyses worked
    out for the namespaces that did not."""

    def __init__(self, table: FlowTable) -> None:
        self.table = table.indexed()
        self.known = NamespaceAnswers()

    def judge(self, resolver: Resolver) -> FlowJudge:
        """A judge for one analysis, which reuses the answers of the analysis before it."""
        self.known.begin()
        return judge_of(self.table, resolver, self.known)

    def change(self, put: Sequence[ClusterObject], remove: Sequence[ClusterObject] = ()) -> None:
        """Takes in objects that were stored and deleted."""
        if not put and not remove:
            return
        before = self.table
        self.table = before.with_changes(put, remove)
        self.known.forget(judged_anew(self.table.change, (before.snapshot, self.table.snapshot)))
