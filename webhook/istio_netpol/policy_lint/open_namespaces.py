"""Namespaces in which no policy isolates any pod."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.flows import PodsPeer, RequiredFlow
from istio_netpol.model.own_names import KUBERNETES_NAMESPACES
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.state.snapshot import Snapshot

MOST_NAMES = 10
"""Namespaces that the message names: those of which most is known first."""


def open_namespaces(
    snapshot: Snapshot, flows: Iterable[RequiredFlow], administered: frozenset[str]
) -> Iterator[Finding]:
    """One info for all namespaces with workloads of which none is isolated, on the first of them, where the
    input has policies in others: else they may be kept elsewhere. Kubernetes' own namespaces and those that
    administrators keep don't count."""
    tenants = [name for name in snapshot.namespace_names if name not in KUBERNETES_NAMESPACES | administered]
    names = [name for name in tenants if _is_open(name, snapshot)]
    policed = [name for name in tenants if name not in names and snapshot.of_type(NetworkPolicy, name)]
    if not names or not policed:
        return
    sides = Counter(name for flow in flows for name in _ends(flow))
    ref = snapshot.namespace(names[0]).ref
    message = (
        f"{ref}: no NetworkPolicy isolates any pod of {_listed(names, sides)}, so all their connections are "
        "open; `istio-netpol generate --assume-deny-all` writes the policies that a deny-all there needs"
    )
    yield Finding(Issue.OPEN_NAMESPACE, Severity.INFO, ref, message)


def _is_open(name: str, snapshot: Snapshot) -> bool:
    workloads = [pods for pods in snapshot.workloads(name) if not pods.host_network]
    return bool(workloads) and not any(map(snapshot.policies_for, workloads))


def _ends(flow: RequiredFlow) -> set[str]:
    """The namespaces whose pods are an end of a flow."""
    return {end.workload.namespace for end in (flow.source, flow.destination) if isinstance(end, PodsPeer)}


def _listed(names: list[str], sides: Counter[str]) -> str:
    """The namespaces, each with the required flows of its pods, which a deny-all there has to allow."""
    told = sorted(names, key=lambda name: (-sides[name], name))
    parts = [f"{name} ({_flows(sides[name])})" for name in told[:MOST_NAMES]]
    if len(told) > MOST_NAMES:
        parts.append(f"{len(told) - MOST_NAMES} more")
    subject = "namespace" if len(names) == 1 else f"these {len(names)} namespaces:"
    return f"{subject} {', '.join(parts)}"


def _flows(count: int) -> str:
    return f"{count} required flow" + ("" if count == 1 else "s")
