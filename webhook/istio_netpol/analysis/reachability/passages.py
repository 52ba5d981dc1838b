"""What required flows pass besides network policies: Sidecars, mutual TLS, AuthorizationPolicies."""

from __future__ import annotations

from msgspec import Struct

from istio_netpol.analysis.explain.gates import Passage, gates
from istio_netpol.analysis.explain.policy_gates import POLICIES
from istio_netpol.analysis.explain.required_remedies import connection
from istio_netpol.analysis.results import Gate
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.failures import NOT_CONTAINED
from istio_netpol.model.flows import PodsPeer, RequiredFlow


class Way(Struct, frozen=True):
    """The gates where a connection begins, and those where it ends."""

    outset: tuple[Gate, ...] = ()
    arrival: tuple[Gate, ...] = ()


NO_GATES = Way()


class Passages:
    """The ways of the connections of one cluster, each worked out once: policies do not change them."""

    def __init__(self) -> None:
        self._known: dict[object, Way] = {}

    def of(self, flow: RequiredFlow, table: FlowTable) -> Way:
        """The gates of a flow. An error of our own here is left out, since gates decide no verdict."""
        if not isinstance(flow.source, PodsPeer) and not isinstance(flow.destination, PodsPeer):
            return NO_GATES
        key = connection(flow)
        found = self._known.get(key)
        if found is None:
            try:
                found = _way(flow, table)
            except NOT_CONTAINED:
                raise
            except Exception:
                found = NO_GATES
            self._known[key] = found
        return found


def _way(flow: RequiredFlow, table: FlowTable) -> Way:
    passage = Passage(flow.source, flow.destination, flow.protocol, flow.port)
    found = gates(table.snapshot, table.view, passage)
    first = next((place for place, gate in enumerate(found) if gate.gate in POLICIES), len(found))
    outset, arrival = (
        tuple(gate for gate in part if gate.gate not in POLICIES) for part in (found[:first], found[first:])
    )
    return Way(outset, arrival)
