"""What makes a finding the same finding, wherever it stands in whatever file."""

from __future__ import annotations

import json
import re
from collections import Counter
from hashlib import sha256

from msgspec import Struct
from msgspec.structs import astuple

from istio_netpol.analysis.results import Report
from istio_netpol.model.findings import Finding, Issue
from istio_netpol.model.flows import AddressPeer, Peer, PodsPeer, RequiredFlow
from istio_netpol.model.references import ObjectRef

_DIGEST = re.compile(r"(-[0-9a-f]{8}){1,4}$")
"""With which the names of generated policies end: it changes with what a policy does."""
_RANDOM = "[bcdfghjklmnpqrstvwxz2456789]"
"""What controllers put random names and hashes together from (`SafeEncodeString` and `String` of
k8s.io/apimachinery `pkg/util/rand`)."""
_OF_POD = re.compile(rf"(-{_RANDOM}{{5,10}})?-{_RANDOM}{{5}}$")
_OF_REPLICA_SET = re.compile(rf"-{_RANDOM}{{5,10}}$")
_INDEX = re.compile(r"\[\d+\]")


class Identity(Struct, frozen=True, order=True):
    """The same for the same finding after lines, files, the order of rules, the addresses of a host and the
    names of generated policies and pods have changed.

    `input` is the last part of the name of one of several inputs. `at` is the field without the numbers of
    list items, and `what` says what a rule that is too wide opens: both are empty for connections, which are
    told apart by `flow`.
    """

    rule: str
    object: str
    flow: str = ""
    at: str = ""
    what: str = ""
    input: str = ""

    def __str__(self) -> str:
        told = ": ".join(part for part in (self.object, self.flow or self.at, self.what) if part)
        where = f" in {self.input}" if self.input else ""
        return f"{self.rule} of {told}{where}"


def identity(finding: Finding, input_name: str = "") -> Identity:
    """The identity of a finding of an input."""
    ref = finding.object
    name = _lasting_name(ref)
    place = f"{ref.namespace}/{name}" if ref.namespace else name
    kind = f"{ref.kind}.{ref.group}" if ref.group else ref.kind
    flow = _connection(finding.flow) if finding.flow else ""
    return Identity(
        rule=str(finding.rule),
        object=f"{kind} {place}",
        flow=flow,
        at="" if flow else _INDEX.sub("[]", finding.field),
        what=_opening(finding) if finding.rule is Issue.BROAD_POLICY else "",
        input=input_name.rstrip("/").rpartition("/")[2],
    )


def _lasting_name(ref: ObjectRef) -> str:
    """A name without what makes it another one at the next rollout."""
    changing = {"NetworkPolicy": _DIGEST, "Pod": _OF_POD, "ReplicaSet": _OF_REPLICA_SET}.get(ref.kind)
    return changing.sub("", ref.name) if changing else ref.name


def _connection(flow: RequiredFlow) -> str:
    return f"{_peer(flow.source)} -> {_peer(flow.destination)} {flow.protocol} {flow.port}"


def _peer(peer: Peer) -> str:
    if isinstance(peer, AddressPeer):
        return peer.host or peer.text
    if isinstance(peer, PodsPeer):
        ref = peer.workload.ref
        return f"{ref.namespace}/{ref.kind}/{_lasting_name(ref)}"
    return peer.key


def _opening(finding: Finding) -> str:
    """`opens every port to every peer`: the first clause of the message, without object and field."""
    sentence = finding.message.removeprefix(f"{finding.object}: ").removeprefix(f"{finding.field} ")
    return sentence.partition(";")[0]


def fingerprint(finding: Finding, input_name: str = "") -> str:
    """The identity as 64 hexadecimal digits."""
    return sha256(json.dumps(astuple(identity(finding, input_name))).encode()).hexdigest()


def fingerprints(report: Report) -> list[str]:
    """One for each finding of all inputs, in their order, then one for each that is accepted. Where several
    are the same by their identity, the second and the following ones are told apart by their number."""
    found = [fingerprint(finding, name) for name, part in report.by_input() for finding in part.findings]
    found += [fingerprint(accepted.finding) for accepted in report.accepted]
    seen: Counter[str] = Counter()
    for position, digits in enumerate(found):
        seen[digits] += 1
        if seen[digits] > 1:
            found[position] = sha256(f"{digits} {seen[digits]}".encode()).hexdigest()
    return found
