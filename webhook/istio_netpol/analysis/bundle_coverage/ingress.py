"""What a workload that a bundle isolates loses of its ingress.

That is where it listens, who is known to call it there, and whether anybody may still connect.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from istio_netpol.analysis.bundle_coverage import wording
from istio_netpol.analysis.bundle_coverage.applied_bundle import EffectJudge, Examined
from istio_netpol.analysis.bundle_coverage.kyma_components import component_for_metrics, hint
from istio_netpol.analysis.bundle_coverage.results import (
    ExaminedSide,
    IsolatedSide,
    Listening,
    SideState,
    WebhookCaller,
)
from istio_netpol.istio.components import component_of
from istio_netpol.istio.mutual_tls import PLAINTEXT_PROXY_PORTS
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AnyPeer, FlowKind, PodsPeer, RequiredFlow
from istio_netpol.model.policies import Direction
from istio_netpol.model.workloads import Workload
from istio_netpol.remedies.pod_selector import selector_of

SOMEBODY = AnyPeer("any caller", in_cluster=True)

PortKey = tuple[int, Protocol]


def ingress_side(workload: Workload, examined: Examined) -> ExaminedSide:
    """The side on which others connect to a workload: its ports and callers, and which of them are cut."""
    calls = examined.calls_by_api_server.get(workload.ref.key, ())
    callers = tuple(_callers_of(calls, examined.judge))
    ports = _listening(workload, callers, examined.view, examined.judge)
    opens = examined.opens(workload, Direction.INGRESS)
    state = _state_of(workload, ports, callers, opens, examined.view)
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
        is_cut and _is_without(workload, ports, examined.before),
        remedy if is_cut else "",
    )
    return ExaminedSide(side, is_told=bool(cut) and not closed, is_minor=is_minor)


def _that_matter(ports: tuple[Listening, ...]) -> tuple[Listening, ...]:
    """The ports to which Services lead, all where none does."""
    return tuple(port for port in ports if port.services) or ports


def _listening(
    workload: Workload, callers: Sequence[WebhookCaller], view: MeshView, judge: EffectJudge
) -> tuple[Listening, ...]:
    """The ports that containers declare, to which Services lead, or that the API server calls, sorted. Those
    of the proxy are left out, and those for the kubelet's probes alone, which policies don't concern."""
    led = _ports_of_services(workload, view)
    proxy = frozenset() if view.is_gateway(workload) else PLAINTEXT_PROXY_PORTS
    probed = {(number, Protocol.TCP) for number in workload.probe_ports}
    declared = {(port.number, port.protocol) for port in workload.ports if port.number not in proxy}
    called = {(caller.port, Protocol.TCP) for caller in callers}
    found = (declared - probed) | led.keys() | called
    return tuple(
        Listening(
            port, protocol, tuple(led.get((port, protocol), ())), _is_open(workload, port, protocol, judge)
        )
        for port, protocol in sorted(found)
    )


def _ports_of_services(workload: Workload, view: MeshView) -> dict[PortKey, list[str]]:
    found: dict[PortKey, list[str]] = {}
    for service in view.services_of(workload):
        for port in service.ports:
            named = isinstance(port.target, str)
            numbers = workload.named_port(str(port.target), port.protocol) if named else (int(port.target),)
            for number in numbers:
                names = found.setdefault((number, port.protocol), [])
                if service.name not in names:
                    names.append(service.name)
    return found


def _is_open(workload: Workload, port: int, protocol: Protocol, judge: EffectJudge) -> bool:
    """Whether a policy admits anybody there, inside the cluster or outside."""
    flow = RequiredFlow(
        FlowKind.WORKLOAD_TO_WORKLOAD, workload.ref, SOMEBODY, PodsPeer(workload), protocol, port, ""
    )
    return judge.verdict(flow).ingress.allowed


def _callers_of(flows: Sequence[RequiredFlow], judge: EffectJudge) -> Iterator[WebhookCaller]:
    """The objects that have the API server call these pods, each port once: allowed where it gets through out
    of all pods that it may call out of."""
    found: dict[tuple[object, int], WebhookCaller] = {}
    for flow in flows:
        key = (flow.object.key, flow.port)
        allowed = judge.verdict(flow).ingress.allowed
        before = found.get(key)
        closed = not flow.dispensable
        if before is not None:
            closed, allowed = closed or before.fails_closed, allowed and before.allowed
        found[key] = WebhookCaller(flow.object, flow.port, closed, allowed)
    yield from found.values()


def _state_of(
    workload: Workload,
    ports: Sequence[Listening],
    callers: Sequence[WebhookCaller],
    is_opened: bool,
    view: MeshView,
) -> SideState:
    """Whether every known caller is admitted, and anybody at all on each port that matters. Where the rules
    know the callers, they say which ports matter; for other workloads the ports count to which a Service
    leads, or all ports where no Service does."""
    if not ports:
        return SideState.COVERED if is_opened else SideState.UNCOVERED
    if not any(port.is_open for port in ports):
        return SideState.UNCOVERED
    led = [port for port in ports if port.services] or ports
    is_known = component_of(workload) is not None or view.is_gateway(workload)
    is_whole = all(caller.allowed for caller in callers) and (is_known or all(port.is_open for port in led))
    return SideState.COVERED if is_whole else SideState.PARTLY


def _is_without(workload: Workload, ports: Sequence[Listening], before: EffectJudge) -> bool:
    """Whether what is closed was closed without the bundle, too."""
    closed = [port for port in ports if not port.is_open]
    return bool(closed) and not any(_is_open(workload, port.port, port.protocol, before) for port in closed)
