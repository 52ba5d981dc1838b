"""The map of a reader who may see some namespaces: all of theirs, and nothing of anybody else's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tests.analysis import meshes as some
from tests.analysis.test_generate_laws import Answers
from tests.browser.cluster import cluster, manifests

from istio_netpol.analysis.reachability.document import ReachabilityFacts
from istio_netpol.analysis.reachability.facts import facts
from istio_netpol.analysis.reachability.state_reading import Given
from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.settings import Settings
from istio_netpol.report.map_document import map_document
from istio_netpol.report.map_policies import names_only
from istio_netpol.report.map_restricted import restricted
from istio_netpol.state.snapshot import Snapshot

Document = dict[str, Any]


def facts_of(text: str) -> ReachabilityFacts:
    loaded = load(read_documents(text.encode(), "cluster.yaml"))
    assert not loaded.problems
    return facts(Given(Snapshot.of(loaded.objects)), Settings(), Answers())


def document_of(text: str) -> Document:
    return map_document(facts_of(text), title="prod")


def pairs(document: Document, state: str = "now") -> dict[tuple[str, str], Any]:
    """The open ports of every pair of workloads, as the page works them out."""
    names = [
        f"{document['namespaces'][home]['name']}/{kind}/{name}"
        for home, kind, name, *_ in document["workloads"]
    ]

    def ports(profile: int, peer: int) -> set[tuple[str, int]]:
        cells = document["profiles"][profile] if profile >= 0 else ()
        for number, members in zip(cells[::2], cells[1::2], strict=True):
            runs = document["sets"][members]
            if any(first <= peer < first + count for first, count in zip(runs[::2], runs[1::2], strict=True)):
                return {
                    (protocol, port)
                    for protocol, low, high in document["ports"][number]
                    for port in (80, 443, 5432, 8080, 9000, 15008, 15012)
                    if low <= port <= high
                }
        return set()

    sides = document["states"][state]
    return {
        (source, destination): both
        for first, source in enumerate(names)
        for second, destination in enumerate(names)
        if first != second
        and (
            both := ports(sides["egress"]["profiles"][first], second)
            & ports(sides["ingress"]["profiles"][second], first)
        )
    }


@settings(max_examples=25)
@given(some.meshes(), st.sets(st.sampled_from((*some.APPS, *some.SYSTEM))))
def test_what_is_left_is_as_it_was(objects: list[Any], seen: set[str]) -> None:
    """Every pair of the reader's own workloads, and every flow from or to them, with both sides' verdicts."""
    whole = map_document(facts(Given(Snapshot.of(objects)), Settings(), Answers()), title="prod")
    part = restricted(whole, seen)
    for state in whole["states"]:
        expected = {
            ends: ports
            for ends, ports in pairs(whole, state).items()
            if all(end.split("/")[0] in seen for end in ends)
        }
        assert pairs(part, state) == expected
        own = [
            flow
            for flow in whole["states"][state]["flows"]
            if any(
                end < len(whole["workloads"])
                and whole["namespaces"][whole["workloads"][end][0]]["name"] in seen
                for end in flow[1:3]
            )
        ]
        assert [flow[4:6] for flow in part["states"][state]["flows"]] == [flow[4:6] for flow in own]


SECRET = "zebra"


def with_secrets() -> str:
    """The cluster with namespaces whose every word is a secret: names, labels, hosts, policies, addresses."""
    hidden = [
        yaml.safe_load(yaml.safe_dump(manifest).replace("billing", f"{SECRET}-billing"))
        for manifest in manifests()
        if manifest["metadata"].get("namespace") == "billing" or manifest["metadata"]["name"] == "billing"
    ]
    for workload in hidden:
        workload["metadata"]["labels"] = {**workload["metadata"].get("labels", {}), f"{SECRET}-key": SECRET}
        spec = workload.get("spec", {})
        for rule in spec.get("egress", []) + spec.get("ingress", []):
            peers = rule.get("to") or rule.get("from")
            peers.append({"ipBlock": {"cidr": "198.51.100.77/32"}})
    calls = {"istio-netpol.io/calls": f"{SECRET}.example.com:443, shop/api:9000"}
    workloads = [workload for workload in hidden if workload["kind"] == "Deployment"]
    for workload in workloads:
        workload["metadata"]["annotations"] = calls
    entry = {"hosts": [f"{SECRET}.example.org"], "location": "MESH_EXTERNAL", "resolution": "DNS"}
    hidden.append(
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "ServiceEntry",
            "metadata": {"name": f"{SECRET}-entry", "namespace": f"{SECRET}-billing"},
            "spec": {**entry, "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}]},
        }
    )
    tier = {"namespaces": {"matchLabels": {"team": "shop"}}}
    hidden.append(
        {
            "apiVersion": "policy.networking.k8s.io/v1alpha1",
            "kind": "AdminNetworkPolicy",
            "metadata": {"name": f"{SECRET}-tier"},
            "spec": {
                "priority": 7,
                "subject": tier,
                "ingress": [{"name": SECRET, "action": "Deny", "from": [{"namespaces": {}}]}],
            },
        }
    )
    return f"{cluster()}---\n{yaml.safe_dump_all(hidden)}"


def test_nothing_of_others_is_left() -> None:
    """Not a name, a label, a host, an address, a policy or a sentence."""
    whole = document_of(with_secrets())
    assert SECRET in json.dumps(whole)
    assert "198.51.100.77" in json.dumps(whole)
    part = json.dumps(restricted(whole, ["shop", "mail"]))
    assert SECRET not in part
    assert "198.51.100.77" not in part
    # What the reader's own policies name is not hidden from who wrote them.
    for other in ("stock", "pricing", "coredns", "ingressgateway"):
        assert other not in part, other


def test_ones_own_cuts_stay() -> None:
    """The reader sees that the way to istiod is cut, and by whose side, without a name of the other."""
    whole = document_of(cluster())
    part = restricted(whole, ["stock"])
    cut = [flow for flow in part["states"]["now"]["flows"] if flow[5] & 3]
    assert [part["strings"][flow[0]] for flow in cut] == ["proxy-to-istiod"] * 3
    assert {flow[2] for flow in cut} == {len(part["workloads"]) + len(part["outside"]) - 1}
    assert part["outside"][-1] == {"kind": "others", "name": "other namespaces"}
    assert {policy["namespace"] for policy in part["policies"]} == {"stock"}


def test_a_remedy_between_ones_own_workloads_stays() -> None:
    part = restricted(document_of(cluster()), ["pricing"])
    cut = [flow for flow in part["states"]["now"]["flows"] if flow[5] & 3]
    assert [part["remedies"][number][0] for flow in cut for number in flow[8]] == ["pricing"]


def test_a_part_is_a_document_too() -> None:
    """What the schema says of the whole holds for every part."""
    schema = json.loads((Path(__file__).parents[2] / "docs/schemas/map.schema.json").read_text())
    whole = json.loads(json.dumps(document_of(with_secrets())))
    for seen in (["shop", "mail"], [], ["istio-system"]):
        part = json.loads(json.dumps(restricted(whole, seen)))
        assert [error.message for error in Draft202012Validator(schema).iter_errors(part)] == []


def test_who_may_see_nothing_gets_an_empty_map() -> None:
    part = restricted(document_of(with_secrets()), [])
    assert (part["namespaces"], part["workloads"], part["policies"]) == ([], [], [])
    assert part["states"]["now"]["flows"] == []
    assert SECRET not in json.dumps(part)


POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: some
  namespace: shop
  annotations: {{istio-netpol.io/required-by: "{needers}"}}
spec:
  podSelector: {{}}
  egress:
  - to: [{peer}]
"""


@pytest.mark.parametrize(
    ("needers", "peer", "told"),
    [
        ("Sidecar/shop/x", "{podSelector: {matchLabels: {app: db}}}", True),
        ("Sidecar/shop/x", "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: bank}}}", True),
        ("Sidecar/shop/x", "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: other}}}", False),
        ("Sidecar/shop/x", "{namespaceSelector: {matchLabels: {team: bank}}}", False),
        ("Sidecar/shop/x", "{namespaceSelector: {}}", False),
        ("Sidecar/shop/x", "{ipBlock: {cidr: 192.0.2.1/32}}", False),
        ("Sidecar/other/x", "{podSelector: {}}", False),
        ("Sidecar/shop/x and 3 more elsewhere", "{podSelector: {}}", False),
    ],
)
def test_a_policy_that_names_others_is_not_shown(needers: str, peer: str, told: bool) -> None:
    """Its selectors and its annotation are read, whatever it was written for."""
    text = POLICY.format(needers=needers, peer=peer)
    assert names_only(text, {"shop", "bank"}, addresses=False) is told


def test_addresses_are_shown_where_a_flow_of_ones_own_leads_to_them() -> None:
    text = POLICY.format(needers="Sidecar/shop/x", peer="{ipBlock: {cidr: 192.0.2.1/32}}")
    assert names_only(text, {"shop"}, addresses=True)


UNDECIDED = """\
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: zebra-addresses}
spec:
  tier: Admin
  priority: 10
  subject: {namespaces: {}}
  egress:
  - {name: private, action: Deny, to: [{networks: [10.0.0.0/8]}]}
"""


def test_what_a_tier_may_decide_is_told_without_its_name() -> None:
    """Between one's own workloads, too: a policy of a tier is for those who may list such policies."""
    whole = document_of(f"{cluster()}---\n{UNDECIDED}")
    told = [string for string in whole["strings"] if SECRET in string]
    assert any(sentence.startswith("perhaps decided by ClusterNetworkPolicy") for sentence in told)
    part = restricted(whole, ["shop", "stock", "kube-system", "istio-system"])
    unknown = [flow for flow in part["states"]["now"]["flows"] if flow[5] & 4]
    assert {part["strings"][flow[9]] for flow in unknown} == {"it could not be judged"}
    assert {part["strings"][flow[10]] for flow in unknown} == {"perhaps decided by a policy of a tier"}
    assert SECRET not in json.dumps(part)


def test_what_is_wrong_with_ones_own_host_is_told() -> None:
    entry = {"hosts": ["nowhere.invalid"], "location": "MESH_EXTERNAL", "resolution": "DNS"}
    own = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "nowhere", "namespace": "shop"},
        "spec": {**entry, "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}]},
    }
    part = restricted(document_of(f"{cluster()}---\n{yaml.safe_dump(own)}"), ["shop"])
    doubts = {part["strings"][flow[9]] for flow in part["states"]["now"]["flows"] if flow[9]}
    assert doubts
    assert "it could not be judged" not in doubts


def _policy(home: str, *cidrs: str, twice: bool = False) -> dict[str, Any]:
    rules = [{"to": [{"ipBlock": {"cidr": cidr}}]} for cidr in cidrs] * (1 + twice)
    spec = {"podSelector": {}, "policyTypes": ["Egress", "Ingress"], "egress": rules}
    metadata = {"name": "more", "namespace": home}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


ELSEWHERE: dict[str, list[dict[str, Any]]] = {
    "a namespace": [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "aaa"}}],
    "a denial": [_policy("media")],
    "an address": [_policy("media", "198.51.100.0/24")],
    "very many addresses": [
        _policy(
            "media", *(f"198.{16 + high}.{low}.0/24" for high in range(2) for low in range(99)), twice=True
        )
    ],
    "a workload": [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "aaa", "namespace": "media"},
            "spec": {"selector": {}, "template": {"metadata": {"labels": {"app": "frontend"}}, "spec": {}}},
        }
    ],
}


@pytest.mark.parametrize("what", ELSEWHERE)
def test_what_others_do_shows_nowhere(what: str) -> None:
    """Not a number, not an order, not the size: where no flow of the reader's is touched, the part stays what
    it was, to the byte."""
    own = f"{cluster()}---\n{yaml.safe_dump(_policy('shop', '192.0.2.0/24', '10.20.0.0/16'))}"
    before = restricted(document_of(own), ["shop"])
    assert {"192.0.2.0/24", "10.20.0.0/16"} <= {peer["name"] for peer in before["outside"]}
    after = restricted(document_of(f"{own}---\n{yaml.safe_dump_all(ELSEWHERE[what])}"), ["shop"])
    assert json.dumps(after) == json.dumps(before)
