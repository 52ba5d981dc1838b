"""A cluster whose policies have the names of an earlier version, under a newer controller."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.cluster.control_plane import ControlPlane
from tests.controller.process import ControllerProcess
from tests.controller.test_on_a_cluster import POLICIES, SETTINGS, Shop

from istio_netpol.analysis.generate import generate
from istio_netpol.cli.settings import Offline
from istio_netpol.manifests.encode import encode_policy
from istio_netpol.manifests.load import load
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.model.own_names import FIELD_MANAGER
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.settings import Settings
from istio_netpol.remedies.names import has_earlier_name
from istio_netpol.state.snapshot import Snapshot

CALLS = {"istio-netpol.io/calls": "203.0.113.7/32:80, 203.0.113.7/32:443"}


@pytest.fixture
def shop(control_plane: ControlPlane) -> Shop:
    """Isolated pods that need DNS, istiod and an address at two ports."""
    found = Shop(control_plane)
    labels = {"app": "cart"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "c"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    found.make("Deployment", "cart", spec, annotations=CALLS)
    found.deny_all()
    return found


def missing(manifests: list[dict[str, Any]]) -> tuple[NetworkPolicy, ...]:
    """The policies that these objects lack."""
    objects = load([RawObject(manifest, "the cluster", 0) for manifest in manifests]).objects
    return generate(Snapshot.of(objects), Settings(), Offline())


def as_earlier(policies: tuple[NetworkPolicy, ...]) -> Iterator[NetworkPolicy]:
    """The same openings as earlier versions wrote them: a policy for each port, but for DNS."""
    for number, policy in enumerate(policies):
        (rule,) = policy.egress
        parts = [rule.ports] if "dns-" in policy.name else [(port,) for port in rule.ports]
        for at, ports in enumerate(parts):
            name = f"{policy.labels['istio-netpol.io/flow']}-cart-{number:04x}{at:04x}"
            egress = (replace(rule, ports=ports),)
            yield replace(policy, ref=replace(policy.ref, name=name), egress=egress)


def test_no_flow_is_closed_while_names_change(shop: Shop, tmp_path: Path) -> None:
    """At no event of the watch is a policy missing; in the end only the new names are left."""
    settings = tmp_path / "settings.yaml"
    settings.write_text(SETTINGS)
    api = shop.plane.api()
    home = api.request("GET", f"/api/v1/namespaces/{shop.name}").object
    deployment = api.request("GET", f"/apis/apps/v1/namespaces/{shop.name}/deployments/cart").object
    kinds = ({"apiVersion": "v1", "kind": "Namespace"}, {"apiVersion": "apps/v1", "kind": "Deployment"})
    objects = [{**kind, **found} for kind, found in zip(kinds, (home, deployment), strict=True)]
    deny_all = api.request("GET", POLICIES.format(shop.name) + "/deny-all").object
    wanted = missing([*objects, {**deny_all, "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}])
    assert sum(len(stored.egress[0].ports) for stored in wanted) == 5
    for policy in as_earlier(wanted):
        as_us = ("--server-side", "--field-manager", FIELD_MANAGER)
        applied = shop.plane.kubectl().apply(encode_policy(policy), options=as_us)
        assert applied.code == 0, applied.stderr
    earlier = set(shop.policies())
    assert len(earlier) == 4
    listed = api.request("GET", POLICIES.format(shop.name)).object
    there = {stored["metadata"]["name"]: stored for stored in listed["items"]}
    with ControllerProcess(shop.plane.kubeconfig(), shop.name, settings) as process:
        process.wait_for("leading")
        shop.plane.wait_until("the old are gone", lambda: not earlier & set(shop.policies()), 60)
    after = shop.policies()
    assert sorted(name.rsplit("-", 4)[0] for name in after) == [
        "dns-cart",
        "proxy-to-istiod-cart",
        "workload-to-external-cart",
    ]
    found = shop.events_since(listed["metadata"]["resourceVersion"])
    assert {change["type"] for change in found} >= {"ADDED", "DELETED"}
    for event in found:
        name = event["object"]["metadata"]["name"]
        there.pop(name, None)
        if event["type"] != "DELETED":
            there[name] = event["object"]
        kind = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
        assert missing([*objects, *({**stored, **kind} for stored in there.values())]) == (), event
    assert set(there) == {*after, "deny-all"}
    assert not any(map(has_earlier_name, wanted))
