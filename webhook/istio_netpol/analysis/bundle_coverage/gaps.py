"""Kinds of objects that every whole cluster has and this input lacks."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.model.api_calls import ApiExtension
from istio_netpol.model.assumptions import Assumption
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.services import Service
from istio_netpol.state.snapshot import Snapshot

_MISSED = (
    (
        ApiExtension,
        "webhook configurations, APIServices and conversions",
        "that the API server calls no pods",
    ),
    (NetworkPolicy, "NetworkPolicies", "that there are none besides the overlay's"),
    (Service, "Services", "that nothing is called through one"),
)


def gaps_in(cluster: Snapshot) -> Iterator[Assumption]:
    """One assumption for each kind without which a workload may look covered, or cut, and is not."""
    for type_, names, assumed in _MISSED:
        if next(cluster.every(type_), None) is None:
            yield Assumption(f"the input holds no {names}", assumed)
