"""Which workloads of a cluster a bundle's default-deny would cut: behind `istio-netpol bundle verify
--cluster-dump`."""

from __future__ import annotations

from collections.abc import Sequence

from istio_netpol.analysis.bundle_coverage.applied import Applied
from istio_netpol.analysis.bundle_coverage.denied_flows import denied_flows
from istio_netpol.analysis.bundle_coverage.examined import Examined
from istio_netpol.analysis.bundle_coverage.results import Coverage
from istio_netpol.analysis.bundle_coverage.sides import sides_of
from istio_netpol.analysis.bundle_proof.default_deny import newly_isolated
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.state.snapshot import Snapshot


def coverage_of(
    bundle: Sequence[ClusterObject], cluster: Snapshot, settings: Settings, resolver: Resolver
) -> Coverage:
    """Judges every workload that the bundle isolates, with all policies that the cluster has and the bundle
    brings. Policies of others count by what they select and admit, whatever they are called."""
    examined = Examined(Applied.of(bundle, cluster), settings, resolver)
    names = examined.applied.namespaces
    workloads = {name: examined.workloads(name) for name in names}
    looked = [side for name in names for workload in workloads[name] for side in sides_of(workload, examined)]
    applied = examined.applied
    new = () if settings.bundle.default_deny else newly_isolated(_own(applied), applied.before)
    findings = [*new, *denied_flows(examined), *(finding for side in looked for finding in side.findings())]
    return Coverage(
        names,
        tuple(name for name in names if not workloads[name]),
        tuple(side.side for side in looked),
        len(examined.flows),
        tuple(sorted(findings, key=lambda finding: finding.sort_key)),
        examined.table.assumptions,
    )


def _own(applied: Applied) -> list[NetworkPolicy]:
    """The bundle's policies."""
    return [policy for policy in applied.after.every(NetworkPolicy) if policy.key in applied.own]
