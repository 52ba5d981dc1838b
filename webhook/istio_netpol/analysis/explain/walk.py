"""Several connections one after the other, each with its gates, and the policies that open what is cut."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import cached_property

from msgspec import Struct, field

from istio_netpol.analysis.check import judge_of
from istio_netpol.analysis.explain.gates import Passage, gates
from istio_netpol.analysis.explain.policy_gates import POLICIES
from istio_netpol.analysis.findings_writer import DISPENSABLE, FindingsWriter
from istio_netpol.analysis.flow_verdicts import FlowJudge
from istio_netpol.analysis.generate import packets_key
from istio_netpol.analysis.results import Gate
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.connections import Protocol
from istio_netpol.model.findings import Finding, Severity
from istio_netpol.model.flows import FlowKind, HostPeer, PodsPeer, RequiredFlow
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.request_matching import UNKNOWN_REQUEST, RequestFacts
from istio_netpol.model.resolution import Resolver
from istio_netpol.trust.authority import OPERATOR


class Hop(Struct, frozen=True):
    """One required connection: `passes` is None where it can't be told whether policies allow it. `is_vital`
    says that something fails without it, `starts` that pods do not become ready. `trouble` is what there is
    to say of a connection that is cut or not known: why, and what mends it where no policy does."""

    rule: FlowKind
    object: ObjectRef
    source: str
    destination: str
    protocol: Protocol
    port: int
    reason: str
    passes: bool | None
    gates: tuple[Gate, ...] = ()
    is_vital: bool = True
    starts: bool = False
    trouble: str = ""

    @property
    def refusing(self) -> tuple[Gate, ...]:
        """The gates besides policies that certainly refuse the connection."""
        return tuple(gate for gate in self.gates if gate.passes is False and gate.gate not in POLICIES)

    @property
    def is_cut(self) -> bool:
        """Whether policies or another gate certainly refuse the connection."""
        return self.passes is False or bool(self.refusing)


class Walk(Struct, frozen=True):
    """What `explain` tells of a workload or a host: facts, the connections in order, and the policies that
    open every connection that policies deny. `failures` are problems that belong to no connection, such as a
    path without a route."""

    kind: str
    subject: str
    remarks: tuple[str, ...] = ()
    hops: tuple[Hop, ...] = ()
    remedy: tuple[NetworkPolicy, ...] = ()
    failures: tuple[str, ...] = ()

    @property
    def cut(self) -> tuple[Hop, ...]:
        """The connections that certainly fail."""
        return tuple(hop for hop in self.hops if hop.is_cut)

    @property
    def connects(self) -> bool:
        """Whether no vital connection certainly fails."""
        return not self.failures and not any(hop.is_vital for hop in self.cut)


class Wanted(Struct, frozen=True):
    """A required flow that is looked at, and what is known of the request in it."""

    flow: RequiredFlow
    request: RequestFacts = UNKNOWN_REQUEST
    starts: bool = False


class Walker(Struct, dict=True):
    """Judges chosen flows of one table."""

    table: FlowTable
    resolver: Resolver
    _findings: dict[Hashable, list[Finding]] = field(default_factory=dict)

    @cached_property
    def _judge(self) -> FlowJudge:
        return judge_of(self.table, self.resolver)

    def walk(self, kind: str, subject: str, remarks: Sequence[str], wanted: Sequence[Wanted]) -> Walk:
        """The flows as hops, in their order, and the policies that `generate` writes for those that are
        denied."""
        self._find(want.flow for want in wanted)
        hops = tuple(dict.fromkeys(hop for want in wanted for hop in self._hops(want)))
        remedy = {
            policy.key: policy
            for want in wanted
            for finding in self._told(want.flow)
            for policy in finding.remedy
        }
        return Walk(kind, subject, tuple(remarks), hops, tuple(remedy[key] for key in sorted(remedy)))

    def _find(self, flows: Iterable[RequiredFlow]) -> None:
        """What `check` says of these flows. What one object needs of the same pods stands in one policy, so
        all flows of the objects are looked at."""
        objects = {flow.object.key for flow in flows}
        writer = FindingsWriter(judge_of(self.table, self.resolver), OPERATOR, proposals=True)
        for flow in sorted(self.table.flows(), key=lambda flow: flow.sort_key):
            if flow.object.key in objects:
                writer.take(flow)
        for finding in sorted(writer.findings(), key=lambda finding: finding.sort_key):
            if finding.flow is not None:
                self._findings.setdefault(_key(finding.flow), []).append(finding)

    def _told(self, flow: RequiredFlow) -> list[Finding]:
        """The sentences about a flow. A flow to a host that does not resolve may get two: that it does not
        resolve, and that it is denied."""
        return self._findings.get(_key(flow), [])

    def _hops(self, wanted: Wanted) -> Iterator[Hop]:
        for outcome in self._judge.resolved(wanted.flow):
            flow = outcome.flow
            findings = self._told(wanted.flow) or self._told(flow)
            yield Hop(
                flow.kind,
                flow.object,
                str(flow.source),
                str(flow.destination),
                flow.protocol,
                flow.port,
                flow.reason,
                self._judge.allows(outcome),
                self._gates(flow, wanted.request),
                _is_vital(flow, findings),
                wanted.starts,
                "; ".join(dict.fromkeys(finding.message for finding in findings)),
            )

    def _gates(self, flow: RequiredFlow, request: RequestFacts) -> tuple[Gate, ...]:
        """The gates of the connection that is meant, where a tunnel or a waypoint carries it."""
        via = flow.via
        destination = PodsPeer(via.meant) if via.meant is not None else flow.destination
        port = via.meant_port or flow.port
        if isinstance(destination, HostPeer):
            return ()
        service = via.service if isinstance(destination, PodsPeer) else None
        passage = Passage(
            flow.source,
            destination,
            flow.protocol,
            port,
            service,
            request=request,
            passes_proxies_by=_passes_proxies_by(flow),
            dialled=self._judge.dialled(flow),
        )
        return gates(self.table.snapshot, self.table.view, passage)


def _key(flow: RequiredFlow) -> Hashable:
    return (flow.object.key, flow.kind, packets_key(flow))


_OF_PROXIES = frozenset({FlowKind.PROXY_TO_ISTIOD, FlowKind.GATEWAY_TO_ISTIOD, FlowKind.DNS})
"""What a proxy connects to for its own sake, past its own listeners."""


def _passes_proxies_by(flow: RequiredFlow) -> bool:
    """Whether no proxy has a say in a flow: a proxy's own calls, the modules that it fetches, and the
    kubelet's probes of pods in ambient mode."""
    is_probe = flow.kind is FlowKind.HBONE and not isinstance(flow.source, PodsPeer)
    return is_probe or flow.kind in _OF_PROXIES or flow.object.kind == "WasmPlugin"


def _is_vital(flow: RequiredFlow, findings: Sequence[Finding]) -> bool:
    """Whether something fails where the flow is denied: DNS over TCP is spared where UDP is open."""
    if flow.dispensable or flow.kind in DISPENSABLE:
        return False
    is_spared = any(finding.severity is Severity.WARNING for finding in findings)
    return not (flow.kind is FlowKind.DNS and is_spared)
