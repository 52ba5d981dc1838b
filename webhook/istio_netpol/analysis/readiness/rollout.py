"""An order in which policies and a deny-all can be applied to a cluster that runs, judged step by step.

A required flow is what objects ask for, whatever the policies say, so that the flows of a cluster are worked
out once. Each step then costs the connections of the pods that its policy selects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from istio_netpol.analysis.flow_verdicts import FlowJudge
from istio_netpol.model.flows import PodsPeer, RequiredFlow
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.references import ObjectKey, ObjectRef
from istio_netpol.remedies.ahead import Today, WorkloadSide
from istio_netpol.state.snapshot import Snapshot

ConnectionKey = tuple[str, str, str, int]


class Ask(Struct, frozen=True):
    """A workload of which nothing says what it needs, and the directions in which it is open until then."""

    workload: ObjectRef
    directions: tuple[Direction, ...]


class RolloutStep(Struct, frozen=True):
    """One policy to apply. `cuts` are the connections that were allowed just before and are denied just
    after it, `asks` the workloads that it isolates though nothing says what they need. `waits` says that it
    comes after questions are answered: it costs something, or follows one of its namespace that does."""

    number: int
    policy: NetworkPolicy
    is_denial: bool
    cuts: tuple[RequiredFlow, ...] = ()
    asks: tuple[Ask, ...] = ()
    waits: bool = False

    @property
    def is_safe(self) -> bool:
        """Whether applying the step costs no known connection, and no owner has to be asked first."""
        return not self.cuts and not self.asks


def connection_key(flow: RequiredFlow) -> ConnectionKey:
    """Equal for flows that are the same connection, whoever needs it."""
    return (flow.source.key, flow.destination.key, str(flow.protocol), flow.port)


class Rollout:
    """A cluster while policies are added to it. `denied` has the required connections that are denied now;
    one to a host of which no address is known, unless every address is open."""

    def __init__(
        self,
        today: Today,
        judge: FlowJudge,
        flows: Iterable[RequiredFlow],
        unknown: Mapping[ObjectKey, ObjectRef],
    ) -> None:
        self.snapshot = today.snapshot
        self._today = today
        self._judge = judge
        self._unknown = unknown
        self.connections: dict[ConnectionKey, RequiredFlow] = {}
        for flow in flows:
            self.connections.setdefault(connection_key(flow), flow)
        self._at_side: defaultdict[WorkloadSide, list[ConnectionKey]] = defaultdict(list)
        for key, flow in self.connections.items():
            for direction, peer in ((Direction.EGRESS, flow.source), (Direction.INGRESS, flow.destination)):
                if isinstance(peer, PodsPeer):
                    self._at_side[direction, peer.workload.ref.key].append(key)
        self.denied = self._denied_among(self.connections, self.snapshot)
        self._isolated: set[WorkloadSide] = set()
        """Sides that a step has isolated."""

    def order(
        self, policies: Sequence[NetworkPolicy], denials: Sequence[NetworkPolicy]
    ) -> tuple[RolloutStep, ...]:
        """Applies all of them: first what is safe, the policies before the denials; then the others, a
        namespace at a time, its denial last.

        A policy concerns pods of its own namespace alone, so the order of namespaces makes no difference, and
        within one the given order is kept.
        """
        steps: list[RolloutStep] = []
        waiting = [*((policy, False) for policy in policies), *((policy, True) for policy in denials)]
        while True:
            left = []
            for policy, is_denial in waiting:
                step = self._apply(policy, is_denial, len(steps) + 1, waits=False)
                if step is None:
                    left.append((policy, is_denial))
                else:
                    steps.append(step)
            if len(left) == len(waiting):
                break
            waiting = left
        for policy, is_denial in sorted(left, key=lambda pair: pair[0].namespace):
            step = self._apply(policy, is_denial, len(steps) + 1, waits=True)
            if step is not None:
                steps.append(step)
        return tuple(steps)

    def _apply(
        self, policy: NetworkPolicy, is_denial: bool, number: int, *, waits: bool
    ) -> RolloutStep | None:
        """The step, after which the cluster is another; None for one that is not safe and does not wait."""
        after = self.snapshot.with_changes(put=[policy])
        selected = self._today.selected(policy.namespace, policy.pod_selector)
        sides = [(direction, workload) for workload in selected for direction in policy.policy_types]
        touched = dict.fromkeys(
            key
            for direction, workload in sides
            for key in self._at_side.get((direction, workload.ref.key), ())
        )
        denied = self._denied_among(touched, after)
        cuts = denied.keys() - self.denied.keys()
        opened = {side for side in self._today.open_sides(policy) if side not in self._isolated}
        step = RolloutStep(
            number,
            policy,
            is_denial,
            tuple(self.connections[key] for key in touched if key in cuts),
            tuple(self._asked(opened)),
            waits,
        )
        if not (waits or step.is_safe):
            return None
        self.snapshot = after
        self._isolated |= opened
        for key in touched:
            self.denied.pop(key, None)
        self.denied |= denied
        return step

    def _asked(self, opened: Iterable[WorkloadSide]) -> Iterator[Ask]:
        directions: defaultdict[ObjectKey, set[Direction]] = defaultdict(set)
        for direction, key in opened:
            if key in self._unknown:
                directions[key].add(direction)
        for key in sorted(directions):
            yield Ask(self._unknown[key], tuple(sorted(directions[key])))

    def _denied_among(
        self, keys: Iterable[ConnectionKey], snapshot: Snapshot
    ) -> dict[ConnectionKey, RequiredFlow]:
        judge = FlowJudge(snapshot, self._judge.view, self._judge.gate)
        flows = ((key, self.connections[key]) for key in keys)
        return {key: flow for key, flow in flows if not judge.verdict(judge.at_any_address(flow)).allowed}
