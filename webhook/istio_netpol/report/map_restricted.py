"""The map for a reader who may see some namespaces only.

Nothing is taken out of the document: a new one is written from what the reader may see, so that nothing is
left in a table by mistake. Workloads of other namespaces become one peer without a name, which is there only
where a required flow of the reader's own workloads leads to it or comes from it. Of such flows the ports and
both sides' verdicts are told; reasons, objects and remedies are not, as they name what is hidden. Nor is what
is the whole cluster's: gates of the mesh, policies of tiers, what was assumed, what was not read.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any

from istio_netpol.analysis.reachability.document import ABSENT, Numbered
from istio_netpol.model.json_values import JsonObject
from istio_netpol.netpol.masks import Mask
from istio_netpol.report.map_document import EGRESS_DENIED, INGRESS_DENIED, UNKNOWN, runs
from istio_netpol.report.map_policies import names_only

MapDocument = Mapping[str, Any]

OTHERS = {"kind": "others", "name": "other namespaces"}
NO_OBJECT = ("", "", "", "")
DECIDED = {
    "denied by": "denied by a policy of a tier",
    "perhaps": "perhaps decided by a policy of a tier",
    "accepted by": "accepted by a policy of a tier",
}


def restricted(document: MapDocument, namespaces: Collection[str]) -> JsonObject:
    """The document of a reader who may see these namespaces."""
    return _Restricted(document, frozenset(namespaces)).document()


class _Restricted:
    def __init__(self, document: MapDocument, namespaces: frozenset[str]) -> None:
        self._old = document
        self._visible = [namespace["name"] in namespaces for namespace in document["namespaces"]]
        self._names = {
            namespace["name"] for namespace in document["namespaces"] if namespace["name"] in namespaces
        }
        homes = Numbered[int]()
        self._homes = {number: homes.number(number) for number, seen in enumerate(self._visible) if seen}
        self._remedies_kept = self._remedies_to_keep()
        self._peers: dict[int, int] = {}
        self._others: int | None = None
        self._number_peers()
        self._tables: dict[str, Numbered[Any]] = {}
        self._table("ports", ())
        self._table("ports", _frozen(document["ports"][1]))
        self._table("strings", "")

    def document(self) -> JsonObject:
        old = self._old
        policies = [
            number for number, policy in enumerate(old["policies"]) if policy["namespace"] in self._names
        ]
        numbers = {number: place for place, number in enumerate(policies)}
        states = {name: self._state(state, numbers) for name, state in old["states"].items()}
        kept = [self._policy(old["policies"][number]) for number in policies]
        return {
            **{key: old[key] for key in ("apiVersion", "kind", "title", "readFrom", "made")},
            "namespaces": [old["namespaces"][number] for number in self._homes],
            "workloads": list(self._workloads()),
            "outside": self._outside,
            "policies": kept,
            "states": states,
            "assumed": [],
            "notRead": [],
            **{
                name: list(self._tables[name].values) if name in self._tables else []
                for name in ("ports", "sets", "profiles", "specs", "objects", "remedies", "strings", "gates")
            },
        }

    def _table(self, name: str, value: Hashable) -> int:
        return self._tables.setdefault(name, Numbered()).number(value)

    def _workloads(self) -> Iterator[list[Any]]:
        for row in self._old["workloads"]:
            if self._visible[row[0]]:
                yield [self._homes[row[0]], *row[1:]]

    # Peers.

    def _number_peers(self) -> None:
        """Visible workloads, then the outside peers that visible things name, then all others as one."""
        workloads, outside = self._old["workloads"], self._old["outside"]
        for number, row in enumerate(workloads):
            if self._visible[row[0]]:
                self._peers[number] = len(self._peers)
        self._count = len(self._peers)
        named = {peer for flow in self._own_flows() if self._tells(flow) for peer in (flow[1], flow[2])}
        self._outside = []
        for place, peer in enumerate(outside):
            number = len(workloads) + place
            by_policy = self._names.intersection(peer.get("namedBy", ()))
            if place == 0 or number in named or by_policy:
                self._peers[number] = len(self._peers)
                self._outside.append({**peer, "namedBy": sorted(by_policy)} if by_policy else _plain(peer))
        if any(peer not in self._peers for flow in self._own_flows() for peer in (flow[1], flow[2])):
            self._others = len(self._peers)
            self._outside.append(dict(OTHERS))

    def _peer(self, number: int) -> int:
        found = self._peers.get(number)
        if found is not None:
            return found
        if self._others is None:
            raise ValueError(f"peer {number} is hidden, and no flow leads to it")
        return self._others

    def _is_hidden_workload(self, peer: int) -> bool:
        rows = self._old["workloads"]
        return peer < len(rows) and not self._visible[rows[peer][0]]

    def _is_own(self, peer: int) -> bool:
        rows = self._old["workloads"]
        return peer < len(rows) and self._visible[rows[peer][0]]

    # Flows.

    def _own_flows(self) -> Iterator[Sequence[Any]]:
        """The flows from or to a visible workload, of all states."""
        for state in self._old["states"].values():
            for flow in state["flows"]:
                if self._is_own(flow[1]) or self._is_own(flow[2]):
                    yield flow

    def _tells(self, flow: Sequence[Any]) -> bool:
        """Whether the reader may see all that a flow names: both ends, and the object that asks for it."""
        is_hidden = self._is_hidden_workload(flow[1]) or self._is_hidden_workload(flow[2])
        return not is_hidden and self._old["objects"][flow[6]][1] in self._names

    def _remedies_to_keep(self) -> frozenset[int]:
        """The policies for visible namespaces that mend nothing but what the reader may see, and name nobody
        else: what other flows need may stand in the same policy, by selectors and in an annotation."""
        flows = [flow for state in self._old["states"].values() for flow in state["flows"]]
        hidden = {remedy for flow in flows if not self._tells(flow) for remedy in flow[8]}
        beyond = len(self._old["workloads"])
        leading_out = {remedy for flow in flows if max(flow[1], flow[2]) >= beyond for remedy in flow[8]}
        return frozenset(
            number
            for number, (home, _, text) in enumerate(self._old["remedies"])
            if home in self._names
            and number not in hidden
            and names_only(text, self._names, addresses=number in leading_out)
        )

    def _flow(self, flow: Sequence[Any]) -> list[Any]:
        old, strings = self._old, self._old["strings"]
        kind, source, destination, protocol, port, marks, thing, reason, remedies, _, decided, *_ = flow
        tells = self._tells(flow)
        return [
            self._table("strings", strings[kind]),
            self._peer(source),
            self._peer(destination),
            self._table("strings", strings[protocol]),
            port,
            marks,
            self._table("objects", tuple(old["objects"][thing]) if tells else NO_OBJECT),
            self._table("strings", strings[reason] if tells else "another namespace takes part in it"),
            [
                self._table("remedies", tuple(old["remedies"][remedy]))
                for remedy in remedies
                if tells and remedy in self._remedies_kept
            ],
            self._table("strings", self._doubt(flow, tells)),
            self._table("strings", _decided(strings[decided])),
            [],
            [],
        ]

    def _doubt(self, flow: Sequence[Any], tells: bool) -> str:
        """Why a flow could not be judged. What is wrong with a host that the reader's own object names is
        told; everything else may name policies: of tiers, or of the namespace where pods are assumed."""
        old, text = self._old, self._old["strings"][flow[9]]
        if not text:
            return ""
        beyond = len(old["workloads"])
        ends = {old["outside"][end - beyond]["kind"] for end in flow[1:3] if end >= beyond}
        is_of_host = tells and ends == {"host"} and not old["strings"][flow[10]]
        return str(text) if is_of_host else "it could not be judged"

    # States.

    def _state(self, state: MapDocument, policies: Mapping[int, int]) -> JsonObject:
        flows = [
            self._flow(flow) for flow in state["flows"] if self._is_own(flow[1]) or self._is_own(flow[2])
        ]
        lists: Numbered[tuple[int, ...]] = Numbered()
        lists.number(())
        sides = {
            side: self._side(state[side], state["policyLists"], policies, lists)
            for side in ("egress", "ingress")
        }
        return {
            **sides,
            "policyLists": list(lists.values),
            "policies": [policies[number] for number in state["policies"] if number in policies],
            "flows": flows,
            "byName": self._by_name(flows),
            "summary": {
                "objects": self._count,
                "flows": len(flows),
                "denied": sum(1 for flow in flows if flow[5] & (EGRESS_DENIED | INGRESS_DENIED)),
                "unknown": sum(1 for flow in flows if flow[5] & UNKNOWN),
            },
            "remarks": [self._remark(remark) for remark in state["remarks"] if self._is_own_remark(remark)],
        }

    def _by_name(self, flows: Sequence[Sequence[Any]]) -> list[list[int]]:
        """The ports of allowed flows to and from peers without an address, as far as the reader sees them."""
        strings = self._tables["strings"].values
        found: dict[tuple[int, int], set[tuple[str, int, int]]] = {}
        first = self._count
        for _, source, destination, protocol, port, marks, *_ in flows:
            ends = [self._outside[end - first] for end in (source, destination) if end >= first]
            if marks & (EGRESS_DENIED | INGRESS_DENIED | UNKNOWN):
                continue
            if any(end["kind"] != "addresses" for end in ends):
                found.setdefault((source, destination), set()).add((strings[protocol], port, port))
        return [[*ends, self._table("ports", tuple(sorted(rows)))] for ends, rows in found.items()]

    def _side(
        self,
        side: MapDocument,
        old_lists: Sequence[Sequence[int]],
        policies: Mapping[int, int],
        lists: Numbered[tuple[int, ...]],
    ) -> JsonObject:
        kept = [number for number in self._peers if self._is_own(number)]
        profiles, isolated = [], []
        for number in kept:
            profiles.append(self._profile(side["profiles"][number]))
            by = old_lists[side["isolatedBy"][number]]
            isolated.append(lists.number(tuple(policies[policy] for policy in by if policy in policies)))
        return {
            "profiles": profiles,
            "isolatedBy": isolated,
            "tiers": self._noted(side["tiers"], "A policy of a tier"),
            "notEvaluated": self._noted(side["notEvaluated"], "A policy of a network plugin"),
        }

    def _noted(self, notes: MapDocument, words: str) -> dict[str, list[str]]:
        return {str(self._peers[int(number)]): [words] for number in notes if self._is_own(int(number))}

    def _profile(self, number: int) -> int:
        if number == ABSENT:
            return ABSENT
        cells = self._old["profiles"][number]
        found: list[int] = []
        for ports, peers in zip(cells[::2], cells[1::2], strict=True):
            if mask := self._mask(peers):
                rows = _frozen(self._old["ports"][ports])
                found += [self._table("ports", rows), self._table("sets", runs(mask))]
        return self._table("profiles", tuple(found))

    def _mask(self, number: int) -> Mask:
        """The visible peers of a set."""
        row, mask = self._old["sets"][number], 0
        for first, length in zip(row[::2], row[1::2], strict=True):
            for peer in range(first, first + length):
                if peer in self._peers:
                    mask |= 1 << self._peers[peer]
        return mask

    # Policies and remarks.

    def _policy(self, policy: MapDocument) -> JsonObject:
        rules = {
            side: [
                {
                    **{key: rule[key] for key in ("anybody", "ports") if key in rule},
                    "peers": self._table("sets", runs(self._mask(rule["peers"]))),
                }
                for rule in side_rules
            ]
            for side, side_rules in policy["rules"].items()
        }
        spec = self._table("specs", _frozen(self._old["specs"][policy["spec"]]))
        return {**policy, "spec": spec, "rules": rules}

    def _is_own_remark(self, remark: Sequence[Any]) -> bool:
        return self._old["objects"][remark[2]][1] in self._names

    def _remark(self, remark: Sequence[Any]) -> list[Any]:
        """Its message may name others; the rule's page says what is meant."""
        rule, severity, thing, _ = remark
        number = self._table("objects", tuple(self._old["objects"][thing]))
        return [rule, severity, number, f"istio-netpol rule {rule} explains it"]


def _plain(peer: MapDocument) -> JsonObject:
    return {key: peer[key] for key in ("kind", "name", "address") if key in peer}


def _decided(text: str) -> str:
    """One of the ways in which tiers decide, the one that matters most, without who does."""
    for way, words in DECIDED.items():
        if way in text:
            return words
    return ""


def _frozen(value: Any) -> Any:
    """Lists as tuples, all the way down."""
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
