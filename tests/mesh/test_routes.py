"""Every kind of route works with what `istio-netpol generate` prints, from a cold start, where Istio and the
bazaar are under deny-alls (kube-system is not). No destination is reached without the policy for it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from tests.mesh import istio
from tests.mesh.bazaar import (
    ANNEX,
    ATTIC,
    BAZAAR,
    FRONT,
    LOBBY,
    NAMESPACES,
    ODD_PORT,
    REVISION,
    TCP_PORT,
    WORKLOADS,
    host,
    manifests,
    namespaces,
)
from tests.mesh.enforcement.protocol import Style
from tests.mesh.necessity import Policies, kind_of, shown
from tests.mesh.traffic import Answer, Outside, TcpAnswer, get, tcp

if TYPE_CHECKING:
    from tests.mesh.mesh import Mesh

pytestmark = pytest.mark.xdist_group("mesh")

GATEWAY_PODS = f"{FRONT}-istio"
COLD = (
    (istio.ROOT, "istiod"),
    (istio.ROOT, f"istiod-{REVISION}"),
    (istio.ROOT, istio.INGRESS),
    (LOBBY, GATEWAY_PODS),
    *WORKLOADS,
)
NAMES = {
    "weights": {"blue", "green"},
    "mirror": {"blue"},
    "delegate": {"tail"},
    "odd": {"blue"},
    "vault": {"vault"},
    "trunk": {"trunk"},
    "desk": {"desk"},
    "border": {"blue"},
}
"""Who answers on each route of HTTP or TLS."""

EVERYBODY = {**NAMES, "cord": {"cord"}}
ATTEMPTS = {"weights": 20}
"""How often a route is asked whose answers differ; the others once."""
FURTHER = (istio.ROOT, "further-ports")


@pytest.fixture(scope="module")
def policies(mesh: Mesh) -> Iterator[Policies]:
    """The bazaar, denied everything, and allowed what was generated, before its pods have started."""
    objects = manifests(mesh.outside.authority.issue([host("vault")]))
    with istio.revision(mesh, REVISION):
        try:
            mesh.apply(*namespaces())
            with Policies(mesh, (istio.ROOT, *NAMESPACES)) as denied:
                denied.deny()
                mesh.apply(*objects)
                mesh.wait_until("istiod has deployed the gateway", lambda: _deployed(mesh))
                denied.allow()
                yield denied
        finally:
            mesh.delete(*(made for made in objects if made["metadata"]["namespace"] == istio.ROOT))
            mesh.remove_namespaces(*NAMESPACES)


@pytest.fixture
def allowed(mesh: Mesh, policies: Policies) -> Policies:
    """Everything is up."""
    for namespace, deployment in COLD:
        mesh.wait_until_ready(namespace, deployment)
    return policies


def visit(mesh: Mesh, name: str, path: str = "/", timeout: float = 20.0) -> Answer:
    """What a person outside gets on one of the routes."""
    scheme, port, service = "http", 80, (istio.ROOT, istio.INGRESS)
    if name in {"desk", "border"}:
        service = (LOBBY, GATEWAY_PODS)
    elif name == "odd":
        port, service = ODD_PORT, FURTHER
    elif name == "vault":
        scheme, port = "https", 443
    url = f"{scheme}://{host(name)}:{port}{path}"
    return get(mesh, Outside(), url, resolve={host(name): mesh.load_balancer(*service)}, timeout=timeout)


def dial(mesh: Mesh, timeout: float = 20.0) -> TcpAnswer:
    """What a person outside gets on the TCP route."""
    return tcp(mesh, Outside(), mesh.load_balancer(*FURTHER), TCP_PORT, timeout=timeout)


def answers(mesh: Mesh) -> dict[str, set[str]]:
    """Who answers on each route; the status where nobody does, and `cut` where there is none."""
    found = {name: {_who(visit(mesh, name)) for _ in range(ATTEMPTS.get(name, 1))} for name in NAMES}
    return {**found, "cord": {dial(mesh).received.partition("\n")[0] or "cut"}}


def refused(*routes: str) -> dict[str, set[str]]:
    """What gateways answer on routes whose destination they do not reach."""
    return {route: {"503"} for route in routes}


def cut(*routes: str) -> dict[str, set[str]]:
    """Routes on which people get no answer."""
    return {route: {"cut"} for route in routes}


def _who(answer: Answer) -> str:
    return str(answer.json["name"]) if answer.status == 200 else str(answer.status or "cut")


def test_every_route_works_from_a_cold_start(mesh: Mesh, allowed: Policies) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda at: mesh.restart(*at), COLD))
    for namespace, deployment in COLD:
        mesh.wait_until_ready(namespace, deployment)
    mesh.wait_until("every route answers", lambda: answers(mesh) == EVERYBODY)
    assert visit(mesh, "mirror", "/copied").status == 200
    mesh.wait_until("the copy arrives", lambda: "/copied" in mesh.logs(BAZAAR, "shadow", "app"))


def test_each_destination_needs_its_policy(mesh: Mesh, allowed: Policies) -> None:
    """Without it the gateway answers 503 for that one alone; where it knows no requests, it closes the
    connection; and of a mirror's copies nobody hears."""
    left_out = [(BAZAAR, "green"), (BAZAAR, "shadow"), (BAZAAR, "vault"), (BAZAAR, "cord")]
    left_out += [(ANNEX, "tail"), (ATTIC, "trunk"), (LOBBY, "desk")]
    lost = refused("delegate", "trunk", "desk") | cut("vault", "cord")
    with without(mesh, allowed, ingress_of(*left_out)):
        assert answers(mesh) == EVERYBODY | lost | {"weights": {"blue", "503"}}
        assert shown(visit(mesh, "delegate").seen) == {"connect-refused"}
        assert visit(mesh, "mirror", "/lost").status == 200
    assert answers(mesh) == EVERYBODY
    assert visit(mesh, "mirror", "/found").status == 200
    mesh.wait_until("the copy arrives", lambda: "/found" in mesh.logs(BAZAAR, "shadow", "app"))
    assert "/lost" not in mesh.logs(BAZAAR, "shadow", "app")


def test_a_plugin_that_drops_gives_504_after_the_routes_timeout(mesh: Mesh, allowed: Policies) -> None:
    """By a VirtualService, by its delegate and by an HTTPRoute alike."""
    with without(mesh, allowed, ingress_of((ANNEX, "tail"), (ATTIC, "trunk"), (LOBBY, "desk"))):
        with mesh.enforcement.refusing(Style.DROP):
            seen = {name: visit(mesh, name) for name in ("delegate", "trunk", "desk")}
        assert {name: answer.status for name, answer in seen.items()} == dict.fromkeys(seen, 504)
        assert shown(seen["delegate"].seen) == {"request-timeout"}
    assert answers(mesh) == EVERYBODY


def test_routes_that_share_a_destination_share_its_policy(mesh: Mesh, allowed: Policies) -> None:
    """What lets the ingress gateway in lets nobody else in, and the other way round."""
    from_ingress = refused("odd", "mirror") | {"weights": {"green", "503"}}
    for requiring, lost in (
        ("VirtualService/bazaar/odd", from_ingress),
        ("HTTPRoute/lobby/border", refused("border")),
    ):
        with without(mesh, allowed, lambda policy, of=requiring: is_for(policy, of) and lets_in(policy)):
            assert answers(mesh) == EVERYBODY | lost
    assert answers(mesh) == EVERYBODY


def test_gateways_need_their_egress(mesh: Mesh, allowed: Policies) -> None:
    """The side of the gateway is needed as much as that of the workload."""
    objects = (
        "VirtualService/bazaar/weights",
        "VirtualService/bazaar/delegate",
        "VirtualService/attic/trunk",
    )
    objects += (
        "VirtualService/bazaar/vault",
        "VirtualService/bazaar/cord",
        "HTTPRoute/lobby/desk",
        "HTTPRoute/lobby/border",
    )
    lost = refused("delegate", "trunk", "desk", "border") | cut("vault", "cord")

    def chosen(policy: dict[str, Any]) -> bool:
        return not lets_in(policy) and any(is_for(policy, requiring) for requiring in objects)

    with without(mesh, allowed, chosen):
        # Blue is open to the gateway for other routes.
        assert answers(mesh) == EVERYBODY | lost | {"weights": {"blue", "503"}}
    assert answers(mesh) == EVERYBODY


@pytest.mark.parametrize(
    ("port", "lost"), [(ODD_PORT, {"odd"}), (8080, {"weights", "mirror", "delegate", "trunk"})]
)
def test_each_port_of_a_gateway_is_needed(mesh: Mesh, allowed: Policies, port: int, lost: set[str]) -> None:
    """Where the policy lacks it, nobody connects to that port of the gateway's pods; the others stay open."""
    (policy,) = (made for made in allowed.generated if is_for(made, f"Gateway/{BAZAAR}/public"))
    (rule,) = policy["spec"]["ingress"]
    others = [entry for entry in rule["ports"] if entry["port"] != port]
    assert len(others) == len(rule["ports"]) - 1
    mesh.apply({**policy, "spec": {**policy["spec"], "ingress": [{**rule, "ports": others}]}})
    mesh.settled()
    try:
        assert answers(mesh) == EVERYBODY | cut(*lost)
        assert shown(visit(mesh, min(lost)).seen) == {"connect-denied"}
    finally:
        mesh.apply(policy)
        mesh.settled()
    assert answers(mesh) == EVERYBODY


def test_sidecars_of_a_revision_need_their_own_istiod(mesh: Mesh, allowed: Policies) -> None:
    """Without the policy to it they never start, whatever is open to the other istiod."""

    def to_canary(policy: dict[str, Any]) -> bool:
        return kind_of(policy) == "proxy-to-istiod" and policy["metadata"]["namespace"] == ATTIC

    with without(mesh, allowed, to_canary):
        mesh.restart(ATTIC, "trunk")
        mesh.wait_until("its proxy tells", lambda: "istiod-not-reached" in shown(mesh.logs(ATTIC, "trunk")))
        assert f"dial tcp {_address_of_canary(mesh)}:15012" in mesh.logs(ATTIC, "trunk")
        assert not mesh.ready(ATTIC, "trunk")
    mesh.wait_until_ready(ATTIC, "trunk")
    # The gateway may not know yet that it is.
    mesh.wait_until("it answers", lambda: visit(mesh, "trunk").status == 200)


def ingress_of(*workloads: tuple[str, str]) -> Callable[[dict[str, Any]], bool]:
    """The policies that let gateways into the pods of some apps."""

    def chosen(policy: dict[str, Any]) -> bool:
        app = policy["spec"]["podSelector"].get("matchLabels", {}).get("app")
        is_meant = (policy["metadata"]["namespace"], app) in workloads
        return kind_of(policy) == "gateway-to-workload" and is_meant and lets_in(policy)

    return chosen


def lets_in(policy: dict[str, Any]) -> bool:
    """Whether a policy is about who may connect to its pods."""
    return policy["spec"]["policyTypes"] == ["Ingress"]


def is_for(policy: dict[str, Any], requiring: str) -> bool:
    """Whether an object is among those that need a generated policy."""
    return requiring in policy["metadata"]["annotations"]["istio-netpol.io/required-by"].split(", ")


@contextlib.contextmanager
def without(mesh: Mesh, policies: Policies, left_out: Callable[[dict[str, Any]], bool]) -> Iterator[None]:
    """Leaves out some of the generated policies for as long as the block runs."""
    chosen = [policy for policy in policies.generated if left_out(policy)]
    assert chosen, "nothing was generated of what is to be left out"
    with mesh.without(*chosen):
        yield


def _address_of_canary(mesh: Mesh) -> str:
    path = f"/api/v1/namespaces/{istio.ROOT}/services/istiod-{REVISION}"
    return str(mesh.api.request("GET", path).object["spec"]["clusterIP"])


def _deployed(mesh: Mesh) -> bool:
    path = f"/apis/apps/v1/namespaces/{LOBBY}/deployments/{GATEWAY_PODS}"
    return mesh.api.request("GET", path).status == 200
