"""What a workload that a bundle isolates loses of its egress: DNS, the API server, what rules know of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.analysis.bundle_coverage import wording
from istio_netpol.analysis.bundle_coverage.applied_bundle import EffectJudge, Examined
from istio_netpol.analysis.bundle_coverage.kyma_components import hint, known_module
from istio_netpol.analysis.bundle_coverage.results import ExaminedSide, IsolatedSide, SideState
from istio_netpol.istio.components import component_of
from istio_netpol.istio.control_plane_flows import to_api_server
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.flows import Agreement, FlowKind, PodsPeer, RequiredFlow, Via
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.verdicts import Judged
from istio_netpol.model.workloads import Workload
from istio_netpol.remedies.plan import PolicyPlan
from istio_netpol.remedies.pod_selector import selector_of
from istio_netpol.trust.authority import OPERATOR

DEFAULT_ACCOUNT = "default"


def egress_side(workload: Workload, examined: Examined) -> ExaminedSide:
    """The side on which a workload connects to others: DNS, the API server and whatever rules know of it."""
    judge, sent = examined.judge, examined.sent.get(workload.ref.key, ())
    opens = examined.opens(workload, Direction.EGRESS)
    required = [flow for flow in sent if not judge.verdict(flow).egress.allowed]
    kinds = {flow.kind for flow in sent}
    needs = [need for need in _needs_of(workload, examined.view) if need.is_likely or not opens]
    missing = [(need, denied) for need in needs if (denied := need.denied(judge))]
    untold = [(need, denied) for need, denied in missing if need.kind not in kinds]
    told = {need.kind for need, _ in missing}
    names = [need.name for need, _ in missing]
    names += sorted({str(flow.destination) for flow in required if flow.kind not in told})
    if not opens:
        names.append("whatever else it calls")
    state = SideState.UNCOVERED if not opens else SideState.PARTLY if names else SideState.COVERED
    remedy = hint(workload, Direction.EGRESS, examined.applied) or wording.open_egress(
        selector_of(workload, examined.table.snapshot)
    )
    others = examined.applied.others(workload, Direction.EGRESS)
    side = IsolatedSide(
        workload.ref,
        Direction.EGRESS,
        state,
        loses=tuple(names),
        policies=others,
        is_denied_anyway=bool(missing) and all(need.denied(examined.before) for need, _ in missing),
        remedy="" if state is SideState.COVERED else remedy,
    )
    return ExaminedSide(side, _policies(untold, examined), is_told=opens and not untold)


def _policies(
    missing: Iterable[tuple[EgressNeed, tuple[Judged, ...]]], examined: Examined
) -> tuple[NetworkPolicy, ...]:
    """The policies that open DNS and the API server, where something says that the pods use them."""
    judge = examined.judge
    plan = PolicyPlan(judge.snapshot, judge.gate.blocks, OPERATOR, known=judge.known)
    for need, denied in missing:
        for judged in denied if need.is_likely else ():
            plan.add(judged)
    return plan.policies()


class EgressNeed(Struct, frozen=True):
    """Something that pods connect to: its name for people, and the connections that it takes. Without
    `is_likely` nothing says that these pods use it."""

    name: str
    kind: FlowKind
    flows: tuple[RequiredFlow, ...]
    is_likely: bool = True

    def denied(self, judge: EffectJudge) -> tuple[Judged, ...]:
        """Its connections that these pods' own policies deny."""
        judged = (Judged(flow, judge.verdict(flow)) for flow in self.flows)
        return tuple(flow for flow in judged if not flow.verdict.egress.allowed)


def _needs_of(workload: Workload, view: MeshView) -> Iterator[EgressNeed]:
    """DNS, and the API server: of a known module the table says whether its pods use it, and others with a
    service account of their own were given it for that. Of gateways and Istio's own the rules say all."""
    known = known_module(workload)
    if known is None and (view.is_gateway(workload) or component_of(workload) is not None):
        return
    dns = tuple(
        RequiredFlow(
            FlowKind.DNS,
            workload.ref,
            PodsPeer(workload),
            target.peer,
            target.protocol,
            target.port,
            "nearly every program looks up names",
            shared=isinstance(target.peer, PodsPeer),
            via=Via(target.service, administered=True),
            agreement=Agreement(egress=frozenset({workload.namespace})),
            dispensable=True,
        )
        for target in view.dns_targets()
    )
    yield EgressNeed("DNS", FlowKind.DNS, dns)
    if known is not None and not known.watches:
        return
    reason = known.watches if known else f"its pods have the service account {workload.service_account}"
    own = Agreement(egress=frozenset({workload.namespace}))
    api_server = tuple(
        replace(flow, agreement=own, dispensable=True) for flow in to_api_server(workload, view, reason)
    )
    is_likely = known is not None or workload.service_account != DEFAULT_ACCOUNT
    yield EgressNeed("the API server", FlowKind.TO_APISERVER, api_server, is_likely)
