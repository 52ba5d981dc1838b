"""The facts about who can reach whom as one JSON document: what the page of `map` reads.

Whatever many rows share stands once, in a table, and rows name it by number. docs/map.md describes the
document.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

from istio_netpol.analysis.reachability.document import (
    ABSENT,
    DirectionProfiles,
    MappedFlow,
    Numbered,
    ReachabilityFacts,
    ResolvedPolicy,
    ResolvedRule,
    State,
)
from istio_netpol.analysis.reachability.outside import OutsidePeer
from istio_netpol.analysis.reachability.state_reading import FlowOutcome
from istio_netpol.analysis.results import Gate
from istio_netpol.manifests.encode import encode_spec, to_yaml
from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.connections import ConnectionSet
from istio_netpol.model.findings import Finding
from istio_netpol.model.json_values import JsonObject
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.references import ObjectKey, ObjectRef
from istio_netpol.model.verdicts import SideVerdict
from istio_netpol.model.workloads import Namespace, Workload
from istio_netpol.netpol.masks import Mask, positions
from istio_netpol.printable import visible
from istio_netpol.report.json_format import API_VERSION, not_read_documents, summary_document
from istio_netpol.report.map_policies import spec_text
from istio_netpol.report.remedies import distinct_policies

EGRESS_DENIED, INGRESS_DENIED, UNKNOWN, BY_IP_BLOCK, IS_WARNING = 1, 2, 4, 8, 16
"""The bits of a flow's `marks`."""
UNDECIDED = -1
"""In a gate: whether it lets a flow pass can't be told."""


def map_document(facts: ReachabilityFacts, *, title: str, read_from: str = "", made: str = "") -> JsonObject:
    """The document. `title` names the cluster, `read_from` is the PATH that commands on the page repeat, and
    `made` says when or from what it was made."""
    return _Writer(facts).document(title, read_from, made)


def json_facts(facts: ReachabilityFacts, title: str, read_from: str) -> str:
    """The document as JSON, in one line."""
    document = map_document(facts, title=title, read_from=read_from)
    return json.dumps(document, separators=(",", ":")) + "\n"


def html(
    facts: ReachabilityFacts, title: str, read_from: str, page: Callable[[Mapping[str, Any]], str]
) -> str:
    """The page that shows the document; `page` makes it."""
    return page(map_document(facts, title=title, read_from=read_from))


class _Writer:
    """Collects the tables while the states are written."""

    def __init__(self, facts: ReachabilityFacts) -> None:
        self._facts = facts
        self._sets: Numbered[tuple[int, ...]] = Numbered()
        self._profiles: Numbered[tuple[int, ...]] = Numbered()
        self._strings: Numbered[str] = Numbered()
        self._objects: Numbered[ObjectKey] = Numbered()
        self._remedies: Numbered[tuple[str, str, str]] = Numbered()
        self._specs: Numbered[tuple[str, tuple[str, ...], tuple[str, ...]]] = Numbered()
        self._gates: Numbered[tuple[str, int, str]] = Numbered()
        self._masks: dict[Mask, int] = {}
        self._strings.number("")

    def document(self, title: str, read_from: str, made: str) -> JsonObject:
        facts = self._facts
        numbers = {namespace.name: number for number, namespace in enumerate(facts.namespaces)}
        profiles = [self._profile(profile.cells) for profile in facts.profiles]
        policies = [self._policy(policy) for policy in facts.policies]
        states = {str(name): self._state(state, profiles) for name, state in facts.states.items()}
        report = facts.now.report
        return {
            "apiVersion": API_VERSION,
            "kind": "Map",
            "title": title,
            "readFrom": read_from,
            "made": made,
            "namespaces": [_namespace(namespace) for namespace in facts.namespaces],
            "workloads": [_workload(workload, numbers) for workload in facts.workloads],
            "outside": [self._outside(peer) for peer in facts.outside],
            "ports": [port_rows(ports) for ports in facts.ports.values],
            "sets": self._sets.values,
            "profiles": self._profiles.values,
            "policies": policies,
            "specs": self._specs.values,
            "objects": self._objects.values,
            "remedies": self._remedies.values,
            "gates": self._gates.values,
            "strings": self._strings.values,
            "states": states,
            "assumed": [
                {"what": assumption.what, "why": assumption.why} for assumption in report.assumptions
            ],
            "notRead": not_read_documents(report.not_read),
        }

    def _outside(self, peer: OutsidePeer) -> JsonObject:
        """A peer; `address` is one of its addresses, and `namedBy` has the namespaces whose policies name
        just these addresses."""
        named = self._named_by.get(peer.addresses, ()) if peer.addresses else ()
        return {
            "kind": str(peer.kind),
            "name": visible(peer.name),
            **({"address": _first(peer.addresses)} if peer.addresses else {}),
            **({"namedBy": sorted(named)} if named else {}),
        }

    @cached_property
    def _named_by(self) -> dict[AddressSet | None, set[str]]:
        found: dict[AddressSet | None, set[str]] = {}
        for policy in (resolved.policy for resolved in self._facts.policies):
            for rule in (*policy.ingress, *policy.egress):
                for peer in rule.peers:
                    if peer.ip_block is not None:
                        found.setdefault(peer.ip_block.addresses, set()).add(policy.namespace)
        return found

    def _set(self, mask: Mask) -> int:
        """The number of a set of peers, as `[first, length, first, length, …]`."""
        known = self._masks.get(mask)
        if known is None:
            known = self._masks[mask] = self._sets.number(runs(mask))
        return known

    def _profile(self, cells: Iterable[tuple[int, Mask]]) -> int:
        return self._profiles.number(
            tuple(number for ports, mask in cells for number in (ports, self._set(mask)))
        )

    def _policy(self, resolved: ResolvedPolicy) -> JsonObject:
        policy = resolved.policy
        rules = {
            str(direction).lower(): [self._rule(rule) for rule in resolved.rules(direction)]
            for direction in (Direction.EGRESS, Direction.INGRESS)
            if direction in policy.policy_types
        }
        return {
            "namespace": policy.namespace,
            "name": policy.name,
            "spec": self._specs.number(spec_text(encode_spec(policy))),
            "place": _place(policy.ref),
            "rules": rules,
        }

    def _rule(self, rule: ResolvedRule) -> JsonObject:
        ports = [[str(entry.protocol), entry.port, entry.end_port] for entry in rule.ports]
        return {
            "peers": self._set(rule.peers),
            **({"anybody": True} if rule.anybody else {}),
            **({"matchesNobody": True} if rule.matches_nobody else {}),
            **({"ports": ports} if ports else {}),
        }

    def _state(self, state: State, profiles: list[int]) -> JsonObject:
        merged = {policy.key: policy for policy in distinct_policies(state.report.findings)}
        lists: Numbered[tuple[int, ...]] = Numbered()
        lists.number(())
        return {
            "egress": self._side(state.egress, profiles, lists),
            "ingress": self._side(state.ingress, profiles, lists),
            "policyLists": lists.values,
            "policies": state.policies,
            "flows": [self._flow(mapped, merged) for mapped in state.flows],
            "byName": [[*ends, ports] for ends, ports in state.by_name.items()],
            "summary": summary_document(state.report.summary),
            "remarks": [self._remark(finding) for finding in state.report.findings if finding.flow is None],
        }

    def _side(
        self, side: DirectionProfiles, profiles: list[int], lists: Numbered[tuple[int, ...]]
    ) -> JsonObject:
        return {
            "profiles": [ABSENT if number == ABSENT else profiles[number] for number in side.profiles],
            "isolatedBy": [lists.number(policies) for policies in side.isolated_by],
            "tiers": {
                str(workload): [f"{policy.ref} ({policy.tier} tier)" for policy in policies]
                for workload, policies in side.tiers.items()
            },
            "notEvaluated": {str(workload): titles for workload, titles in side.not_read.items()},
        }

    def _flow(self, mapped: MappedFlow, merged: Mapping[str, NetworkPolicy]) -> list[Any]:
        """[kind, source, destination, protocol, port, marks, object, reason, remedies, doubt, decided by,
        gates at the outset, gates on arrival]."""
        judged, flow = mapped.judged, mapped.judged.flow
        remedies = judged.finding.remedy if judged.finding else ()
        return [
            self._strings.number(str(flow.kind)),
            mapped.source,
            mapped.destination,
            self._strings.number(str(flow.protocol)),
            flow.port,
            _marks(mapped),
            self._object(flow.object),
            self._strings.number(visible(flow.reason)),
            [self._remedy(merged.get(policy.key, policy)) for policy in remedies],
            self._strings.number(visible(judged.doubt)),
            self._strings.number("; ".join(_decided_by(judged.verdict.egress, judged.verdict.ingress))),
            [self._gate(gate) for gate in judged.way.outset],
            [self._gate(gate) for gate in judged.way.arrival],
        ]

    def _gate(self, gate: Gate) -> int:
        """[gate, 1 where it lets the flow pass, 0 where not, -1 where that can't be told, text]."""
        return self._gates.number(
            (gate.gate, UNDECIDED if gate.passes is None else int(gate.passes), visible(gate.text))
        )

    def _remedy(self, policy: NetworkPolicy) -> int:
        return self._remedies.number((policy.namespace, policy.name, to_yaml([policy])))

    def _object(self, ref: ObjectRef) -> int:
        return self._objects.number((ref.kind, ref.namespace, ref.name, _place(ref)))

    def _remark(self, finding: Finding) -> list[Any]:
        """[rule, severity, object, message]."""
        return [
            str(finding.rule),
            str(finding.severity),
            self._object(finding.object),
            visible(finding.message),
        ]


def _first(addresses: AddressSet) -> str:
    return next(iter(addresses.cidrs())).partition("/")[0]


def runs(mask: Mask) -> tuple[int, ...]:
    """A set of positions as first and length of each run."""
    found: list[int] = []
    for position in positions(mask):
        if found and found[-2] + found[-1] == position:
            found[-1] += 1
        else:
            found += [position, 1]
    return tuple(found)


def port_rows(ports: ConnectionSet) -> list[list[Any]]:
    """A port set as [protocol, first, last] rows."""
    return [[str(protocol), low, high] for protocol, intervals in ports.ranges for low, high in intervals]


def _marks(mapped: MappedFlow) -> int:
    judged = mapped.judged
    egress, ingress = judged.verdict.egress, judged.verdict.ingress
    marks = 0
    if judged.outcome is FlowOutcome.DENIED:
        marks |= (0 if egress.allowed else EGRESS_DENIED) | (0 if ingress.allowed else INGRESS_DENIED)
    if judged.outcome is FlowOutcome.UNKNOWN or judged.doubt:
        marks |= UNKNOWN
    if egress.by_ip_block or ingress.by_ip_block:
        marks |= BY_IP_BLOCK
    return marks | (IS_WARNING if judged.is_warning else 0)


def _decided_by(*sides: SideVerdict) -> list[str]:
    """The rules of tiers that decide the flow, in words; `perhaps` where that can't be told."""
    doubtful = {ref for side in sides for ref in side.undecided}
    surely = [
        *(("denied by", ref) for side in sides for ref in side.denied_by),
        *(("accepted by", ref) for side in sides for ref in side.accepted_by),
    ]
    return [
        *(f"{words} {ref}" for words, ref in surely if ref not in doubtful),
        *(f"perhaps decided by {ref}" for side in sides for ref in side.undecided),
    ]


def _namespace(namespace: Namespace) -> JsonObject:
    labels = dict(sorted(namespace.labels.items()))
    return {"name": namespace.name, "labels": labels, **({} if namespace.declared else {"declared": False})}


def _workload(workload: Workload, namespaces: Mapping[str, int]) -> list[Any]:
    """[namespace, kind, name, place, whether it is in the host's network]."""
    ref = workload.ref
    home = namespaces[ref.namespace]
    return [home, ref.kind, ref.name, _place(ref), int(workload.host_network)]


def _place(ref: ObjectRef) -> str:
    return f"{ref.file}:{ref.line}" if ref.file and ref.line else ""
