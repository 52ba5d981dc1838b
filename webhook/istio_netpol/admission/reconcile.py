"""What namespaces in mode augment lack, however they came to lack it: a new deny-all, a deleted policy."""

from __future__ import annotations

from functools import cache

from istio_netpol.admission.modes import effective_mode
from istio_netpol.admission.scope import is_exempt_namespace
from istio_netpol.analysis.check import FindingsWriter, judge_of
from istio_netpol.analysis.flow_table import FlowTable
from istio_netpol.analysis.openings import Reach
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Mode


def missing_policies(table: FlowTable, resolver: Resolver) -> tuple[NetworkPolicy, ...]:
    """The policies to write now, each on behalf of an object of a namespace in mode augment."""
    settings = table.settings.admission

    @cache
    def is_augmented(namespace: str) -> bool:
        found = table.snapshot.namespace(namespace)
        if found.terminating or is_exempt_namespace(namespace, settings):
            return False
        return effective_mode(namespace, found.labels, settings).mode is Mode.AUGMENT

    writer = FindingsWriter(judge_of(table, resolver), Reach(table.settings, tenant=True))
    for flow in sorted(table.flows(), key=lambda flow: flow.sort_key):
        if is_augmented(flow.object.namespace):
            writer.take(flow)
    return writer.policies()
