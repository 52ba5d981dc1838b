"""One warning: the connection that is denied, and the command that prints what mends it.

The API server may cut every warning after 256 characters ("Dynamic Admission Control", response warnings;
`truncateItemRunes` in k8s.io/apiserver, pkg/endpoints/filters/warning.go, 1.34). So a warning says less
where names are long, and the command is what stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from shlex import quote

from istio_netpol.admission.bounded_text import ascii_line, shortened
from istio_netpol.model.addresses import parse_address
from istio_netpol.model.connections import Protocol
from istio_netpol.model.findings import Finding, Issue
from istio_netpol.model.flows import AddressPeer, HostPeer, Peer, PodsPeer, RequiredFlow
from istio_netpol.model.policies import Direction

MAX_WARNING = 256
"""Characters of one warning."""

_DENIED = "A connection that is needed is denied."
_NOT_AGREED = ", and one side has not agreed to it"


def warning_of(finding: Finding) -> str:
    """The warning of a finding: printable ASCII, at most `MAX_WARNING` characters."""
    if finding.flow is None or not _is_denied(finding):
        page = f" More: istio-netpol rule {finding.rule}"
        return shortened(ascii_line(finding.message), MAX_WARNING - len(page)) + page
    exact, whole = _explaining(finding.flow), _generating(finding)
    sentences = [ascii_line(sentence) for sentence in _sentences(finding, finding.flow)]
    # The exact command names the connection itself.
    told = [(sentence, exact) for sentence in [*sentences, _DENIED] if exact]
    for sentence, command in [*told, *((sentence, whole) for sentence in sentences)]:
        warning = f"{sentence} Remedy: {command}"
        if len(warning) <= MAX_WARNING:
            return warning
    return f"{_DENIED} Remedy: {whole}"


def _is_denied(finding: Finding) -> bool:
    verdict = finding.verdict
    return verdict is not None and not verdict.allowed and not verdict.is_undecided


def _sentences(finding: Finding, flow: RequiredFlow) -> Iterator[str]:
    """What is denied, in ever fewer words."""
    by_side = {direction: finding.denied_by(direction) for direction in Direction}
    sides = " and ".join(direction.lower() for direction, names in by_side.items() if names)
    is_own = isinstance(flow.source, PodsPeer) and flow.source.workload.ref.key == flow.object.key
    ends = f"{flow.destination}" if is_own else f"{flow.destination} from {flow.source}"
    denied = f"{sides} to {ends} ({flow.protocol} {flow.port}) is denied"
    rules = finding.rule if finding.rule == flow.kind else f"{finding.rule}, {flow.kind}"
    lacking = _NOT_AGREED if finding.rule is Issue.CONSENT_MISSING else ""
    yield f"{flow.object}: {denied} by {_named(by_side.values())}{lacking} [{rules}]."
    yield f"{flow.object}: {denied}{lacking} [{rules}]."
    yield f"{denied[0].upper()}{denied[1:]}{lacking} [{rules}]."


def _named(sides: Iterable[Sequence[str]]) -> str:
    """The policies that deny; those of a tier bring their kind along."""
    names = sorted({name for names in sides for name in names})
    listed = ", ".join(names)
    if any(name.partition("/")[0].endswith("Policy") for name in names):
        return listed
    return f"NetworkPolicy {listed}" if len(names) == 1 else f"NetworkPolicies {listed}"


def _explaining(flow: RequiredFlow) -> str:
    """The command that follows this very connection; empty where an end has no name to type in ASCII."""
    client, called = _typed(flow.source), _typed(flow.destination)
    if not client or not called or called != ascii_line(called):
        # In ASCII it would be another host, or what looked like a letter ends a shell's quotes.
        return ""
    protocol = "" if flow.protocol is Protocol.TCP else f"/{flow.protocol}"
    # A host is written by whoever makes the object: a shell must not read it as anything but a word.
    ends = quote(client), quote(f"{called}:{flow.port}{protocol}")
    return f"istio-netpol explain --from {ends[0]} --to {ends[1]}"


def _typed(peer: Peer) -> str:
    """How an end is written on the command line: pods that are there by namespace, kind and name, an address
    or a host as it is."""
    if isinstance(peer, PodsPeer):
        ref = peer.workload.ref
        is_named = bool(ref.name) and not ref.is_assumed
        return f"{ref.namespace}/{ref.kind}/{ref.name}" if is_named else ""
    if isinstance(peer, HostPeer):
        return peer.host
    if isinstance(peer, AddressPeer):
        if peer.host:
            return peer.host
        address = parse_address(peer.text.removesuffix("/32").removesuffix("/128"))
        return "" if address is None else f"[{address}]" if address.version == 6 else f"{address}"
    return ""


def _generating(finding: Finding) -> str:
    """The command that prints all that a namespace lacks."""
    namespace = finding.told_of.namespace
    return f"istio-netpol generate -n {namespace}" if namespace else "istio-netpol generate -A"
