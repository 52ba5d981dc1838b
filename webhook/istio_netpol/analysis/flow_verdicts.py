"""What the policies of a snapshot say of required flows, with host names resolved where that matters."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.analysis.assumed_pods import opened, rests_on_assumption
from istio_netpol.analysis.dialling import dialled
from istio_netpol.flows.cache import NamespaceAnswers
from istio_netpol.flows.table import namespaces_of
from istio_netpol.istio.own_destinations import led_inside
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.failures import NOT_CONTAINED, Failure
from istio_netpol.model.flows import AddressPeer, FlowKind, HostPeer, PodsPeer, RequiredFlow
from istio_netpol.model.services import DIRECTLY, Dialled
from istio_netpol.model.verdicts import Judged, Verdict
from istio_netpol.netpol.evaluate import judge
from istio_netpol.netpol.ip_blocks import POSSIBLE_ADDRESSES
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.trust.host_policy import HostAnswer, HostGate

ADMINISTERED = frozenset({FlowKind.TO_APISERVER, FlowKind.DNS})
"""Flows whose destination is most often the cluster's own, told by settings and by what administrators
run."""

_ANYWHERE = POSSIBLE_ADDRESSES[0]
"""Where a host may be: it stands for no link-local or multicast address any more than a pod does."""


class HostTrouble(Struct, frozen=True):
    """A flow that was not judged: to a host whose addresses are not known, `refused` where that is the
    administrator's word, or because of an error of our own."""

    flow: RequiredFlow
    sentence: str
    refused: bool
    failure: Failure | None = None


class FlowJudge:
    """Judges flows against the policies of one snapshot. Stand-ins have no policies of their own: their side
    is open."""

    def __init__(
        self, snapshot: Snapshot, view: MeshView, gate: HostGate, known: NamespaceAnswers | None = None
    ) -> None:
        self.snapshot = snapshot
        self.view = view
        self.gate = gate
        self.known = known or NamespaceAnswers()

    def verdict(self, flow: RequiredFlow) -> Verdict:
        """The verdict of the policies on a flow as it is written. A flow to an unresolved host counts as
        allowed where any address is allowed. Many objects may need the same connection, so it is judged
        once."""
        how = self.dialled(flow)
        connection = (flow.source, flow.destination, flow.protocol, flow.port, how)
        found: Verdict | None = self.known.find(connection)
        if found is None:
            found = self._judged(flow, how)
            homes = {front.service.namespace for front in how.fronts}
            self.known.keep(connection, namespaces_of(flow) | homes, found)
        return found

    def dialled(self, flow: RequiredFlow) -> Dialled:
        """How a flow is dialled, where that counts."""
        return dialled(flow, self.view) if self.snapshot.network.judges_before else DIRECTLY

    def is_plainly_allowed(self, flow: RequiredFlow) -> bool:
        """Whether a flow is allowed beyond doubt, by more than an ipBlock, without a DNS lookup."""
        if isinstance(flow.destination, HostPeer):
            return False
        return all(
            isinstance(outcome, Judged)
            and outcome.verdict.allowed
            and not outcome.verdict.is_undecided
            and not (outcome.verdict.egress.by_ip_block or outcome.verdict.ingress.by_ip_block)
            for outcome in self.resolved(flow)
        )

    def _judged(self, flow: RequiredFlow, how: Dialled) -> Verdict:
        verdict = judge(self.snapshot, flow.source, flow.destination, flow.protocol, flow.port, dialled=how)
        return opened(verdict, flow.source, flow.destination)

    def is_assumed(self, judged: Judged) -> bool:
        """Whether a denial rests on where pods are assumed to be that the input lacks."""
        return rests_on_assumption(judged, self.snapshot, self.view.settings)

    def allows(self, outcome: Judged | HostTrouble) -> bool | None:
        """Whether policies allow a flow that `resolved` returns; None where it can't be told. A host whose
        addresses are not known is denied where the policies allow none that it may have."""
        if isinstance(outcome, HostTrouble):
            if outcome.failure is not None:
                return None
            judged = Judged(outcome.flow, self.verdict(outcome.flow))
            is_denied = not judged.verdict.allowed and (outcome.refused or not judged.verdict.is_undecided)
            return False if is_denied and not self.is_assumed(judged) else None
        if outcome.verdict.is_undecided or self.is_assumed(outcome):
            return None
        return outcome.verdict.allowed

    def resolved(self, flow: RequiredFlow) -> tuple[Judged | HostTrouble, ...]:
        """The verdict on a flow, after its host was resolved if policies make that necessary; several where
        the host stands for pods of the cluster. An error in that is contained to the flow."""
        try:
            return self._resolved(flow)
        except NOT_CONTAINED:
            raise
        except Exception as error:
            failure = Failure.of("verdict", error)
            return (HostTrouble(flow, str(failure), False, failure),)

    def _resolved(self, flow: RequiredFlow) -> tuple[Judged | HostTrouble, ...]:
        if not isinstance(flow.destination, HostPeer):
            return (self._to_known(flow),)
        host = flow.destination.host
        anywhere = self.verdict(self.at_any_address(flow))
        if anywhere.allowed and not self.gate.is_known(host):
            return (Judged(flow, anywhere),)
        ask = self.gate.of_administrators if is_administered(flow) else self.gate.addresses
        answer = ask(host, flow.object.namespace)
        inside, others = led_inside(flow, answer.addresses or answer.found, self.view)
        if answer.unresolved or (answer.refused and (others or not inside)):
            return (HostTrouble(flow, answer.refused or answer.unresolved, bool(answer.refused)),)
        exact = replace(flow, destination=AddressPeer(others, host))
        outside = (Judged(exact, self.verdict(exact)),) if others else ()
        return (*map(self._to_known, inside), *outside)

    def at_any_address(self, flow: RequiredFlow) -> RequiredFlow:
        """The flow to every address that its host may have, where it is to a host: allowed only if all of
        them are. A host outside the cluster is at none of the cluster's own, which ipBlocks may not match."""
        if not isinstance(flow.destination, HostPeer):
            return flow
        network = self.snapshot.network
        anywhere = _ANYWHERE - self.snapshot.beyond_ip_blocks if network.tells_addresses_apart else _ANYWHERE
        return replace(flow, destination=AddressPeer(anywhere, flow.destination.host))

    def _to_known(self, flow: RequiredFlow) -> Judged | HostTrouble:
        """The verdict on a flow whose destination needs no lookup. Addresses that an object names, itself or
        through endpoints that somebody listed, are refused like a host that resolves to them."""
        judged = Judged(flow, self.verdict(flow))
        if judged.verdict.allowed or is_administered(flow):
            return judged
        answer = self._literal(flow)
        if answer is None or not answer.refused:
            return judged
        return HostTrouble(replace(flow, destination=HostPeer(answer.host)), answer.refused, True)

    def _literal(self, flow: RequiredFlow) -> HostAnswer | None:
        """What the limits say about the addresses that a policy for this flow would name; None where it
        names none."""
        peer, home = flow.destination, flow.object.namespace
        if isinstance(peer, AddressPeer):
            return self.gate.literal(_in_short(peer), peer.addresses, home)
        if isinstance(peer, PodsPeer) and peer.workload.host_network:
            addresses = AddressSet.of(*peer.workload.node_addresses)
            written = _in_short(AddressPeer(addresses))
            # A port of a node is opened for what administrators run there, not for a tenant's pods beside it.
            is_trusted = peer.workload.namespace in self.view.trusted_namespaces
            limit = self.gate.of_host_network if is_trusted else self.gate.literal
            return limit(written, addresses, home)
        return None


def is_administered(flow: RequiredFlow) -> bool:
    """Whether administrators name the destination, and no object of a tenant does: it may lie within the
    cluster's own addresses."""
    return flow.kind in ADMINISTERED and flow.via.administered


def _in_short(peer: AddressPeer) -> str:
    """The addresses as a person writes them."""
    return ", ".join(text.removesuffix("/32").removesuffix("/128") for text in peer.text.split(", "))
