"""Which denials rest on an assumption: pods that the input lacks may have other labels, or run in another
namespace."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.flows.table import FlowTable
from istio_netpol.istio.view.stand_ins import StandIn, stand_ins_in
from istio_netpol.model.assumptions import Assumption
from istio_netpol.model.findings import Finding
from istio_netpol.model.flows import FlowKind, Peer, PodsPeer, RequiredFlow
from istio_netpol.model.labels import NAMESPACE_NAME_LABEL, Operator, Selector
from istio_netpol.model.policies import PolicyRule
from istio_netpol.model.settings import Settings
from istio_netpol.model.verdicts import OPEN, Judged, SideVerdict, Verdict
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.ports import admits_port
from istio_netpol.state.snapshot import Snapshot


def is_assumed_denial(finding: Finding) -> bool:
    """Whether a finding is about a denied connection from or to pods that are assumed."""
    if finding.flow is None or finding.verdict is None or finding.verdict.allowed:
        return False
    return is_assumed(finding.flow.source) or is_assumed(finding.flow.destination)


def opened(verdict: Verdict, source: Peer, destination: Peer) -> Verdict:
    """The verdict in which the sides of stand-ins count as open, since nobody knows which NetworkPolicies
    select them. What is denied before NetworkPolicies are asked still counts: none of them overrides it."""
    return Verdict(
        egress=_of_stand_in(verdict.egress) if is_assumed(source) else verdict.egress,
        ingress=_of_stand_in(verdict.ingress) if is_assumed(destination) else verdict.ingress,
    )


def _of_stand_in(side: SideVerdict) -> SideVerdict:
    """What counts of a verdict for the side of a stand-in: denials before NetworkPolicies are asked."""
    is_final = bool(side.denied_by) and all(ref.policy.tier.precedes_policies for ref in side.denied_by)
    return SideVerdict(denied_by=side.denied_by) if is_final and not side.undecided else OPEN


def stand_ins_of(snapshot: Snapshot, settings: Settings) -> tuple[StandIn, ...]:
    """What is assumed for what an input lacks: all that its objects need, and the parts of every mesh."""
    table = FlowTable.of(snapshot, settings)
    view = table.view
    view.every_istiod(), view.dns_targets(), view.assumed_ingress_gateway()
    return stand_ins_in({**table.answers, **view.reader.found})


def rests_on_assumption(judged: Judged, snapshot: Snapshot, settings: Settings) -> bool:
    """Whether a flow might be allowed if the assumed pods were where they really are.

    Who calls from pods that the input lacks is not known, unless the settings say where gateways run. Whom
    the input lacks, but every proxy needs, is called in vain wherever it is, if no rule lets the port through
    to pods that the input lacks.
    """
    flow = judged.flow
    if judged.verdict.allowed:
        return False
    if isinstance(flow.source, PodsPeer) and is_assumed(flow.source):
        if flow.kind is FlowKind.WEBHOOK_FROM_APISERVER:
            return False  # Who calls webhooks is only ever assumed where settings name it.
        return flow.source.workload.namespace != settings.mesh.gateway_namespace
    if not is_assumed(flow.destination):
        return False
    rules = (rule for policy in judged.verdict.egress.isolated_by for rule in policy.egress)
    return any(
        admits_port(rule.ports, _called(flow), flow.protocol, flow.port) and _means_unknown(rule, snapshot)
        for rule in rules
    )


def undeclared_namespaces(snapshot: Snapshot) -> Iterator[Assumption]:
    """The namespaces with pods whose labels the input does not say."""
    for name in snapshot.namespace_names:
        if not snapshot.namespace(name).declared and snapshot.workloads(name):
            yield Assumption(
                f"the input holds no Namespace {name}",
                f"that it has no label but {NAMESPACE_NAME_LABEL}, which decides on injection and selectors",
            )


def is_assumed(peer: Peer) -> bool:
    """Whether a peer is a stand-in."""
    return isinstance(peer, PodsPeer) and peer.workload.ref.is_assumed


def _called(flow: RequiredFlow) -> Workload | None:
    return flow.destination.workload if isinstance(flow.destination, PodsPeer) else None


def _means_unknown(rule: PolicyRule, snapshot: Snapshot) -> bool:
    """Whether a peer of a rule may mean pods of a namespace of which the input has no pods. The input has
    the pods of the policy's own namespace, and an ipBlock means no pods."""
    return any(
        peer.namespace_selector is not None and _may_match_unknown(peer.namespace_selector, snapshot)
        for peer in rule.selectors
    )


def _may_match_unknown(selector: Selector, snapshot: Snapshot) -> bool:
    wanted = [{value} for key, value in selector.match_labels if key == NAMESPACE_NAME_LABEL]
    wanted += [
        set(requirement.values)
        for requirement in selector.match_expressions
        if requirement.key == NAMESPACE_NAME_LABEL and requirement.operator is Operator.IN
    ]
    return all(any(not snapshot.workloads(name) for name in names) for names in wanted)
