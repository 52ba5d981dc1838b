"""Verdicts by their effect: a rule that admits only addresses from which no connection comes admits
nobody."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from istio_netpol.analysis.flow_verdicts import FlowJudge
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.addresses import Address, AddressSet, parse_address
from istio_netpol.model.flows import RequiredFlow
from istio_netpol.model.services import Dialled, Service
from istio_netpol.model.verdicts import RuleRef, Verdict
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.trust.host_policy import HostGate


class EffectJudge(FlowJudge):
    """Judges as the network does. The address of a Service is never a source: what its pods send has theirs,
    so an ipBlock of it in an ingress rule admits nobody (Kyma's keda-manager writes that of the Service
    `kubernetes` into the policy of its webhook: kyma-project/keda-manager pkg/reconciler/fsm.go, 1.12)."""

    def __init__(self, snapshot: Snapshot, view: MeshView, gate: HostGate) -> None:
        super().__init__(snapshot, view, gate)
        self.service_addresses = AddressSet.of(*_service_addresses(snapshot))

    def _judged(self, flow: RequiredFlow, how: Dialled) -> Verdict:
        verdict = super()._judged(flow, how)
        allowing = verdict.ingress.allowed_by
        left = tuple(ref for ref in allowing if not self.admits_nobody(ref))
        if len(left) == len(allowing):
            return verdict
        return replace(verdict, ingress=replace(verdict.ingress, allowed_by=left))

    def admits_nobody(self, ref: RuleRef) -> bool:
        """Whether an ingress rule names addresses of Services, and nobody else."""
        rule = ref.policy.rules(ref.direction)[ref.index]
        return bool(rule.peers) and not rule.selectors and rule.addresses <= self.service_addresses

    def on_paper(self, flow: RequiredFlow) -> tuple[RuleRef, ...]:
        """The rules that seem to allow a flow that nothing allows in effect."""
        verdict = super()._judged(flow, self.dialled(flow))
        allowing = verdict.ingress.allowed_by
        return allowing if allowing and all(map(self.admits_nobody, allowing)) else ()


def _service_addresses(snapshot: Snapshot) -> Iterator[Address]:
    for service in snapshot.every(Service):
        for text in service.cluster_ips:
            address = parse_address(text)
            if address is not None:
                yield address
