"""The sides of workloads that a bundle isolates, and what each of them loses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from istio_netpol.analysis.bundle_coverage import wording
from istio_netpol.analysis.bundle_coverage.egress import EgressNeed, needs_of
from istio_netpol.analysis.bundle_coverage.examined import Examined
from istio_netpol.analysis.bundle_coverage.ingress import callers_of, is_without, listening, state_of
from istio_netpol.analysis.bundle_coverage.modules import component_for_metrics, hint
from istio_netpol.analysis.bundle_coverage.results import IsolatedSide, Listening, SideState
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.verdicts import Judged
from istio_netpol.model.workloads import Workload
from istio_netpol.remedies.plan import PolicyPlan
from istio_netpol.remedies.pod_selector import selector_of
from istio_netpol.trust.authority import OPERATOR


class Looked(Struct, frozen=True):
    """A side, with the policies that open what is known of its needs. `is_told` says that findings about
    required connections tell of all that it loses, `is_minor` that this is metrics alone."""

    side: IsolatedSide
    policies: tuple[NetworkPolicy, ...] = ()
    is_told: bool = False
    is_minor: bool = False

    def findings(self) -> Iterator[Finding]:
        """A warning for a side that loses something; an info where that is metrics, or nothing says that it
        is ever used."""
        side = self.side
        if side.state is SideState.COVERED or self.is_told:
            return
        severity = Severity.WARNING if side.loses and not self.is_minor else Severity.INFO
        yield Finding(
            Issue.UNCOVERED_WORKLOAD,
            severity,
            side.workload,
            wording.cut(side),
            remedy=self.policies,
            field=str(side.direction),
        )


def sides_of(workload: Workload, examined: Examined) -> Iterator[Looked]:
    """Those of its sides that the bundle isolates."""
    if examined.applied.isolates(workload, Direction.INGRESS):
        yield _ingress(workload, examined)
    if examined.applied.isolates(workload, Direction.EGRESS):
        yield _egress(workload, examined)


def _ingress(workload: Workload, examined: Examined) -> Looked:
    calls = examined.calls_by_api_server.get(workload.ref.key, ())
    callers = tuple(callers_of(calls, examined.judge))
    ports = listening(workload, callers, examined.view, examined.judge)
    opens = examined.opens(workload, Direction.INGRESS)
    state = state_of(workload, ports, callers, opens, examined.view)
    cut = [caller for caller in callers if not caller.allowed]
    called = {caller.port for caller in cut}
    closed = [port for port in _that_matter(ports) if not port.is_open and port.port not in called]
    is_cut = state is not SideState.COVERED
    for_metrics = "" if cut else component_for_metrics(workload, [port.port for port in closed])
    is_minor = bool(for_metrics)
    port_lost = wording.metrics_lost if is_minor else wording.port_lost
    loses = (*map(wording.caller_lost, cut), *map(port_lost, closed)) if is_cut else ()
    remedy = (
        wording.take(for_metrics)
        if for_metrics
        else hint(workload, Direction.INGRESS, examined.applied)
        or wording.open_ingress(selector_of(workload, examined.table.snapshot), ports)
    )
    side = IsolatedSide(
        workload.ref,
        Direction.INGRESS,
        state,
        ports,
        callers,
        loses,
        examined.applied.others(workload, Direction.INGRESS),
        is_cut and is_without(workload, ports, examined.before),
        remedy if is_cut else "",
    )
    return Looked(side, is_told=bool(cut) and not closed, is_minor=is_minor)


def _that_matter(ports: tuple[Listening, ...]) -> tuple[Listening, ...]:
    """The ports to which Services lead, all where none does."""
    return tuple(port for port in ports if port.services) or ports


def _egress(workload: Workload, examined: Examined) -> Looked:
    judge, sent = examined.judge, examined.sent.get(workload.ref.key, ())
    opens = examined.opens(workload, Direction.EGRESS)
    required = [flow for flow in sent if not judge.verdict(flow).egress.allowed]
    kinds = {flow.kind for flow in sent}
    needs = [need for need in needs_of(workload, examined.view) if need.is_likely or not opens]
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
    return Looked(side, _policies(untold, examined), is_told=opens and not untold)


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
