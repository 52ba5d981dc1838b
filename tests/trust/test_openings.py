"""What the cases count by: openings that the engine lists are those that the naive evaluator finds."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.netpol.naive import NaiveCluster
from tests.trust.case_files import Case, cases
from tests.trust.doors import by_generate, decoded
from tests.trust.openings import Allowed, Opening, excess, missing

from istio_netpol.model.connections import ConnectionSet, Protocol
from istio_netpol.model.flows import PodsPeer
from istio_netpol.model.policies import Direction
from istio_netpol.state.snapshot import Snapshot

SAMPLES = {
    "delegates-own-route-on-the-shared-gateway",
    "hijack-virtual-service-for-a-service-of-the-victim",
    "calls-consent-to-one-workload",
}
PROBES = ((Protocol.TCP, 8080), (Protocol.TCP, 5432), (Protocol.TCP, 15012), (Protocol.UDP, 53))
SAID = Allowed.of("istio-system/gateway -> team-b/bank: TCP 8080")


@pytest.mark.parametrize(
    "case",
    [pytest.param(known_case, id=known_case.name) for known_case in cases() if known_case.name in SAMPLES],
)
def test_openings_are_what_a_second_evaluator_finds(case: Case, tmp_path: Path) -> None:
    """Side by side, for all pairs of pods and the ports that matter here."""
    aftermath = by_generate(case, tmp_path)
    others = list(decoded(aftermath.objects))
    pods = [PodsPeer(workload) for workload in Snapshot.of(others).every_workload()]
    before, after = NaiveCluster(others), NaiveCluster([*others, *decoded(aftermath.written)])
    listed = {
        (opening.side, opening.source, opening.destination, probe)
        for opening in aftermath.openings()
        for probe in PROBES
        if "/" in opening.counterpart and opening.ports.contains(*probe)
    }
    assert listed == {
        (side, short(source), short(destination), probe)
        for side in Direction
        for source in pods
        for destination in pods
        for probe in PROBES
        if source is not destination
        and not allows(before, side, source, destination, probe)
        and allows(after, side, source, destination, probe)
    }


def allows(
    cluster: NaiveCluster,
    side: Direction,
    source: PodsPeer,
    destination: PodsPeer,
    probe: tuple[Protocol, int],
) -> bool:
    subject, peer = (source, destination) if side is Direction.EGRESS else (destination, source)
    return cluster.allows(subject, side, peer, destination, probe)


def short(peer: PodsPeer) -> str:
    return f"{peer.workload.namespace}/{peer.workload.name}"


def opening(side: Direction, source: str, destination: str, port: int = 8080) -> Opening:
    return Opening(side, source, destination, ConnectionSet.of(Protocol.TCP, port))


def test_a_side_is_in_excess_unless_a_line_covers_its_ends_and_ports() -> None:
    told = opening(Direction.INGRESS, "istio-system/gateway", "team-b/bank")
    other_port = opening(Direction.INGRESS, "istio-system/gateway", "team-b/bank", 80)
    other_end = opening(Direction.INGRESS, "team-a/evil", "team-b/bank")
    assert excess([told], [SAID]) == []
    assert excess([other_port], [SAID]) == [
        "istio-system/gateway -> team-b/bank: TCP 80 (ingress of team-b/bank)"
    ]
    assert excess([other_end], [SAID]) == ["team-a/evil -> team-b/bank: TCP 8080 (ingress of team-b/bank)"]


def test_the_tenants_own_pods_may_admit_anybody_but_not_call_any_address() -> None:
    """As a NetworkPolicy of its own would; what lies outside of the cluster is the administrator's."""
    own = [
        opening(Direction.INGRESS, "8.8.8.8", "team-a/evil"),
        opening(Direction.EGRESS, "team-a/evil", "team-b/bank"),
    ]
    assert excess(own, []) == []
    away = opening(Direction.EGRESS, "team-a/evil", "10.0.0.0-10.0.0.255")
    assert excess([away], [Allowed.of("team-a/evil -> 10.0.0.0/25: TCP 8080")]) != []
    assert excess([away], [Allowed.of("team-a/evil -> 10.0.0.0/24: TCP 8080")]) == []


def test_a_need_is_missing_until_both_sides_are_open() -> None:
    egress = opening(Direction.EGRESS, "istio-system/gateway", "team-b/bank")
    assert len(missing([], [SAID])) == 2
    assert len(missing([egress], [SAID])) == 1
    assert missing([egress, egress._replace(side=Direction.INGRESS)], [SAID]) == []
