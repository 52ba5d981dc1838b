"""What namespaces in mode augment lack, however they came to lack it: a new deny-all, a deleted policy."""

from __future__ import annotations

from istio_netpol.admission.modes import effective_mode
from istio_netpol.admission.scope import is_exempt_namespace
from istio_netpol.analysis.check import judge_of
from istio_netpol.analysis.findings_writer import FindingsWriter
from istio_netpol.flows.table import FlowTable, namespaces_of
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Mode
from istio_netpol.trust.authority import Authority


def missing_policies(table: FlowTable, resolver: Resolver) -> tuple[NetworkPolicy, ...]:
    """The policies to write now, each on behalf of an object of a namespace in mode augment, or within such
    a namespace for flows to which it has agreed."""
    names = table.snapshot.namespace_names
    augmented = frozenset(name for name in names if _is_augmented(name, table))
    authority = Authority(augmented)
    writer = FindingsWriter(judge_of(table, resolver), authority)
    for flow in sorted(table.flows(), key=lambda flow: flow.sort_key):
        if not augmented.isdisjoint({flow.object.namespace, *namespaces_of(flow)}):
            writer.take(flow)
    return writer.policies()


def _is_augmented(name: str, table: FlowTable) -> bool:
    settings, namespace = table.settings.admission, table.snapshot.namespace(name)
    if namespace.terminating or is_exempt_namespace(name, settings):
        return False
    return effective_mode(name, namespace.labels, settings).mode is Mode.AUGMENT
