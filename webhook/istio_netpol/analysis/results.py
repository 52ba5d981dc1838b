"""What the analyses return; reports print these values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from msgspec import Struct
from msgspec.structs import astuple, replace

from istio_netpol.model.assumptions import Assumption
from istio_netpol.model.connections import ConnectionSet
from istio_netpol.model.findings import Finding
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.references import ObjectRef


class Summary(Struct, frozen=True):
    """Counts of a check. `unknown` are flows that could not be judged (unresolved hosts, missing
    destinations).

    A flow is what one object needs, and several objects may need the same: `denied` flows are so many
    `denied_connections`, which differ in ends, protocol or port, between so many `denied_pairs` of ends.
    """

    objects: int = 0
    flows: int = 0
    denied: int = 0
    unknown: int = 0
    denied_connections: int = 0
    denied_pairs: int = 0


class NotRead(Struct, frozen=True, order=True):
    """How many objects of a kind are in the input and were not read, because no rule knows the kind."""

    api_version: str
    kind: str
    count: int


class Undeclared(Struct, frozen=True):
    """A workload under a deny-all of which no rule derives more than istiod and DNS. `policies` are those,
    `namespace/name`, that somebody wrote for its pods and that allow something."""

    ref: ObjectRef
    policies: tuple[str, ...] = ()


class AcceptedFinding(Struct, frozen=True):
    """A finding that its object accepts through a day, `2027-03-31`, for a reason. It does not count."""

    finding: Finding
    until: str
    reason: str

    def __str__(self) -> str:
        return f"{self.finding.rule} of {self.finding.object} until {self.until}: {self.reason}"


class LeftOut(Struct, frozen=True, order=True):
    """A number of findings of a namespace or rule that don't count, and why."""

    what: str
    why: str
    findings: int

    def __str__(self) -> str:
        noun = "finding" if self.findings == 1 else "findings"
        return f"{self.findings} {noun} of {self.what}, since {self.why}"


class Compared(Struct, frozen=True):
    """What came of comparing a report with the baseline of a file: so many of its findings are known and left
    out, and these entries have gone."""

    file: str
    known: int
    gone: tuple[str, ...] = ()


class Report(Struct, frozen=True):
    """The findings of a check, what it assumed, what it did not read, and of which workloads it knows
    nothing, all sorted. `accepted`, `left_out` and `baseline` tell of findings that don't count.

    Of several inputs that were judged one by one, `parts` has the name and the report of each, and the rest
    is their sum.
    """

    findings: tuple[Finding, ...]
    summary: Summary
    assumptions: tuple[Assumption, ...] = ()
    not_read: tuple[NotRead, ...] = ()
    undeclared: tuple[Undeclared, ...] = ()
    accepted: tuple[AcceptedFinding, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    baseline: Compared | None = None
    parts: tuple[tuple[str, Report], ...] = ()

    @classmethod
    def of_inputs(cls, parts: Iterable[tuple[str, Report]]) -> Report:
        """One report of several inputs, by their names; a single one stays as it is."""
        named = tuple(parts)
        if len(named) == 1:
            return named[0][1]
        reports = [report for _, report in named]
        counts = zip(*(astuple(report.summary) for report in reports), strict=True)
        not_read: Counter[tuple[str, str]] = Counter()
        for kind in (kind for report in reports for kind in report.not_read):
            not_read[kind.api_version, kind.kind] += kind.count
        return cls(
            tuple(finding for report in reports for finding in report.findings),
            Summary(*map(sum, counts)),
            tuple(sorted({assumption for report in reports for assumption in report.assumptions})),
            tuple(sorted(NotRead(*kind, count) for kind, count in not_read.items())),
            tuple(dict.fromkeys(workload for report in reports for workload in report.undeclared)),
            tuple(accepted for report in reports for accepted in report.accepted),
            _sum_of(left_out for report in reports for left_out in report.left_out),
            parts=named,
        )

    def with_input(self, assumed: Iterable[Assumption], findings: Iterable[Finding]) -> Report:
        """The report with what there is to say of its input besides the flows."""
        more = sorted((*self.findings, *findings), key=lambda finding: finding.sort_key)
        return replace(self, findings=tuple(more), assumptions=tuple(sorted((*assumed, *self.assumptions))))

    def filtered(self, keeps: Callable[[Finding], bool], *, accepted_too: bool = True) -> Report:
        """The report with those of its findings only, and those of the accepted ones too."""
        return replace(
            self,
            findings=tuple(filter(keeps, self.findings)),
            accepted=tuple(
                accepted for accepted in self.accepted if not accepted_too or keeps(accepted.finding)
            ),
            parts=tuple((name, part.filtered(keeps, accepted_too=accepted_too)) for name, part in self.parts),
        )

    def by_input(self) -> tuple[tuple[str, Report], ...]:
        """The report of each input with its name, which is empty where there is one input only."""
        return self.parts or (("", self),)


def _sum_of(parts: Iterable[LeftOut]) -> tuple[LeftOut, ...]:
    """What is left out of several inputs for the same reason, as one."""
    counted: Counter[tuple[str, str]] = Counter()
    for part in parts:
        counted[part.what, part.why] += part.findings
    return tuple(LeftOut(what, why, count) for (what, why), count in sorted(counted.items()))


class AllowedConnection(Struct, frozen=True):
    """What may flow from one peer to another: `source` and `destination` are `namespace/Kind/name` or an
    address range. `not_read` are policies that select an end and are not evaluated."""

    source: str
    destination: str
    ports: ConnectionSet
    not_read: tuple[str, ...] = ()


class ExplanationStep(Struct, frozen=True):
    """One line of an explanation: a fact, and whether it lets the connection pass (None: neither)."""

    text: str
    passes: bool | None = None


class Gate(Struct, frozen=True):
    """One thing that a connection has to pass, in the order of its way: `gate` says which (see
    `analysis/explain/gates.py`), `objects` decide, `passes` is None where it can't be told before a request
    is made, or depends on what the input does not hold."""

    gate: str
    objects: tuple[ObjectRef, ...]
    passes: bool | None
    text: str


class Explanation(Struct, frozen=True):
    """Whether policies allow a connection, why, and the smallest policies that would allow it where they do
    not. `gates` are all that it has to pass, those besides policies included."""

    source: str
    destination: str
    allowed: bool
    steps: tuple[ExplanationStep, ...]
    remedy: tuple[NetworkPolicy, ...] = ()
    gates: tuple[Gate, ...] = ()

    @property
    def refusing(self) -> tuple[Gate, ...]:
        """The gates that certainly refuse the connection."""
        return tuple(gate for gate in self.gates if gate.passes is False)

    @property
    def open_questions(self) -> tuple[Gate, ...]:
        """The gates for which it can't be told whether they let the connection pass."""
        return tuple(gate for gate in self.gates if gate.passes is None)

    @property
    def connects(self) -> bool:
        """Whether no gate certainly refuses the connection."""
        return self.allowed and not self.refusing


class Difference(Struct, frozen=True):
    """Connections and required flows gained and lost between two inputs."""

    gained: tuple[AllowedConnection, ...]
    lost: tuple[AllowedConnection, ...]
    flows_gained: tuple[Finding, ...]
    flows_lost: tuple[Finding, ...]
