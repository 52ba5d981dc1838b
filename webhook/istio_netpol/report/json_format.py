"""A check as JSON: the `Report` document that scripts rely on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import product

from istio_netpol.analysis.results import Compared, NotRead, Report, Summary, Undeclared
from istio_netpol.manifests.encode import encode_policy
from istio_netpol.model.findings import Finding
from istio_netpol.model.flows import AddressPeer, HostPeer, Peer, PodsPeer, RequiredFlow
from istio_netpol.model.json_values import JsonObject
from istio_netpol.model.policies import Direction
from istio_netpol.model.references import ObjectRef
from istio_netpol.report.remedies import Printed

API_VERSION = "istio-netpol.io/v1"


def json_report(report: Report) -> str:
    """The document, indented, ending in a line break."""
    parts = [{"name": name, **_figures(part)} for name, part in report.parts]
    return dump(
        {
            "apiVersion": API_VERSION,
            "kind": "Report",
            "findings": [
                {**document, "input": name} if name else document
                for name, part in report.by_input()
                for document in finding_documents(part.findings)
            ],
            **_figures(report),
            **({"inputs": parts} if parts else {}),
        }
    )


def _figures(report: Report) -> JsonObject:
    """What a report has besides its findings."""
    return {
        "summary": summary_document(report.summary),
        "notRead": not_read_documents(report.not_read),
        "assumed": [{"what": assumption.what, "why": assumption.why} for assumption in report.assumptions],
        "undeclared": [undeclared_document(workload) for workload in report.undeclared],
        "accepted": [
            {**document, "until": accepted.until, "reason": accepted.reason}
            for accepted in report.accepted
            for document in finding_documents([accepted.finding])
        ],
        "notCounted": [
            {"what": left_out.what, "why": left_out.why, "findings": left_out.findings}
            for left_out in report.left_out
        ],
        **({"baseline": _baseline_document(report.baseline)} if report.baseline else {}),
    }


def _baseline_document(compared: Compared) -> JsonObject:
    """`baseline`: how many findings it knows, and what of it has gone."""
    return {"file": compared.file, "known": compared.known, "gone": list(compared.gone)}


def undeclared_document(workload: Undeclared) -> JsonObject:
    """`undeclared`: a workload, and the policies that were written for it."""
    return {**object_document(workload.ref), "policies": list(workload.policies)}


def dump(document: JsonObject) -> str:
    """JSON as all documents here are printed: indented by two, ASCII only, ending in a line break."""
    return json.dumps(document, indent=2) + "\n"


def finding_documents(findings: Iterable[Finding]) -> list[JsonObject]:
    """`findings`: an entry each, or one a CIDR for a flow to several that no host name stands for."""
    printed = Printed()
    return [document for finding in findings for document in _entries(finding, printed)]


def _entries(finding: Finding, printed: Printed) -> Iterator[JsonObject]:
    for flow in flow_shapes(finding.flow):
        remedy, above = printed.part(finding.remedy)
        yield {
            "rule": str(finding.rule),
            "severity": str(finding.severity),
            "object": object_document(finding.object),
            "flow": flow,
            "denied": {
                "egress": list(finding.denied_by(Direction.EGRESS)),
                "ingress": list(finding.denied_by(Direction.INGRESS)),
            },
            "message": finding.message,
            "remedy": [encode_policy(policy) for policy in remedy],
            **({"remedyAbove": above} if above else {}),
        }


def object_document(ref: ObjectRef) -> JsonObject:
    """`object`; `namespace` and `file` are empty and `line` is 0 where there is none."""
    return {
        "apiVersion": ref.api_version,
        "kind": ref.kind,
        "namespace": ref.namespace,
        "name": ref.name,
        "file": ref.file,
        "line": ref.line,
    }


def not_read_documents(not_read: Iterable[NotRead]) -> list[JsonObject]:
    """`notRead`: the kinds of which objects are in the input that no rule reads, and how many."""
    return [{"apiVersion": group.api_version, "kind": group.kind, "count": group.count} for group in not_read]


def summary_document(summary: Summary) -> dict[str, int]:
    """`summary`: the counts."""
    return {
        "objects": summary.objects,
        "flows": summary.flows,
        "denied": summary.denied,
        "deniedConnections": summary.denied_connections,
        "deniedPairs": summary.denied_pairs,
        "unknown": summary.unknown,
    }


def peer_shapes(peer: Peer) -> Iterator[JsonObject]:
    """The PEER objects of a peer: one, or one a CIDR where nothing else names a set of addresses."""
    match peer:
        case PodsPeer(workload=workload):
            ref = workload.ref
            labels = dict(sorted(workload.labels.items()))
            yield {"namespace": ref.namespace, "kind": ref.kind, "name": ref.name, "labels": labels}
        case AddressPeer(addresses=addresses, host=host):
            networks = [str(network) for network in addresses.networks()]
            if host and len(networks) != 1:
                yield {"host": host}
            else:
                yield from ({"cidr": network} for network in networks)
        case HostPeer(host=host):
            yield {"host": host}
        case _:
            yield {"any": True}


def flow_shapes(flow: RequiredFlow | None) -> Iterator[JsonObject | None]:
    """The `flow` of a finding; several only where a peer is several CIDRs without a name."""
    if flow is None:
        yield None
        return
    for source, destination in product(peer_shapes(flow.source), peer_shapes(flow.destination)):
        yield {
            "source": source,
            "destination": destination,
            "protocol": str(flow.protocol),
            "port": flow.port,
        }
