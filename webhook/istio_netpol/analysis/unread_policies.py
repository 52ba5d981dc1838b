"""Policies of network plugins that are not evaluated, and the required flows of which they select an end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.flows import Peer, PodsPeer, RequiredFlow
from istio_netpol.model.policies import Direction
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.unread import UnreadPolicy
from istio_netpol.model.workloads import Workload
from istio_netpol.state.snapshot import CLUSTER_SCOPE, Snapshot


class UnreadPolicies:
    """Those of one snapshot, by the pods that they select."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._places: dict[str, tuple[UnreadPolicy, ...]] = {}
        self._anywhere = self._in(CLUSTER_SCOPE)
        self._known: dict[tuple[Workload, Direction], tuple[UnreadPolicy, ...]] = {}

    def kinds(self) -> Counter[tuple[str, str]]:
        """How many there are, by apiVersion and kind."""
        places = (CLUSTER_SCOPE, *self._snapshot.namespace_names)
        every = (policy for place in places for policy in self._in(place))
        return Counter((policy.ref.api_version, policy.ref.kind) for policy in every)

    def _in(self, namespace: str) -> tuple[UnreadPolicy, ...]:
        """Those of a namespace, each once."""
        found = self._places.get(namespace)
        if found is None:
            found = tuple(_each_once(self._snapshot.of_type(UnreadPolicy, namespace)))
            self._places[namespace] = found
        return found

    def selecting(self, workload: Workload, direction: Direction) -> tuple[UnreadPolicy, ...]:
        """Those that select the pods for a direction: of their namespace first."""
        found = self._known.get((workload, direction))
        if found is None:
            namespace = self._snapshot.namespace(workload.namespace)
            policies = (*self._in(workload.namespace), *self._anywhere)
            found = tuple(policy for policy in policies if policy.covers(workload, namespace, direction))
            self._known[workload, direction] = found
        return found

    def at_ends(self, source: Peer, destination: Peer) -> Iterator[tuple[UnreadPolicy, Workload]]:
        """Those that select an end of a connection, with the end. Pods that are assumed are not told of."""
        for direction, peer in ((Direction.EGRESS, source), (Direction.INGRESS, destination)):
            if isinstance(peer, PodsPeer) and not peer.workload.ref.is_assumed:
                for policy in self.selecting(peer.workload, direction):
                    yield policy, peer.workload

    def findings(self, flows: Iterable[RequiredFlow]) -> Iterator[Finding]:
        """One for each policy that selects an end of a required flow."""
        ends: dict[UnreadPolicy, dict[ObjectRef, None]] = {}
        counts: Counter[UnreadPolicy] = Counter()
        for flow in flows:
            found = dict(self.at_ends(flow.source, flow.destination))
            counts.update(found.keys())
            for policy, workload in self.at_ends(flow.source, flow.destination):
                ends.setdefault(policy, {})[workload.ref] = None
        for policy, workloads in ends.items():
            yield Finding(
                Issue.POLICY_NOT_READ,
                Severity.WARNING,
                policy.ref,
                _sentence(policy, list(workloads), counts[policy]),
            )

    def added_to(self, finding: Finding) -> Finding:
        """A finding about a connection, with those that select an end of it."""
        if finding.flow is None or finding.verdict is None:
            return finding
        pairs = dict.fromkeys(self.at_ends(finding.flow.source, finding.flow.destination))
        told = "".join(
            f"; {policy.title} selects {workload.ref} and is not read" for policy, workload in pairs
        )
        return replace(finding, message=finding.message + told) if told else finding


def _each_once(policies: Sequence[UnreadPolicy]) -> Iterator[UnreadPolicy]:
    """Of a policy of Calico that is there as it is served and as it is stored, the form that people edit; in
    files the two may differ in whom they select, and then it selects them all."""
    stored = {policy.identity: policy for policy in policies if policy.is_stored_form}
    served = {policy.identity for policy in policies if not policy.is_stored_form}
    for policy in policies:
        if not policy.is_stored_form:
            other = stored.get(policy.identity)
            yield replace(policy, coverages=policy.coverages + other.coverages) if other else policy
        elif policy.identity not in served:
            yield policy


def _sentence(policy: UnreadPolicy, workloads: list[ObjectRef], count: int) -> str:
    others = f" and {len(workloads) - 1} more" if len(workloads) > 1 else ""
    flows = "1 required flow" if count == 1 else f"{count} required flows"
    return (
        f"{policy.ref}: is not read, and selects an end of {flows} ({workloads[0]}{others}); they are judged "
        "by NetworkPolicies and policy tiers alone"
    )
