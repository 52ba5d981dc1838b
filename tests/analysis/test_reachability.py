"""The facts behind the map: the answers of `list` and `check`, in a form without pairs."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.analysis import meshes as some
from tests.analysis.test_generate_laws import Answers
from tests.values import block, deployment, namespace, pods, policy, port, rule

from istio_netpol.analysis.check import check
from istio_netpol.analysis.listing import connections
from istio_netpol.analysis.reachability.document import ReachabilityFacts, State, StateName
from istio_netpol.analysis.reachability.facts import facts
from istio_netpol.analysis.reachability.state_reading import FlowOutcome, Given
from istio_netpol.analysis.readiness.deny_all import assume_deny_all
from istio_netpol.model.connections import ConnectionSet
from istio_netpol.model.settings import Settings
from istio_netpol.report.map_document import map_document
from istio_netpol.state.snapshot import Snapshot

SETTINGS = Settings()
Pairs = dict[tuple[str, str], ConnectionSet]


def facts_of(objects: list[Any], before: list[Any] | None = None) -> ReachabilityFacts:
    earlier = None if before is None else Given(Snapshot.of(before))
    return facts(Given(Snapshot.of(objects)), SETTINGS, Answers(), before=earlier)


def expanded(found: ReachabilityFacts, state: State) -> Pairs:
    """Every pair of workloads that may connect."""
    names = [workload.peer_name for workload in found.workloads]
    return {
        (source, destination): ports
        for first, source in enumerate(names)
        for second, destination in enumerate(names)
        if (ports := found.allowed(state, first, second))
    }


def listed(snapshot: Snapshot) -> Pairs:
    """The same, as `list` prints it."""
    return {
        (row.source, row.destination): row.ports
        for row in connections(snapshot, SETTINGS)
        if "/" in row.source and "/" in row.destination
    }


@settings(max_examples=40)
@given(some.meshes())
def test_every_pair_is_that_of_list(objects: list[Any]) -> None:
    """In the state as it is and as if all were denied, tunnels of ambient mode included."""
    found, snapshot = facts_of(objects), Snapshot.of(objects)
    assert expanded(found, found.now) == listed(snapshot)
    assert expanded(found, found.states[StateName.DENY_ALL]) == listed(assume_deny_all(snapshot))


@settings(max_examples=40)
@given(some.meshes())
def test_denied_flows_are_those_of_check(objects: list[Any]) -> None:
    """As many, and the same ones: the flows with a finding of a denial."""
    found, snapshot = facts_of(objects), Snapshot.of(objects)
    for state, judged in (
        (found.now, snapshot),
        (found.states[StateName.DENY_ALL], assume_deny_all(snapshot)),
    ):
        report = check(judged, SETTINGS, Answers())
        outcomes = Counter(mapped.judged.outcome for mapped in state.flows)
        assert outcomes[FlowOutcome.DENIED] == report.summary.denied
        denied = {
            mapped.judged.flow.key for mapped in state.flows if mapped.judged.outcome is FlowOutcome.DENIED
        }
        told = {
            finding.flow.key
            for finding in report.findings
            if finding.flow and finding.remedy and finding.verdict and not finding.verdict.allowed
        }
        assert told <= denied


@settings(max_examples=25)
@given(some.meshes(), some.meshes())
def test_two_states_share_one_numbering(old: list[Any], new: list[Any]) -> None:
    """A workload that only one of them has may not connect in the other."""
    found = facts_of(new, old)
    assert expanded(found, found.now) == listed(Snapshot.of(new))
    assert expanded(found, found.states[StateName.BEFORE]) == listed(Snapshot.of(old))


@settings(max_examples=25)
@given(some.meshes(), st.randoms())
def test_the_document_does_not_depend_on_the_order_of_input(objects: list[Any], random: Any) -> None:
    shuffled = list(objects)
    random.shuffle(shuffled)
    assert document(objects) == document(shuffled)


def document(objects: list[Any]) -> str:
    return json.dumps(map_document(facts_of(objects), title="some"), sort_keys=True)


CART, DB = deployment("shop/cart"), deployment("shop/db")
HOME = namespace("shop")


def outside(found: ReachabilityFacts) -> dict[str, int]:
    return {peer.name: len(found.workloads) + place for place, peer in enumerate(found.outside)}


def test_ranges_that_rules_name_are_peers() -> None:
    """A range is open where every address of it is; who is open to any address is open to the internet."""
    opened = policy("shop/cart", selects={"app": "cart"}, egress=[rule(block("10.0.0.0/8"), port(443))])
    world = policy(
        "shop/db",
        selects={"app": "db"},
        ingress=[rule(block("0.0.0.0/0", "10.0.0.0/8", "192.168.0.0/16"))],
    )
    found = facts_of([HOME, CART, DB, opened, world])
    peers = outside(found)
    assert set(peers) == {"internet", "10.0.0.0/8", "0.0.0.0/0 except 2 ranges"}
    cart, db = 0, 1
    assert str(found.allowed(found.now, cart, peers["10.0.0.0/8"])) == "TCP 443"
    assert not found.allowed(found.now, cart, peers["internet"])
    assert str(found.allowed(found.now, peers["internet"], db)) == "all"
    assert not found.allowed(found.now, peers["10.0.0.0/8"], db)
    assert str(found.allowed(found.now, peers["10.0.0.0/8"], cart)) == "all"


def test_policies_have_the_peers_of_their_rules() -> None:
    """A rule that names pods of which there are none matches nobody; one without peers matches everybody."""
    dead = policy("shop/dead", selects={"app": "db"}, ingress=[rule(pods(app="gone"))])
    open_to_all = policy("shop/open", selects={"app": "db"}, ingress=[rule()])
    named = policy("shop/named", selects={"app": "db"}, ingress=[rule(pods(app="cart"))])
    found = facts_of([HOME, CART, DB, dead, open_to_all, named])
    rules = {resolved.policy.name: resolved.ingress[0] for resolved in found.policies if resolved.ingress}
    assert rules["dead"].matches_nobody
    assert rules["open"].anybody
    assert rules["named"].peers == 0b01
    assert [found.policies[number].policy.name for number in found.now.ingress.isolated_by[1]] == [
        "dead",
        "named",
        "open",
    ]
    assert found.now.ingress.isolated_by[0] == ()


def test_a_policy_of_a_namespace_without_pods_is_no_error() -> None:
    alone = policy("empty/alone", ingress=[rule(pods(app="x"))])
    found = facts_of([HOME, CART, namespace("empty"), alone])
    assert found.policies[0].ingress[0].matches_nobody


def test_the_document_grows_with_workloads_and_not_with_pairs() -> None:
    """Twice the workloads of the same kinds take little more than twice the room."""

    def size(count: int) -> int:
        objects = [HOME, *(deployment(f"shop/w{number}", app="w") for number in range(count))]
        return len(document(objects))

    assert size(400) < 2.2 * size(200)
