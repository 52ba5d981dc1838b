"""Which flows of a cluster can cause what somebody saw, and what its policies say of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.analysis.check import judge_of
from istio_netpol.analysis.explain.connection import explain
from istio_netpol.analysis.findings_writer import FindingsWriter
from istio_netpol.analysis.results import Explanation
from istio_netpol.analysis.symptom_causes.authorization_suspects import authorization_remarks
from istio_netpol.analysis.symptom_causes.connection_ends import Ends, can_be_called, ends_of
from istio_netpol.errors import InputError
from istio_netpol.flows.table import FlowTable
from istio_netpol.istio.hbone import HBONE_PORT
from istio_netpol.model.connections import Protocol
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.flows import AddressPeer, FlowKey, FlowKind, PodsPeer, RequiredFlow
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.symptoms.paste import Seen
from istio_netpol.symptoms.symptom import Blame
from istio_netpol.trust.authority import OPERATOR

MOST_CONNECTIONS = 20
"""Connections that nothing is known to need and that are followed one by one for all symptoms together."""

_NAMES = {"authorization-denied", "ztunnel-authorization"}
KUBELET_PROBE = "probe-no-answer"
"""The symptom of probes that ambient mode lets come from an address of their own."""

_BESIDE = frozenset({Issue.IP_BLOCK_FOR_PODS, Issue.HOST_UNRESOLVABLE, Issue.JWKS_UNRESOLVABLE})
"""Findings about a flow that do not say whether policies deny it."""

_BY_POLICY = ("-policy", "-tier")
_CALLS = {FlowKind.GATEWAY_TO_WORKLOAD, FlowKind.WORKLOAD_TO_WORKLOAD, FlowKind.WORKLOAD_TO_EXTERNAL}


class SymptomOutcome(StrEnum):
    """What the input says of a symptom."""

    DENIED = "denied"
    """Policies deny a flow that can cause it."""

    ALLOWED = "allowed"
    """Policies allow every flow that can cause it."""

    UNKNOWN = "unknown"
    """The input has no such flow."""

    NO_INPUT = "no-input"
    """Nothing was given to judge by."""

    OTHER_CAUSE = "other-cause"
    """The network is not the cause."""


class Suspect(Struct, frozen=True):
    """A connection that can be the cause. `allowed` is None where it can't be told; `told` is a sentence.
    `asked` is the kind in the table that it stands for, `is_warning` says that most goes on without it."""

    kind: FlowKind
    source: str
    destination: str
    protocol: str
    port: int | str
    allowed: bool | None
    told: str
    asked: FlowKind
    is_warning: bool = False
    remedy: tuple[NetworkPolicy, ...] = ()


class SymptomAnswer(Struct, frozen=True):
    """What there is to say of one thing that was seen: the suspects, denied ones first and in each group
    likeliest first, and what else is known."""

    seen: Seen
    outcome: SymptomOutcome
    suspects: tuple[Suspect, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def flows(self) -> tuple[FlowKind, ...]:
        """The kinds of flows that can be the cause, likeliest first; none where it is something else."""
        return self.seen.sighting.flows


class NamedEnds(Struct, frozen=True):
    """The ends of the connection, and the namespace that it concerns, as far as somebody names them."""

    source: str = ""
    destination: tuple[str, int | str, Protocol] | None = None
    namespace: str = ""


_NAMED_NOTHING = NamedEnds()


def answers_without_input(seen: Iterable[Seen]) -> tuple[SymptomAnswer, ...]:
    """What can be said of symptoms where there is no cluster to judge by, likeliest first."""
    return _sorted(
        SymptomAnswer(
            occurrence, SymptomOutcome.NO_INPUT if occurrence.sighting.flows else SymptomOutcome.OTHER_CAUSE
        )
        for occurrence in seen
    )


def answers(
    seen: Sequence[Seen],
    snapshot: Snapshot,
    settings: Settings,
    resolver: Resolver,
    named: NamedEnds = _NAMED_NOTHING,
) -> tuple[SymptomAnswer, ...]:
    """What the policies of the input say of each symptom, likeliest cause first. Raises InputError where
    `named` has an end that the input does not have."""
    if any(FlowKind.SCRAPE in occurrence.sighting.flows for occurrence in seen):
        settings = replace(settings, check_scrape=True)
    judging = _Judging(snapshot, settings, resolver, named)
    return _sorted(map(judging.answer, seen))


class _Judging:
    """The required flows of an input with the policies' word on each, judged once for all symptoms."""

    def __init__(self, snapshot: Snapshot, settings: Settings, resolver: Resolver, named: NamedEnds) -> None:
        self._given = (snapshot, settings, resolver)
        self._named = named
        self._left = MOST_CONNECTIONS
        self._table = FlowTable.of(snapshot, settings)
        writer = FindingsWriter(judge_of(self._table, resolver), OPERATOR, proposals=True)
        for flow in sorted(self._table.flows(), key=lambda flow: flow.sort_key):
            writer.take(flow)
        self._findings: defaultdict[FlowKey, list[Finding]] = defaultdict(list)
        for finding in sorted(writer.findings(), key=lambda finding: finding.sort_key):
            if finding.flow is not None:
                self._findings[finding.flow.key].append(finding)
        self._by_kind: defaultdict[FlowKind, list[tuple[RequiredFlow, bool | None]]] = defaultdict(list)
        for judged in writer.judged:
            verdict = None if judged.verdict.is_undecided else judged.verdict.allowed
            self._by_kind[judged.flow.kind].append((judged.flow, verdict))

    def answer(self, seen: Seen) -> SymptomAnswer:
        sighting = seen.sighting
        named = self._named
        ends = ends_of(seen, self._table, named.source, named.namespace, named.destination)
        if sighting.symptom.id in _NAMES:
            return self._of_authorization(seen, ends)
        if not sighting.flows:
            return SymptomAnswer(seen, SymptomOutcome.OTHER_CAUSE, remarks=ends.remarks)
        suspects, remarks = self._suspects(seen, ends)
        found = tuple(sorted(suspects, key=_order))
        return SymptomAnswer(seen, _outcome(found), found, (*ends.remarks, *remarks))

    def _of_authorization(self, seen: Seen, ends: Ends) -> SymptomAnswer:
        """The AuthorizationPolicies that can be it, and the modules without which a pod refuses all."""
        remarks = self._between_named_ends(ends) or list(
            authorization_remarks(seen.sighting.facts.policy, self._refusing(ends), self._table)
        )
        modules = [
            self._suspect(flow, allowed)
            for kind in (FlowKind.WORKLOAD_TO_EXTERNAL, FlowKind.WORKLOAD_TO_WORKLOAD)
            for flow, allowed in self._by_kind[kind]
            if flow.object.kind == "WasmPlugin" and allowed is False and ends.is_source(flow)
        ]
        outcome = SymptomOutcome.DENIED if modules else SymptomOutcome.OTHER_CAUSE
        return SymptomAnswer(seen, outcome, tuple(modules), (*ends.remarks, *remarks))

    def _refusing(self, ends: Ends) -> tuple[Workload, ...]:
        """The pods whose proxy refused, none where nobody knows: those that are called where somebody names
        them, else those that wrote the line. Who connects is not who refuses."""
        if self._named.destination is not None:
            return tuple(peer.workload for peer, _ in ends.targets or () if isinstance(peer, PodsPeer))
        return () if self._named.source else ends.sources

    def _between_named_ends(self, ends: Ends) -> list[str]:
        """What AuthorizationPolicies refuse, or may, between two ends that somebody names."""
        named = self._named
        if not ends.sources or named.destination is None:
            return []
        try:
            explained = explain(*self._given, ends.sources[0].peer_name, *named.destination)
        except InputError:
            return []
        return [
            f"{gate.gate}: {gate.text}"
            for gate in explained.gates
            if gate.gate == "authorization" and gate.passes is not True
        ]

    def _suspects(self, seen: Seen, ends: Ends) -> tuple[list[Suspect], list[str]]:
        followed, remarks = self._followed(seen, ends) if self._named.destination else ([], [])
        if followed:
            return followed, remarks
        found: dict[tuple[str, str, str, str, int], Suspect] = {}
        askers: set[str] = set()
        for kind in seen.sighting.flows:
            # Names are needed by whoever needs what stands before DNS in the row.
            accompanies = kind is FlowKind.DNS and kind is not seen.sighting.flows[0]
            for flow, allowed in self._of_kind(kind, seen):
                fits = ends.fits(flow) and can_be_called(flow, ends, self._table)
                if fits and (not accompanies or flow.source.key in askers):
                    askers.add(flow.source.key)
                    # Of several objects that need the same, the first one tells.
                    key = (kind, flow.source.key, flow.destination.key, flow.protocol, flow.port)
                    found.setdefault(key, replace(self._suspect(flow, allowed), asked=kind))
        is_call_known = any(suspect.asked in _CALLS for suspect in found.values())
        if is_call_known or _CALLS.isdisjoint(seen.sighting.flows) or (found and not ends.sources):
            return list(found.values()), remarks
        followed, remarks = self._followed(seen, ends)
        return [*followed, *_besides_a_call(found.values())], remarks

    def _of_kind(self, kind: FlowKind, seen: Seen) -> list[tuple[RequiredFlow, bool | None]]:
        """The flows that a row of the table means by a kind: through a tunnel goes what any kind needs."""
        if kind is not FlowKind.HBONE:
            return self._by_kind[kind]
        if seen.sighting.symptom.id == KUBELET_PROBE:
            return [pair for pair in self._by_kind[kind] if isinstance(pair[0].source, AddressPeer)]
        return [pair for flows in self._by_kind.values() for pair in flows if pair[0].port == HBONE_PORT]

    def _suspect(self, flow: RequiredFlow, allowed: bool | None) -> Suspect:
        findings = self._findings.get(flow.key, [])
        told = [finding.message for finding in findings if finding.rule not in _BESIDE]
        return Suspect(
            flow.kind,
            str(flow.source),
            str(flow.destination),
            flow.protocol,
            flow.port,
            allowed,
            told[0] if told else f"{flow.object}: it is needed because {flow.reason}",
            flow.kind,
            bool(findings) and all(finding.severity is not Severity.ERROR for finding in findings),
            tuple(policy for finding in findings for policy in finding.remedy if allowed is False),
        )

    def _followed(self, seen: Seen, ends: Ends) -> tuple[list[Suspect], list[str]]:
        """The connections between the two ends that are named, which nothing is known to need."""
        whom = self._named.destination or ends.called
        if whom is None:
            return [], []
        if not ends.sources:
            asked = "name the pod that connects with --from, to have its policies judged"
            return [], [f"nothing in the input is known to call {whom[0]}: {asked}"]
        suspects: list[Suspect] = []
        remarks: list[str] = []
        for source in ends.sources:
            if self._left <= 0:
                remarks.append(
                    f"only {MOST_CONNECTIONS} connections are followed; name one with --from and --to"
                )
                break
            self._left -= 1
            try:
                explained = explain(*self._given, source.peer_name, *whom)
            except InputError as error:
                remarks += [problem.cause for problem in error.problems]
                continue
            suspects.append(_followed_suspect(seen, PodsPeer(source), whom, explained))
            remarks += [
                f"{gate.gate}: {gate.text}"
                for gate in explained.refusing
                if not gate.gate.endswith(_BY_POLICY)
            ]
        return suspects, list(dict.fromkeys(remarks))


def _besides_a_call(found: Iterable[Suspect]) -> list[Suspect]:
    """What else can be the cause where no flow stands for the call itself: that clients reach a gateway does
    not say that these pods may call it, so only a denial tells anything."""
    return [
        suspect
        for suspect in found
        if suspect.asked is not FlowKind.CLIENT_TO_GATEWAY or suspect.allowed is False
    ]


def _followed_suspect(
    seen: Seen, source: PodsPeer, whom: tuple[str, int | str, Protocol], explained: Explanation
) -> Suspect:
    kind = next((kind for kind in seen.sighting.flows if kind in _CALLS), seen.sighting.flows[0])
    decisive = [step.text for step in explained.steps if step.passes is False]
    told = "; ".join(decisive) if decisive else "no policy denies it"
    host, port, protocol = whom
    return Suspect(
        kind, str(source), host, protocol, port, explained.allowed, told, kind, remedy=explained.remedy
    )


def _order(suspect: Suspect) -> tuple[bool, bool]:
    return suspect.allowed is not False, suspect.is_warning


def _outcome(suspects: Sequence[Suspect]) -> SymptomOutcome:
    verdicts = {suspect.allowed for suspect in suspects}
    if False in verdicts:
        return SymptomOutcome.DENIED
    return SymptomOutcome.ALLOWED if verdicts == {True} else SymptomOutcome.UNKNOWN


def _sorted(found: Iterable[SymptomAnswer]) -> tuple[SymptomAnswer, ...]:
    return tuple(sorted(found, key=lambda answer: (_rank(answer), -answer.seen.count, answer.seen.line)))


def _rank(answer: SymptomAnswer) -> int:
    """How likely it is that a policy is the cause, from 0."""
    blame = list(Blame).index(answer.seen.sighting.symptom.blame)
    order = (
        SymptomOutcome.DENIED,
        SymptomOutcome.NO_INPUT,
        SymptomOutcome.UNKNOWN,
        SymptomOutcome.OTHER_CAUSE,
        SymptomOutcome.ALLOWED,
    )
    works = 100 if answer.seen.sighting.symptom.blame is Blame.WORKS else 0
    return works + 10 * order.index(answer.outcome) + blame
