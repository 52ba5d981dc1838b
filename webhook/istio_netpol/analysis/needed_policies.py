"""Which policies a cluster would need if it had none of ours; the controller compares the cluster with the
answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct, field

from istio_netpol.analysis.flow_verdicts import FlowJudge, HostTrouble
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.failures import NOT_CONTAINED
from istio_netpol.model.policies import NetworkPolicy, PolicyKey
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.verdicts import Judged
from istio_netpol.remedies.denied_sides import openings_of
from istio_netpol.remedies.names import content_key
from istio_netpol.remedies.plan import PolicyPlan
from istio_netpol.remedies.required_by import name_of
from istio_netpol.trust.authority import ANYBODY, Authority


class Upkeep(Struct, frozen=True):
    """`needed` keeps a policy that is there, `wanted` (a part of it) makes and restores one.

    `uncertain` are the objects, as `required-by` names them, whose need is not known now: what they needed
    before stays. `objects` are the references behind those names, none where two objects share one, and where
    pods are left of a controller that is gone.
    """

    needed: Mapping[PolicyKey, NetworkPolicy] = field(default_factory=dict)
    wanted: frozenset[PolicyKey] = frozenset()
    uncertain: frozenset[str] = frozenset()
    objects: Mapping[str, ObjectRef | None] = field(default_factory=dict)


def upkeep(table: FlowTable, judge: FlowJudge, is_augmented: Callable[[str], bool]) -> Upkeep:
    """Works out the policies of a table whose snapshot has none of ours; `is_augmented` tells of a namespace
    whether policies are written for its objects.

    As at admission, objects of tenants open what the trust boundaries allow and nothing else, and only pods
    that other policies isolate are selected.
    """
    ledger = _Ledger(table, judge, is_augmented)
    ledger.uncertain.update(name_of(finding.object) for finding in table.failures.values())
    for flow in sorted(table.flows(), key=lambda flow: flow.sort_key):
        ledger.note(flow.object)
        try:
            for outcome in judge.resolved(flow):
                ledger.take(outcome)
        except NOT_CONTAINED:
            raise
        except Exception:  # contained to the flow: what its object needed before stays
            ledger.uncertain.add(name_of(flow.object))
    return ledger.closed()


class _Ledger:
    """Collects the policies for denied sides: those that anybody may need, and those that an augmented
    namespace asks for."""

    def __init__(self, table: FlowTable, judge: FlowJudge, is_augmented: Callable[[str], bool]) -> None:
        self._snapshot = table.snapshot
        self._judge = judge
        names = table.snapshot.namespace_names
        willing = Authority(frozenset(name for name in names if is_augmented(name)))
        self._needed, self._wanted = (
            PolicyPlan(table.snapshot, judge.gate.blocks, authority, known=judge.known)
            for authority in (ANYBODY, willing)
        )
        self._objects: dict[str, ObjectRef | None] = {}
        self.uncertain: set[str] = set()

    def note(self, ref: ObjectRef) -> None:
        """Remembers which object a name means."""
        known = self._objects.setdefault(name_of(ref), ref)
        if known is not None and known.key != ref.key:
            self._objects[name_of(ref)] = None

    def take(self, judged: Judged | HostTrouble) -> None:
        """Takes up one flow."""
        if isinstance(judged, HostTrouble):
            if not judged.refused:
                self.uncertain.add(name_of(judged.flow.object))
            return
        for opening in openings_of(judged):
            self.note(opening.subject.ref)
        self._needed.add(judged)
        if not self._judge.is_assumed(judged):
            self._wanted.add(judged)

    def closed(self) -> Upkeep:
        """The upkeep of all flows. No policy is wanted in a namespace that is being deleted."""
        needed = {(policy.namespace, policy.name): policy for policy in self._needed.policies()}
        contents = {content_key(policy): key for key, policy in needed.items()}
        wanted = set()
        for policy in self._wanted.policies():
            if self._snapshot.namespace(policy.namespace).terminating:
                continue
            # Fewer objects may ask for it than need it, or for a part of it: then its name is another one.
            key = contents.setdefault(content_key(policy), (policy.namespace, policy.name))
            needed.setdefault(key, policy)
            wanted.add(key)
        failed = self._needed.failed | self._wanted.failed
        objects = {
            name: ref if ref is not None and self._snapshot.names(ref) else None
            for name, ref in self._objects.items()
        }
        return Upkeep(needed, frozenset(wanted), frozenset(self.uncertain | failed), objects)
