"""Where a workload listens, who is known to call it there, and whether anybody may still connect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from istio_netpol.analysis.bundle_coverage.effect import EffectJudge
from istio_netpol.analysis.bundle_coverage.results import Listening, SideState, WebhookCaller
from istio_netpol.istio.components import component_of
from istio_netpol.istio.mutual_tls import PROXY_PORTS
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import AnyPeer, FlowKind, PodsPeer, RequiredFlow
from istio_netpol.model.workloads import Workload

SOMEBODY = AnyPeer("any caller", in_cluster=True)

PortKey = tuple[int, Protocol]


def listening(
    workload: Workload, callers: Sequence[WebhookCaller], view: MeshView, judge: EffectJudge
) -> tuple[Listening, ...]:
    """The ports that containers declare, to which Services lead, or that the API server calls, sorted. Those
    of the proxy are left out, and those for the kubelet's probes alone, which policies don't concern."""
    led = _ports_of_services(workload, view)
    proxy = frozenset() if view.is_gateway(workload) else PROXY_PORTS
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


def callers_of(flows: Sequence[RequiredFlow], judge: EffectJudge) -> Iterator[WebhookCaller]:
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


def state_of(
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


def is_without(workload: Workload, ports: Sequence[Listening], before: EffectJudge) -> bool:
    """Whether what is closed was closed without the bundle, too."""
    closed = [port for port in ports if not port.is_open]
    return bool(closed) and not any(_is_open(workload, port.port, port.protocol, before) for port in closed)
