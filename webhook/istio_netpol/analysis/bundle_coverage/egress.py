"""What of the things that most pods need a workload can't reach: DNS and the API server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from istio_netpol.analysis.bundle_coverage.effect import EffectJudge
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import Agreement, FlowKind, Peer, PodsPeer, RequiredFlow, Via
from istio_netpol.model.verdicts import Judged
from istio_netpol.model.workloads import Workload

DEFAULT_ACCOUNT = "default"


@dataclass(frozen=True, slots=True)
class Need:
    """Something that pods connect to: its name for people, and the connections that it takes. Without
    `is_likely` nothing says that these pods use it."""

    name: str
    kind: FlowKind
    flows: tuple[RequiredFlow, ...]
    is_likely: bool = True

    def denied(self, judge: EffectJudge) -> tuple[Judged, ...]:
        """Its connections that these pods' own policies deny."""
        judged = (Judged(flow, judge.verdict(flow)) for flow in self.flows)
        return tuple(each for each in judged if not each.verdict.egress.allowed)


def needs_of(workload: Workload, view: MeshView) -> Iterator[Need]:
    """DNS, and the API server: pods with a service account of their own were given it to use that."""
    dns = tuple(
        _flow(FlowKind.DNS, workload, peer, protocol, port, "nearly every program looks up names")
        for peer, protocol, port in view.dns_targets()
    )
    yield Need("DNS", FlowKind.DNS, dns)
    peer, port = view.api_server()
    reason = f"its pods have the service account {workload.service_account}"
    api_server = _flow(FlowKind.TO_APISERVER, workload, peer, Protocol.TCP, port, reason)
    is_likely = workload.service_account != DEFAULT_ACCOUNT
    yield Need("the API server", FlowKind.TO_APISERVER, (api_server,), is_likely)


def _flow(
    kind: FlowKind, workload: Workload, peer: Peer, protocol: Protocol, port: int, reason: str
) -> RequiredFlow:
    own = frozenset({workload.namespace})
    return RequiredFlow(
        kind,
        workload.ref,
        PodsPeer(workload),
        peer,
        protocol,
        port,
        reason,
        shared=isinstance(peer, PodsPeer),
        via=Via(administered=True),
        agreement=Agreement(egress=own),
        dispensable=True,
    )
