"""What the API server recorded of our two ServiceAccounts, held against the chart's roles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.chart.rendering import RELEASE, plural
from tests.chart.test_rights import Right, granted
from tests.cluster.crds import KYVERNO, define
from tests.kube.manifests import deployment, service
from tests.live.installation import account
from tests.live.live_cluster import Live
from tests.live.tenant import Tenant

from istio_netpol.manifests.decode import DECODERS

COMPONENTS = ("webhook", "controller")
FORBIDDEN = 403
NOT_SERVED = {"gateway.networking.k8s.io", "argoproj.io", "openreports.io", "policy.networking.k8s.io"}
NOT_SERVED |= {"gateway.networking.x-k8s.io", "cilium.io", "crd.projectcalico.org", "projectcalico.org"}
APPLIED = {("networking.k8s.io", "networkpolicies"), ("wgpolicyk8s.io", "policyreports")}
READ = {(group, plural(kind)) for group, kind in DECODERS} - {("apps", "deployments")}


@dataclass(frozen=True, slots=True)
class Call:
    """A request for a resource, as the audit log has it."""

    component: str
    namespace: str
    group: str
    resource: str
    name: str
    verb: str
    status: int

    def is_covered_by(self, right: Right) -> bool:
        """Whether a right allows it."""
        namespace, group, resource, name, verb = right
        return (
            (group, resource, verb) == (self.group, self.resource, self.verb)
            and namespace in {"", self.namespace}
            and name in {"", self.name}
        )


def calls(live: Live) -> Iterator[Call]:
    """What was asked so far. Discovery, which everybody may do, is no resource's."""
    components = {account(component): component for component in COMPONENTS}
    for line in live.audit.read_text().splitlines():
        event = json.loads(line)
        if "objectRef" not in event:
            continue
        asked = event["objectRef"]
        resource = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
        yield Call(
            components[event["user"]["username"]],
            asked.get("namespace", ""),
            asked.get("apiGroup", ""),
            resource,
            asked.get("name", ""),
            event["verb"],
            event["responseStatus"]["code"],
        )


@pytest.fixture(scope="module")
def worked(live: Live) -> Live:
    """The cluster after both have done all that they can be asked to do."""
    kubectl = live.plane.kubectl()
    define(live.plane, KYVERNO)
    watched, shop = Tenant(live, "warn"), Tenant(live, "augment")
    assert watched.deploy("cart").code == 0
    assert shop.deploy("cart").code == 0
    before = shop.generated()
    shop.delete("networkpolicy", *before)
    shop.wait_for(before)
    assert shop.apply(deployment("till", shop.namespace), service("till", shop.namespace)).code == 0
    before = shop.generated()
    called = ("--namespace", shop.namespace, "annotate", "deployment", "cart")
    assert kubectl(*called, "istio-netpol.io/calls=till:80").code == 0
    live.plane.wait_until("both ends are opened", lambda: len(shop.generated()) == len(before) + 2)
    assert kubectl(*called, "istio-netpol.io/calls-").code == 0
    shop.wait_for(before)  # what is not needed any more is marked, and deleted after the grace period
    path = f"/apis/wgpolicyk8s.io/v1alpha2/namespaces/{watched.namespace}/policyreports"
    live.plane.wait_until(
        "there is a report", lambda: bool(live.plane.api().request("GET", path).object.get("items"))
    )
    return live


@pytest.mark.parametrize("component", COMPONENTS)
def test_nothing_is_asked_that_the_roles_do_not_grant(worked: Live, component: str) -> None:
    """Of all that was done in this cluster by now, faults included. Only while an API server starts does it
    refuse what they do grant."""
    rights = granted(worked.installation.manifests, component)
    asked = {call for call in calls(worked) if call.component == component}
    assert len(asked) > 50
    strays = {call for call in asked if not any(call.is_covered_by(right) for right in rights)}
    assert strays == set()


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_roles_grant_nothing_that_is_not_asked(worked: Live, component: str) -> None:
    """Every right is used in this cluster, but for those with a reason why it can't show."""
    rights = granted(worked.installation.manifests, component)
    asked = [call for call in calls(worked) if call.component == component and call.status != FORBIDDEN]
    unused = {right for right in rights if not any(call.is_covered_by(right) for call in asked)}
    assert {right for right in unused if not why_unseen(right)} == set()


def why_unseen(right: Right) -> str:
    """Why nothing in this cluster can show that a right is needed; empty where it would."""
    _, group, resource, name, verb = right
    if group in NOT_SERVED:
        return "its kinds are not installed here"
    if verb == "create" and (group, resource) in APPLIED:
        return "the API server asks for it when what is applied, by patch, is not there yet"
    if verb == "update" and name == f"{RELEASE}-certificate":
        return "the certificate is made at the start, and renewed after two months"
    if verb == "get" and (group, resource) in READ:
        return "only a kind that needs a policy, or is told of in an Event, has its uid looked up"
    return ""
