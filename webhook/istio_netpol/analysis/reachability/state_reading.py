"""What is known of one state before its peers have the numbers that all states share."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from msgspec import Struct, field
from msgspec.structs import replace

from istio_netpol.analysis.check import check_table, judge_of, one_per_host
from istio_netpol.analysis.listing.connections import as_listed
from istio_netpol.analysis.reachability.required_flows import Passages, findings_of_flows, judged_flows
from istio_netpol.analysis.readiness.deny_all import assume_deny_all, told_of_today
from istio_netpol.analysis.results import Report
from istio_netpol.analysis.undeclared import undeclared
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.assumptions import Assumption
from istio_netpol.model.findings import Finding
from istio_netpol.model.flows import Peer, PodsPeer
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.netpol.cluster_masks import ClusterMasks
from istio_netpol.state.snapshot import Snapshot


class Given(Struct, frozen=True):
    """What was read of a cluster. `skipped` counts objects of kinds that no decoder knows; `there` is what
    the cluster has without files that are to be applied; `assumed` and `findings` are what there is to say
    of the reading itself."""

    snapshot: Snapshot
    skipped: Mapping[tuple[str, str], int] = field(default_factory=dict)
    there: Snapshot | None = None
    assumed: tuple[Assumption, ...] = ()
    findings: tuple[Finding, ...] = ()


class StateReading:
    """A state as the engine has it: its workloads in the order of `cluster`, its flows and its report."""

    def __init__(
        self, given: Given, settings: Settings, resolver: Resolver, passages: Passages, *, deny_all: bool
    ) -> None:
        stored = assume_deny_all(given.snapshot) if deny_all else given.snapshot
        table = FlowTable.of(stored, settings)
        judge = judge_of(table, resolver)
        report = check_table(table, judge, given.skipped)
        if deny_all:
            report = told_of_today(report, given.snapshot, given.there or given.snapshot, settings)
        told = findings_of_flows(report.findings)
        self.flows = tuple(judged_flows(table, judge, told, passages))
        self.report = _completed(report, table, given)
        self.snapshot = as_listed(stored, settings)
        self.settings = settings

    @cached_property
    def cluster(self) -> ClusterMasks:
        return ClusterMasks(self.snapshot)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The workloads by position."""
        return tuple(workload.peer_name for workload in self.cluster.workloads)

    def lacks(self, peer: Peer) -> bool:
        """Whether the peer is none of the workloads."""
        return not isinstance(peer, PodsPeer) or peer.workload.peer_name not in self._known

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.names)


def _completed(report: Report, table: FlowTable, given: Given) -> Report:
    """The report as `check` prints it."""
    joined = sorted(one_per_host(report.findings), key=lambda finding: finding.sort_key)
    whole = replace(report, findings=tuple(joined), undeclared=undeclared(table))
    return whole.with_input(given.assumed, given.findings)
