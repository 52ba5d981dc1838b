"""The connections of workloads, gateways and the outside: all of them suffice, and each is needed.

Istio and the market are under deny-alls, DNS in kube-system is not. Nothing is allowed but what
`istio-netpol generate` prints. Each test leaves out the policies of one kind, sees the symptom as
docs/symptoms.md has it, and sees it gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests.mesh import market
from tests.mesh.connections import noted
from tests.mesh.enforcement.protocol import Style
from tests.mesh.manifests import HTTP, TCP, client
from tests.mesh.market import CART, GUARD, MARKET, ORDERS, visit
from tests.mesh.necessity import Policies, mesh_config, proves, shown
from tests.mesh.opened_ports import unused
from tests.mesh.outside import API, API_UNNAMED
from tests.mesh.topology import OUTSIDE_API
from tests.mesh.traffic import Answer, Inside, Outside, get, look_up, tcp

from istio_netpol.model.flows import FlowKind

if TYPE_CHECKING:
    from tests.mesh.mesh import Mesh

pytestmark = pytest.mark.xdist_group("mesh")

CART_URL = f"http://cart.{MARKET}.svc.cluster.local/"
ORDERS_URL = "http://orders.depot.svc.cluster.local/"
COLD = (
    ("istio-system", "istiod"),
    ("istio-system", "istio-ingressgateway"),
    (MARKET, "cart"),
    ("depot", "orders"),
)

ASKING = (CART, ORDERS, Inside(*market.INGRESS), Inside("istio-system", "istiod"))


@pytest.fixture(scope="module")
def policies(mesh: Mesh) -> Iterator[Policies]:
    """The market, denied everything, and allowed what was generated."""
    with mesh_config(mesh, extensionProviders=market.PROVIDERS, accessLogFile="/dev/stdout"):
        try:
            mesh.apply(*market.namespaces())
            mesh.apply(*market.manifests(mesh.outside.issuer.name))
            with Policies(mesh, ("istio-system", *market.NAMESPACES)) as denied:
                denied.deny()
                denied.allow()
                yield denied
        finally:
            mesh.remove_namespaces(*market.NAMESPACES)


@pytest.fixture
def allowed(mesh: Mesh, policies: Policies) -> Policies:
    """Everything is up."""
    for namespace, app in COLD:
        mesh.wait_until_ready(namespace, app)
    return policies


def test_all_policies_suffice_from_a_cold_start(mesh: Mesh, allowed: Policies) -> None:
    """And every port that they open is used, in each direction."""
    with noted(mesh) as connections:
        _restart_everything(mesh)
        _use_everything(mesh)
        left = unused(mesh, allowed.generated, connections.so_far())
    assert left == set()


def _restart_everything(mesh: Mesh) -> None:
    for namespace, deployment in COLD:
        mesh.restart(namespace, deployment)
    for namespace, app in COLD:
        mesh.wait_until_ready(namespace, app)


def _use_everything(mesh: Mesh) -> None:
    token = mesh.outside.issuer.token()
    mesh.wait_until("people reach the cart", lambda: visit(mesh).status == 200)
    # A proxy that is ready may not know yet that the others are.
    for caller, url in ((CART, ORDERS_URL), (ORDERS, CART_URL)):
        mesh.wait_until(f"{caller} reaches {url}", lambda at=caller, to=url: get(mesh, at, to).status == 200)
    assert get(mesh, CART, ORDERS_URL).json["name"] == "orders"
    assert get(mesh, ORDERS, CART_URL).json["name"] == "cart"
    assert get(mesh, CART, f"http://{API}/").json["name"] == "api"
    assert get(mesh, CART, f"https://{API}/").json["name"] == "api"
    assert tcp(mesh, CART, API, 9000).received == "api\nhello\n"
    assert visit(mesh, "/private", authorization=f"Bearer {token}").status == 200
    assert visit(mesh, "/guarded", x_permit="yes").status == 200
    mesh.wait_until("spans arrive", lambda: market.spans(mesh))
    # A load balancer asks for the gateway's health, and DNS answers that are too long for UDP come by TCP.
    balancer = mesh.load_balancer(*market.INGRESS)
    assert get(mesh, Outside(), f"http://{balancer}:15021/healthz/ready").status == 200
    for source in ASKING:
        assert look_up(mesh, source, API, over="tcp").addresses
    # Istio's own gates still stand.
    assert visit(mesh, "/private").status == 403
    assert (
        visit(mesh, "/private", authorization=f"Bearer {mesh.outside.issuer.token(lasts=-3600)}").status
        == 401
    )
    assert visit(mesh, "/guarded").status == 403


def test_nothing_else_is_open(mesh: Mesh, allowed: Policies) -> None:
    """What no object declares stays denied, so that what works above works by the policies."""
    street = mesh.namespace({})  # It is not denied anything.
    mesh.apply(*client(street, "stranger"))
    mesh.wait_until_ready(street, "stranger")
    mesh.settled()
    (cart,) = mesh.pods(MARKET, "app=cart")
    at_cart = cart["status"]["podIP"]
    mesh.enforcement.forget_refused()
    assert get(mesh, Inside(street, "stranger"), CART_URL).status is None
    assert (at_cart, HTTP) in _refused(mesh)
    assert get(mesh, ORDERS, f"http://{API}/").status == 503
    assert (OUTSIDE_API, 80) in _refused(mesh)
    assert tcp(mesh, ORDERS, f"cart.{MARKET}.svc.cluster.local", TCP).received == ""
    assert (at_cart, TCP) in _refused(mesh)
    assert tcp(mesh, Outside(), OUTSIDE_API, API_UNNAMED).received == "api\nhello\n"
    assert tcp(mesh, CART, OUTSIDE_API, API_UNNAMED).received == ""
    assert (OUTSIDE_API, API_UNNAMED) in _refused(mesh)


def _refused(mesh: Mesh) -> set[tuple[str, int]]:
    """Where packets were to go that were refused since they were last forgotten."""
    return {(packet.destination, packet.port) for packet in mesh.enforcement.refused()}


@proves(FlowKind.CLIENT_TO_GATEWAY, "connect-denied", "connect-timed-out")
def test_without_client_to_gateway_people_do_not_connect(
    mesh: Mesh, allowed: Policies, kind: FlowKind, symptoms: tuple[str, ...]
) -> None:
    denied, silent = symptoms
    with allowed.without(kind):
        assert shown(visit(mesh).seen) == {denied}
        with mesh.enforcement.refusing(Style.DROP):
            assert shown(visit(mesh, timeout=2).seen) == {silent}
    assert visit(mesh).status == 200


@proves(FlowKind.GATEWAY_TO_WORKLOAD, "connect-refused", "request-timeout")
def test_without_gateway_to_workload_people_get_503_or_504(
    mesh: Mesh, allowed: Policies, kind: FlowKind, symptoms: tuple[str, ...]
) -> None:
    no_connection, no_answer = symptoms
    with allowed.without(kind):
        refused = visit(mesh)
        assert (refused.status, shown(refused.seen)) == (503, {no_connection})
        with mesh.enforcement.refusing(Style.DROP):
            silent = visit(mesh)
            assert (silent.status, shown(silent.seen)) == (504, {no_answer})
    assert visit(mesh).status == 200


@proves(FlowKind.WORKLOAD_TO_WORKLOAD, "connect-refused")
def test_without_workload_to_workload_sidecars_get_503_in_both_directions(
    mesh: Mesh, allowed: Policies, kind: FlowKind, symptoms: tuple[str, ...]
) -> None:
    (symptom,) = symptoms
    with allowed.without(kind):
        for caller, url in ((CART, ORDERS_URL), (ORDERS, CART_URL)):
            refused = get(mesh, caller, url)
            assert (refused.status, shown(refused.seen)) == (503, {symptom})
    for caller, url in ((CART, ORDERS_URL), (ORDERS, CART_URL)):
        assert get(mesh, caller, url).status == 200


@proves(FlowKind.WORKLOAD_TO_EXTERNAL, "connect-refused", "connection-reset")
def test_without_workload_to_external_http_gets_503_and_tcp_a_reset(
    mesh: Mesh, allowed: Policies, kind: FlowKind, symptoms: tuple[str, ...]
) -> None:
    no_connection, reset = symptoms
    with allowed.without(kind):
        refused = get(mesh, CART, f"http://{API}/")
        assert (refused.status, shown(refused.seen)) == (503, {no_connection})
        assert shown(get(mesh, CART, f"https://{API}/").seen) == {reset}
        cut = tcp(mesh, CART, API, 9000)
        assert (cut.received, bool(cut.failure)) == ("", True)
    assert get(mesh, CART, f"https://{API}/").status == 200
    assert tcp(mesh, CART, API, 9000).received == "api\nhello\n"


@proves(FlowKind.EXT_AUTHZ, "authorizer-not-reached")
def test_without_ext_authz_guarded_paths_get_403(
    mesh: Mesh, allowed: Policies, kind: FlowKind, symptoms: tuple[str, ...]
) -> None:
    (symptom,) = symptoms
    with allowed.without(kind):
        refused = visit(mesh, "/guarded", x_permit="yes")
        assert (refused.status, refused.body) == (403, "")
        mesh.wait_until("the access log tells", lambda: "ext_authz_error" in _access_log(mesh, "/guarded"))
        assert shown(_access_log(mesh, "/guarded")) == {symptom}
        assert visit(mesh, "/").status == 200
    assert visit(mesh, "/guarded", x_permit="yes").status == 200


@proves(FlowKind.TRACING, "spans-dropped")
def test_without_tracing_requests_succeed_and_spans_are_lost(
    mesh: Mesh, allowed: Policies, kind: FlowKind, symptoms: tuple[str, ...]
) -> None:
    (symptom,) = symptoms
    with allowed.without(kind):
        before = _failed_connects(mesh)
        assert visit(mesh, "/lost").status == 200
        mesh.wait_until("the proxy counts", lambda: _failed_connects(mesh) not in {"", before})
        assert shown(_failed_connects(mesh)) == {symptom}
    assert visit(mesh, "/found").status == 200
    mesh.wait_until("the span arrives", lambda: "/found" in mesh.logs(GUARD, "collector", "app"))
    assert "/lost" not in mesh.logs(GUARD, "collector", "app")


@proves(FlowKind.ISTIOD_TO_JWKS, "keys-wrong", "keys-not-fetched")
def test_without_istiod_to_jwks_valid_tokens_get_401_after_a_restart(
    mesh: Mesh, allowed: Policies, kind: FlowKind, symptoms: tuple[str, ...]
) -> None:
    for_people, in_log = symptoms
    with allowed.without(kind):
        assert _private(mesh).status == 200  # istiod has the keys, until it restarts
        mesh.restart("istio-system", "istiod")
        mesh.wait_until("the token is refused", lambda: _private(mesh).status == 401)
        assert shown(_private(mesh).seen) == {for_people}
        assert in_log in shown(mesh.logs("istio-system", "istiod", "discovery"))
    mesh.restart("istio-system", "istiod")
    mesh.wait_until("the token is accepted", lambda: _private(mesh).status == 200)


def _private(mesh: Mesh) -> Answer:
    return visit(mesh, "/private", authorization=f"Bearer {mesh.outside.issuer.token()}")


def _access_log(mesh: Mesh, path: str) -> str:
    """The last line on a path in the log of the cart's proxy."""
    lines = mesh.logs(MARKET, "cart").splitlines()
    return next((line for line in reversed(lines) if f" {path} " in line), "")


def _failed_connects(mesh: Mesh) -> str:
    """The counters of failed connections to the collector, as Envoy's administration page has them."""
    page = mesh.run(MARKET, "cart", "curl", "--silent", "http://127.0.0.1:15000/clusters").stdout
    lines = [line for line in page.splitlines() if "collector" in line and "cx_connect_fail" in line]
    return "\n".join(line for line in lines if not line.endswith("::0"))
