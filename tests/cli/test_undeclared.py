"""Which workloads `check` says it knows nothing of, and what a deny-all that is only assumed covers."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from tests.admission.objects import (
    CONTROL_PLANE,
    Manifest,
    allow,
    deny_all,
    deployment,
    namespace,
    policy,
    service,
    virtual_service,
)
from tests.cli.workspace import Run


def told(run: Run, *objects: Manifest, options: tuple[str, ...] = ()) -> list[tuple[str, list[str]]]:
    """The workloads of which nothing is known, with the policies that somebody wrote for them."""
    printed = run("check", "-", "--offline", "-f", "json", *options, stdin=yaml.safe_dump_all(objects)).stdout
    return [
        (f"{entry['kind']} {entry['namespace']}/{entry['name']}", entry["policies"])
        for entry in json.loads(printed)["undeclared"]
    ]


SHOP = [
    *CONTROL_PLANE,
    namespace("shop"),
    deployment("shop/routed"),
    service("shop/routed"),
    virtual_service("shop/routed", "routed.shop.svc.cluster.local"),
    deployment("shop/calling", calls="called:80"),
    deployment("shop/called", called_by="shop/calling"),
    service("shop/called"),
    deployment("shop/silent"),
    deployment("shop/queue", kind="StatefulSet"),
]
UNKNOWN = [("Deployment shop/silent", []), ("StatefulSet shop/queue", [])]


def test_what_nothing_is_said_of_is_listed_under_a_deny_all(run: Run) -> None:
    """Real or assumed, in one direction or both; whoever is routed to, calls or is called is not listed."""
    assert told(run, *SHOP) == []
    for closed in (("Ingress", "Egress"), ("Ingress",), ("Egress",)):
        assert told(run, *SHOP, deny_all("shop", *closed)) == UNKNOWN
    assert told(run, *SHOP, options=("--assume-deny-all",)) == UNKNOWN


@pytest.mark.parametrize("peer", [{"namespaces": {}}, {"networks": ["0.0.0.0/0", "::/0"]}])
def test_a_tier_that_denies_all_is_a_deny_all(run: Run, peer: Any) -> None:
    """Whether it is asked before or behind NetworkPolicies; one that denies single addresses or ports is
    none."""
    for kind, spec in (("AdminNetworkPolicy", {"priority": 10}), ("BaselineAdminNetworkPolicy", {})):
        closed = {
            "apiVersion": "policy.networking.k8s.io/v1alpha1",
            "kind": kind,
            "metadata": {"name": "default"},
            "spec": {
                **spec,
                "subject": {"namespaces": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}},
                "egress": [{"action": "Deny", "to": [peer]}],
            },
        }
        assert told(run, *SHOP, closed) == UNKNOWN
        for rule in (
            {"action": "Deny", "to": [{"networks": ["169.254.169.254/32"]}]},
            {"action": "Deny", "to": [peer], "ports": [{"portNumber": {"protocol": "TCP", "port": 22}}]},
            {"action": "Allow", "to": [peer]},
        ):
            assert told(run, *SHOP, {**closed, "spec": {**closed["spec"], "egress": [rule]}}) == []


def test_generated_policies_say_nothing_new_and_own_ones_are_named(run: Run) -> None:
    """What allows istiod and DNS is no word of the owners; a policy for these pods is, and is shown."""
    objects = [*SHOP, deny_all("shop")]
    printed = run("generate", "-", "--offline", stdin=yaml.safe_dump_all(objects)).stdout
    assert told(run, *objects, *yaml.safe_load_all(printed)) == UNKNOWN
    for_silent = policy(
        "shop/from-cart", {"podSelector": {"matchLabels": {"app": "silent"}}, "ingress": [{}]}
    )
    for_all = allow("shop/open", ingress=[{}])
    assert told(run, *objects, for_silent, for_all) == [
        ("Deployment shop/silent", ["shop/from-cart"]),
        ("StatefulSet shop/queue", []),
    ]


def test_the_text_lists_them_by_namespace(run: Run) -> None:
    """With what to do about it; other formats count them on standard error."""
    stdin = yaml.safe_dump_all([*SHOP, deny_all("shop")])
    assert (
        "\nNothing says what these workloads need beyond istiod and DNS, so ask their owners:\n"
        "  - shop: Deployment silent, StatefulSet queue\n\n"
    ) in run("check", "-", "--offline", "--all", stdin=stdin).stdout
    closing = run("generate", "-", "--offline", "--assume-deny-all", stdin=yaml.safe_dump_all(SHOP)).stderr
    assert "nothing says what 2 workloads in 1 namespace need beyond istiod and DNS" in closing
    assert "`istio-netpol check --assume-deny-all` lists them" in closing
    told_beside = run("check", "-", "--offline", "-f", "junit", stdin=stdin).stderr
    assert "nothing says what 2 workloads in 1 namespace need beyond istiod and DNS" in told_beside


def on_the_node(manifest: Manifest) -> Manifest:
    manifest["spec"]["template"]["spec"]["hostNetwork"] = True
    return manifest


def test_an_assumed_deny_all_covers_the_namespaces_of_the_input(run: Run) -> None:
    """Both directions, also where one is denied already, where only objects name the namespace, and in the
    control plane's; but not Kubernetes' own namespaces, nor pods on the host network."""
    objects: list[Any] = [
        *CONTROL_PLANE,
        namespace("shop", injected=False),
        deployment("shop/cart"),
        deny_all("shop", "Ingress"),
        deployment("unnamed/web"),
        on_the_node(deployment("shop/agent", kind="DaemonSet")),
        namespace("empty"),
        deployment("kube-system/agent"),
    ]
    stdin = yaml.safe_dump_all(objects)
    printed = run("list", "-", "-f", "json", "--assume-deny-all", stdin=stdin).stdout
    ends = {
        end
        for connection in json.loads(printed)["connections"]
        for end in (connection["source"], connection["destination"])
        if end.count("/") == 2
    }
    assert ends == {"kube-system/Deployment/agent", "shop/DaemonSet/agent"}


def test_an_assumed_deny_all_does_not_cover_stand_ins(run: Run) -> None:
    """What the input lacks stays open: nobody could write policies for it, and the denials are those of the
    input's own namespaces."""
    objects = [namespace("shop"), deployment("shop/cart")]
    stdin = yaml.safe_dump_all(objects)
    printed = run("check", "-", "--offline", "--assume-deny-all", "-f", "json", stdin=stdin).stdout
    denied = [finding["denied"] for finding in json.loads(printed)["findings"] if finding["flow"]]
    assert denied
    assert all(finding == {"egress": ["shop/assumed-deny-all"], "ingress": []} for finding in denied)
    policies = run("generate", "-", "--offline", "--assume-deny-all", stdin=stdin).stdout
    assert {document["metadata"]["namespace"] for document in yaml.safe_load_all(policies)} == {"shop"}


def test_an_assumed_policy_takes_nobodys_name(run: Run) -> None:
    """A policy that is really called so stays what it is."""
    mine = allow("shop/assumed-deny-all", egress=[{}])
    stdin = yaml.safe_dump_all([*CONTROL_PLANE, namespace("shop"), deployment("shop/cart"), mine])
    result = run("check", "-", "--offline", "--assume-deny-all", "-f", "json", stdin=stdin)
    denied = [finding for finding in json.loads(result.stdout)["findings"] if finding["denied"]["egress"]]
    assert not [finding for finding in denied if finding["object"]["namespace"] == "shop"]


def test_remedies_of_an_assumed_deny_all_are_those_that_generate_prints(run: Run) -> None:
    """In the findings, too, a policy allows at once all that its pods need, and the figures count what is in
    the input."""
    stdin = yaml.safe_dump_all(SHOP)
    report = json.loads(run("check", "-", "--offline", "--assume-deny-all", "-f", "json", stdin=stdin).stdout)
    shown = {manifest["metadata"]["name"] for finding in report["findings"] for manifest in finding["remedy"]}
    printed = run("generate", "-", "--offline", "--assume-deny-all", stdin=stdin).stdout
    assert shown == {document["metadata"]["name"] for document in yaml.safe_load_all(printed)}
    assert report["summary"]["objects"] == len(SHOP)
