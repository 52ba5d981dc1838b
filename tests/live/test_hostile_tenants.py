"""Tenants who want more than is theirs: nothing opens outside of their namespace, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.cluster.control_plane import NODE_ADDRESS
from tests.kube.manifests import deployment, service
from tests.live.live_cluster import SYSTEM, Live
from tests.live.tenant import NEEDED, Tenant

MESH = ("istiod", "ingress-gateway", "kyma-gateway")
Attack = Callable[["Case"], list[dict[str, Any]]]


class Case:
    """A hostile tenant and a victim, beside a mesh under a deny-all that is augmented too."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.victim, self.hostile = Tenant(live, "augment"), Tenant(live, "augment")
        for tenant, name in ((self.victim, "web"), (self.hostile, "api")):
            done = tenant.apply(deployment(name, tenant.namespace), service(name, tenant.namespace))
            assert done.code == 0, done.stderr

    def elsewhere(self) -> dict[str, Any]:
        """What every policy outside of the hostile tenant's namespace says."""
        items = self.live.plane.api().request("GET", "/apis/networking.k8s.io/v1/networkpolicies").object
        return {
            f"{policy['metadata']['namespace']}/{policy['metadata']['name']}": policy["spec"]
            for policy in items["items"]
            if policy["metadata"]["namespace"] != self.hostile.namespace
        }

    def until_judged_by_the_controller(self) -> None:
        """Has the controller restore what was deleted after the attack, for which it looks at everything."""
        before = self.victim.generated()
        self.victim.delete("networkpolicy", *before)
        self.victim.wait_for(before)


@pytest.fixture(scope="module")
def case(live: Live) -> Case:
    kubectl = live.plane.kubectl()
    mesh = ("kyma-system", "istio-system")
    kubectl("create", "namespace", "kyma-system")
    kubectl("label", "namespace", *mesh, "istio-netpol.io/mode=augment", "--overwrite")
    deny = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": deny}
    for namespace in mesh:
        denied = kubectl.apply({**policy, "metadata": {"name": "default-deny", "namespace": namespace}})
        assert denied.code == 0, denied.stderr
    for file in MESH:
        done = kubectl("apply", "-f", str(SYSTEM / f"{file}.yaml"))
        assert done.code == 0, done.stderr
    case = Case(live)
    case.until_judged_by_the_controller()
    return case


def keys_at(*urls: str) -> Attack:
    rules = [{"issuer": f"issuer-{number}", "jwksUri": url} for number, url in enumerate(urls)]
    spec = {"jwtRules": rules}
    kind = {"apiVersion": "security.istio.io/v1", "kind": "RequestAuthentication", "spec": spec}
    return lambda case: [{**kind, "metadata": {"name": "keys"}}]


def calls(text: str) -> Attack:
    return lambda case: [
        deployment("caller", case.hostile.namespace, calls=text.replace("VICTIM", case.victim.namespace))
    ]


def expose_the_victim(case: Case) -> list[dict[str, Any]]:
    host = f"web.{case.victim.namespace}.svc.cluster.local"
    route = {"destination": {"host": host, "port": {"number": 80}}}
    spec = {"hosts": ["*"], "gateways": ["kyma-system/kyma-gateway"], "http": [{"route": [route]}]}
    kind = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "spec": spec}
    return [{**kind, "metadata": {"name": "exposed"}}]


def forge(case: Case) -> list[dict[str, Any]]:
    """A policy that claims to be generated, and to be needed by the victim's workload."""
    metadata = {
        "name": "forged",
        "labels": {"app.kubernetes.io/managed-by": "istio-netpol", "istio-netpol.io/flow": "dns"},
        "annotations": {
            "istio-netpol.io/required-by": f"Deployment/{case.victim.namespace}/web",
            "istio-netpol.io/unneeded-since": "2020-01-01T00:00:00Z",
        },
    }
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": spec}
    return [{**kind, "metadata": metadata}]


def pose_as_istiod(case: Case) -> list[dict[str, Any]]:
    posing = deployment("istiod", case.hostile.namespace)
    posing["spec"]["template"]["metadata"]["labels"] |= {"app": "istiod", "istio": "pilot"}
    return [posing]


ATTACKS: dict[str, Attack] = {
    "keys at the cloud's metadata": keys_at("http://169.254.169.254/latest/keys"),
    "keys at the API server's Service": keys_at("https://10.96.0.1/keys"),
    "keys at another port of the API server": keys_at(f"https://{NODE_ADDRESS}:10250/keys"),
    "keys on loopback": keys_at("https://127.0.0.1:15014/keys"),
    "keys at 500 hosts": keys_at(*(f"https://203.0.113.{n % 250}:{1000 + n}/keys" for n in range(500))),
    "calls to kube-system": calls("kube-system/kube-dns:53"),
    "calls to the victim": calls("VICTIM/web:80"),
    "a route to the victim's Service": expose_the_victim,
    "a forged policy": forge,
    "pods that look like istiod": pose_as_istiod,
}


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_opens_outside_of_the_tenant_s_namespace(case: Case, name: str) -> None:
    """Whether the webhook refuses the object, warns of it or admits it, and whatever the controller does."""
    before = case.elsewhere()
    case.hostile.apply(*ATTACKS[name](case))
    assert _opened(before, case.elsewhere()) == {}
    case.until_judged_by_the_controller()
    assert _opened(before, case.elsewhere()) == {}


def _opened(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The policies that came or changed. What others no longer need may be collected meanwhile."""
    return {key: spec for key, spec in after.items() if before.get(key) != spec}


def test_nothing_is_lost_by_a_forged_policy(case: Case) -> None:
    """It is the tenant's, so it stays, when policies of before are collected; and the victim's are whole."""
    case.hostile.apply(*forge(case))
    victims = case.victim.generated()
    before = case.hostile.generated()
    assert case.hostile.deploy("gone").code == 0
    needed = case.hostile.generated().keys() - before.keys()
    assert len(needed) == len(NEEDED)
    case.hostile.delete("deployment", "gone")
    case.live.plane.wait_until(
        "what it needed is collected", lambda: needed.isdisjoint(case.hostile.generated())
    )
    assert "forged" in case.hostile.generated()
    assert case.victim.generated() == victims
