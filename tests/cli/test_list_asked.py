"""`istio-netpol list` answers who reaches whom without a reader going through thousands of lines."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from ipaddress import ip_address
from typing import Any

import pytest
from tests.cli.platform import namespace, platform, pods, policy, service, workload
from tests.cli.workspace import SHOP, Run

from istio_netpol.model.connections import ConnectionSet, Protocol


@pytest.fixture(scope="module")
def cluster() -> str:
    """Six teams, and a namespace of which each workload is open to somebody else."""
    opened = {
        "world": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}],
        "office": [{"ipBlock": {"cidr": "10.1.0.0/16"}}],
        "shared": [pods("team-01", {"app": "web"}), pods("team-02", {"app": "api"})],
        "inner": [{"podSelector": {}}],
    }
    items = [namespace("edge"), policy("edge", "default-deny", {"policyTypes": ["Ingress", "Egress"]})]
    for name in (*opened, "closed"):
        items += [workload("edge", name, {"app": name}, 8443), service("edge", name, {"app": name}, 8443)]
    for name, peers in opened.items():
        rules = {
            "podSelector": {"matchLabels": {"app": name}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": peers, "ports": [{"port": 8443}]}],
        }
        items.append(policy("edge", f"to-{name}", rules))
    for team, app in (("team-01", "web"), ("team-02", "api")):
        rules = {
            "podSelector": {"matchLabels": {"app": app}},
            "policyTypes": ["Egress"],
            "egress": [{"to": [pods("edge", {"app": "shared"})]}],
        }
        items.append(policy(team, "to-shared", rules))
    egress = {"policyTypes": ["Egress"], "egress": [{"to": [{"podSelector": {}}]}]}
    items.append(policy("edge", "among-us", egress))
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [*platform(6), *items]})


def rows(run: Run, cluster: str, *options: str) -> list[dict[str, Any]]:
    result = run("list", "-", "-f", "json", *options, stdin=cluster)
    assert result.exit_code == 0, result.stderr
    found: list[dict[str, Any]] = json.loads(result.stdout)["connections"]
    return found


def ends(found: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(row["source"], row["destination"]) for row in found}


@pytest.mark.parametrize(
    ("who", "meant"),
    [
        ("edge/shared", lambda peer: peer == "edge/Deployment/shared"),
        ("edge/Deployment/shared", lambda peer: peer == "edge/Deployment/shared"),
        ("edge/Service/shared", lambda peer: peer == "edge/Deployment/shared"),
        ("edge", lambda peer: peer.startswith("edge/")),
        ("edge/*", lambda peer: peer.startswith("edge/")),
        ("10.1.2.3", lambda peer: "/" not in peer and within(peer, "10.1.2.3")),
        ("10.1.0.0/24", lambda peer: "/" not in peer and within(peer, "10.1.0.9")),
        ("8.8.8.8", lambda peer: "/" not in peer and within(peer, "8.8.8.8")),
    ],
)
def test_only_what_is_asked_for_is_listed(run: Run, cluster: str, who: str, meant: Any) -> None:
    """As caller or as called, it is the same as going through the whole list."""
    everything = rows(run, cluster)
    for option, end in (("--from", 0), ("--to", 1)):
        asked = ends(rows(run, cluster, option, who))
        assert asked == {pair for pair in ends(everything) if meant(pair[end])}
        assert asked or (option, who) in {("--from", "edge/shared")}


def within(peer: str, address: str) -> bool:
    low, high = peer.split("-")
    return ip_address(low) <= ip_address(address) <= ip_address(high)


def test_several_and_both_ends(run: Run, cluster: str) -> None:
    """Repeated options add, the two options narrow."""
    found = rows(run, cluster, "--from", "team-01", "--from", "team-02/api", "--to", "edge/shared")
    assert ends(found) == {
        ("team-01/Deployment/web", "edge/Deployment/shared"),
        ("team-02/Deployment/api", "edge/Deployment/shared"),
    }


@pytest.mark.parametrize(
    ("who", "told"),
    [
        ("edg", "'edg' is not a namespace of the input; did you mean edge?"),
        ("edge/shard", "did you mean edge/Deployment/shared"),
        ("nowhere/x", "namespace nowhere has no workloads"),
    ],
)
def test_a_name_of_nobody_is_an_error(run: Run, cluster: str, who: str, told: str) -> None:
    """An empty list would say that nothing is allowed."""
    result = run("list", "-", "--to", who, stdin=cluster)
    assert (result.exit_code, told in result.stderr) == (2, True), result.stderr


def test_the_summary_is_that_of_the_list(run: Run, cluster: str) -> None:
    """Each pair of namespaces, with its figures and all its ports."""
    counted: defaultdict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows(run, cluster):
        ends = (row["source"], row["destination"])
        source, destination = (end.split("/")[0] if "/" in end else "addresses outside" for end in ends)
        counted[source, destination].append(row)
    told = json.loads(run("list", "-", "-f", "json", "--summary", stdin=cluster).stdout)["namespaces"]
    assert [(pair["source"], pair["destination"]) for pair in told] == sorted(
        counted, key=lambda ends: [(end != "addresses outside", end) for end in ends]
    )
    for pair in told:
        members = counted[pair["source"], pair["destination"]]
        assert pair["connections"] == len(members)
        assert pair["sources"] == len({row["source"] for row in members})
        assert pair["destinations"] == len({row["destination"] for row in members})
        assert ports(pair) == ConnectionSet.union(map(ports, members))


def ports(row: dict[str, Any]) -> ConnectionSet:
    return ConnectionSet.union(
        ConnectionSet.of(Protocol(port["protocol"]), port["from"], port["to"]) for port in row["ports"]
    )


def test_the_summary_reads_as_text_and_csv(run: Run, cluster: str) -> None:
    """A line a pair, or a row."""
    text = run("list", "-", "--summary", "--to", "edge/shared", stdin=cluster).stdout
    assert text.splitlines() == [
        "team-01 -> edge: TCP 8443 (1 connection, 1 source, 1 destination)",
        "team-02 -> edge: TCP 8443 (1 connection, 1 source, 1 destination)",
    ]
    table = run("list", "-", "--summary", "--to", "edge/shared", "-f", "csv", stdin=cluster).stdout
    first = next(csv.DictReader(io.StringIO(table)))
    assert list(first.values()) == ["team-01", "edge", "1", "1", "1", "TCP 8443"]


def test_the_exposure_of_each_workload(run: Run, cluster: str) -> None:
    """By the farthest from which it can be reached."""
    told = json.loads(run("list", "-", "-f", "json", "--exposure", "--to", "edge", stdin=cluster).stdout)[
        "exposure"
    ]
    assert {entry["workload"].rpartition("/")[2]: entry["reach"] for entry in told} == {
        "world": "world",
        "office": "addresses",
        "shared": "namespaces",
        "inner": "namespace",
        "closed": "nobody",
    }
    (shared,) = (entry["from"] for entry in told if entry["workload"] == "edge/Deployment/shared")
    assert [entry["namespace"] for entry in shared["namespaces"]] == ["team-01", "team-02"]
    assert (shared["world"], shared["addresses"], shared["namespace"]) == ([], [], [])


def test_the_exposure_is_that_of_the_list(run: Run, cluster: str) -> None:
    """Who is open to nobody is the destination of no row, and the other way round."""
    called = {row["destination"] for row in rows(run, cluster)}
    told = json.loads(run("list", "-", "-f", "json", "--exposure", stdin=cluster).stdout)["exposure"]
    for entry in told:
        assert (entry["reach"] != "nobody") is (entry["workload"] in called)
    assert {entry["workload"] for entry in told} >= {peer for peer in called if "/" in peer}


def test_the_exposure_reads_as_text_and_csv(run: Run, cluster: str) -> None:
    """The widest first, and the figures at the end."""
    lines = run("list", "-", "--exposure", "--to", "edge", stdin=cluster).stdout.splitlines()
    assert lines[:2] == ["Open to the world (public addresses):", "  edge: Deployment world (TCP 8443)"]
    assert "  edge: Deployment shared (TCP 8443 from team-01, team-02)" in lines
    assert lines[-1].startswith("Of 5 workloads, NetworkPolicies open 1 to the world, 1 to other addresses")
    table = run("list", "-", "--exposure", "--to", "edge", "-f", "csv", stdin=cluster).stdout
    assert {(row["workload"], row["from"]) for row in csv.DictReader(io.StringIO(table))} >= {
        ("edge/Deployment/closed", ""),
        ("edge/Deployment/shared", "namespace team-01"),
        ("edge/Deployment/world", "world"),
    }


def test_without_policies_everything_is_open_to_the_world(run: Run) -> None:
    """As far as policies go."""
    told = json.loads(run("list", "-", "-f", "json", "--exposure", stdin=SHOP).stdout)["exposure"]
    assert {entry["reach"] for entry in told} == {"world"}


@pytest.mark.parametrize("other", [("--summary",), ("--from", "edge")])
def test_exposure_is_of_all_callers(run: Run, cluster: str, other: tuple[str, ...]) -> None:
    """Of some callers it would say nobody where others come in."""
    result = run("list", "-", "--exposure", *other, stdin=cluster)
    assert (result.exit_code, "leave out --summary and --from" in result.stderr) == (2, True)
