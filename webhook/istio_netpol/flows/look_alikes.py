"""What pods need that only their name tells from others of their namespace: the same, under their own name.

Most objects that are created are like one that is there: a bare pod with `generateName`, the Deployment of
one more preview. Rules look at an object and at what they ask for it. Where nothing of what they asked for
the one is another thing since the other came, and no name is in what they asked or found, they find the same
for the other. Whatever is not so plain is worked out as ever.
"""

from __future__ import annotations

from collections.abc import Hashable

from msgspec.structs import replace

from istio_netpol.flows.needs import Needs
from istio_netpol.model.flows import AnyPeer, Peer, PodsPeer, RequiredFlow
from istio_netpol.model.labels import Selector
from istio_netpol.model.workloads import Workload
from istio_netpol.state.pod_classes import NAMED_IN_LABELS


def renamed(needs: Needs, model: Workload, other: Workload) -> Needs | None:
    """The needs of pods that only their name tells from those of a `model` that has these needs; None where
    they can't be told from these. Nothing that was read for the model may be another thing now."""
    if needs.findings or model.ref.kind in NAMED_IN_LABELS:
        return None
    if any(_mentions(read.subject, model) for read in needs.reads):
        return None
    flows = [_renamed(flow, model, other) for flow in needs.flows]
    return None if None in flows else Needs(tuple(flow for flow in flows if flow), (), needs.reads)


def _renamed(flow: RequiredFlow, model: Workload, other: Workload) -> RequiredFlow | None:
    """The flow as that of the other pods; None where it says more of the model than that it is one end."""
    ends = [_end(peer, model, other) for peer in (flow.source, flow.destination)]
    is_plain = flow.object == model.ref and flow.via.meant is not model and not _is_by_name(flow)
    if not is_plain or model.name in flow.reason or model.name in flow.field or None in ends:
        return None
    source, destination = ends
    return replace(flow, object=other.ref, source=source, destination=destination)


def _is_by_name(flow: RequiredFlow) -> bool:
    """Whether those who are called say by name who may call them, so that others have no word of theirs."""
    called = flow.destination.workload if isinstance(flow.destination, PodsPeer) else None
    return any(side is not None and side.called_by for side in (called, flow.via.meant, flow.via.service))


def _end(peer: Peer, model: Workload, other: Workload) -> Peer | None:
    if isinstance(peer, PodsPeer):
        return PodsPeer(other) if peer.workload is model else peer
    return None if isinstance(peer, AnyPeer) and model in peer.pods else peer


def _mentions(subject: Hashable, model: Workload) -> bool:
    """Whether what was read is about the model itself, or about something of its name."""
    if isinstance(subject, str):
        return subject == model.name
    if isinstance(subject, Selector):
        subject = (subject.match_labels, *(wish.values for wish in subject.match_expressions))
    if isinstance(subject, (tuple, frozenset)):
        return any(_mentions(part, model) for part in subject)
    return subject is model
