"""Whether a workload reaches what most pods need: DNS and the API server."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.analysis.bundle_coverage.effect import EffectJudge
from istio_netpol.analysis.bundle_coverage.modules import known_module
from istio_netpol.istio.api_server_flows import to_api_server
from istio_netpol.istio.components import component_of
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.flows import Agreement, FlowKind, PodsPeer, RequiredFlow, Via
from istio_netpol.model.verdicts import Judged
from istio_netpol.model.workloads import Workload

DEFAULT_ACCOUNT = "default"


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


def needs_of(workload: Workload, view: MeshView) -> Iterator[EgressNeed]:
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
