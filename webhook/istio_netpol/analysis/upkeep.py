"""Which policies a cluster would need, were there none of ours: what is there is compared with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from istio_netpol.analysis.check import judge_of
from istio_netpol.analysis.flow_table import FlowTable
from istio_netpol.analysis.judge import HostTrouble
from istio_netpol.analysis.openings import Reach, openings_of
from istio_netpol.analysis.remedies import PolicyWriter, name_of
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.model.snapshot import Snapshot

PolicyKey = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class Upkeep:
    """`needed` keeps a policy that is there, `wanted` (a part of it) makes and restores one.

    `uncertain` are the objects, as `required-by` names them, whose need is not known now: what they needed
    before stays. `objects` are the references behind those names, none where two objects share one.
    """

    needed: Mapping[PolicyKey, NetworkPolicy] = field(default_factory=dict)
    wanted: frozenset[PolicyKey] = frozenset()
    uncertain: frozenset[str] = frozenset()
    objects: Mapping[str, ObjectRef | None] = field(default_factory=dict)


def upkeep(
    snapshot: Snapshot,
    own: Iterable[PolicyKey],
    settings: Settings,
    resolver: Resolver,
    is_augmented: Callable[[str], bool],
) -> Upkeep:
    """Works out the policies as if those of `own` were not there; `is_augmented` tells of a namespace
    whether policies are written for its objects.

    As at admission, objects of tenants open what the trust boundaries allow and nothing else, and only pods
    that other policies isolate are selected.
    """
    found = (snapshot.find(NetworkPolicy, *key) for key in own)
    bare = snapshot.with_changes(remove=[policy for policy in found if policy is not None])
    table = FlowTable.of(bare, settings)
    judge = judge_of(table, resolver)
    names = frozenset(table.snapshot.namespace_names)
    augmented = frozenset(name for name in names if is_augmented(name))
    anyone = Reach(settings, tenant=True, agreeing=names)
    willing = Reach(settings, tenant=True, asking=augmented, agreeing=augmented)
    needed, wanted = (PolicyWriter(table.snapshot, judge.gate) for _ in range(2))
    uncertain: set[str] = set()
    objects: dict[str, ObjectRef | None] = {}
    for flow in sorted(table.flows(), key=lambda flow: flow.sort_key):
        _note(objects, flow.object)
        judged = judge.resolved(flow)
        if isinstance(judged, HostTrouble):
            if not judged.refused:
                uncertain.add(name_of(flow.object))
            continue
        for opening in openings_of(judged):
            _note(objects, opening.subject.ref)
            if anyone.may_open(flow, opening.direction, opening.subject):
                needed.add(opening)
            if willing.may_open(flow, opening.direction, opening.subject):
                wanted.add(opening)
    by_key = {(each.namespace, each.name): each for each in needed.policies()}
    asked = {
        (each.namespace, each.name)
        for each in wanted.policies()
        if not table.snapshot.namespace(each.namespace).terminating
    }
    return Upkeep(by_key, frozenset(asked & by_key.keys()), frozenset(uncertain), objects)


def _note(objects: dict[str, ObjectRef | None], ref: ObjectRef) -> None:
    known = objects.setdefault(name_of(ref), ref)
    if known is not None and known.key != ref.key:
        objects[name_of(ref)] = None
