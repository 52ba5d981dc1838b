"""The connections of the control plane: all of them suffice, and each is needed.

The kiosk and Istio itself are under a deny-all, with what `istio-netpol generate` prints for them alone.
Each test leaves out the policies of one kind, starts anew what they are for, sees the symptom as
docs/symptoms.md has it, and sees it gone.
"""

from __future__ import annotations

import copy
import itertools
import sys
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest
from tests.mesh import manifests
from tests.mesh.connections import noted
from tests.mesh.enforcement.protocol import Style
from tests.mesh.istio import INGRESS, ROOT, has_proxy
from tests.mesh.metrics import address, scraped
from tests.mesh.necessity import Policies, kind_of, proves, shown
from tests.mesh.opened_ports import unused
from tests.mesh.topology import SERVICE_RANGE
from tests.mesh.traffic import Answer, Inside, Outside, get, look_up
from tests.tools.programs import located

from istio_netpol.model.flows import FlowKind

if TYPE_CHECKING:
    from tests.mesh.mesh import Mesh

pytestmark = pytest.mark.xdist_group("mesh")

KIOSK, MONITORING = "kiosk", "monitoring"
HOST = "kiosk.example.test"
CART = "cart"
COLD = ((ROOT, "istiod"), (ROOT, INGRESS), (KIOSK, CART))
SCRAPER = Inside(MONITORING, "prometheus")
SETTINGS = {"checkScrape": True, "scrapeNamespaces": [MONITORING]}
METRICS = (
    (KIOSK, CART, 15020),
    (KIOSK, CART, 15090),
    (ROOT, INGRESS, 15020),
    (ROOT, INGRESS, 15090),
    (ROOT, "istiod", 15014),
)

ASKING = (Inside(KIOSK, CART), Inside(ROOT, INGRESS), Inside(ROOT, "istiod"))
ISTIOD = "istiod.istio-system.svc.cluster.local"

GATEWAY_PORT = 8080
CONTAINERS = {"istiod": "discovery"}

IN_LOGS = {"dns-refused", "dns-no-answer", "istiod-not-reached"}
"""What the tests look for in logs, and what a log does not show when all is well. That istiod waits for its
objects shows in a slow start as well: there it is the proof that istiod does not become ready."""

MANY = 60
"""Addresses that no datagram of DNS holds."""

TOLD_WITHIN = 120.0


@pytest.fixture(scope="module")
def policies(mesh: Mesh) -> Iterator[Policies]:
    """The kiosk, denied everything, and allowed what was generated."""
    namespaces = [
        manifests.new_namespace(KIOSK, {"istio-injection": "enabled"}),
        manifests.new_namespace(MONITORING),
    ]
    try:
        mesh.apply(*namespaces)
        mesh.apply(*_kiosk())
        for namespace, deployment in (*COLD, (MONITORING, SCRAPER.app)):
            mesh.wait_until_ready(namespace, deployment)
        with Policies(mesh, (ROOT, KIOSK, MONITORING), SETTINGS) as denied:
            denied.deny()
            denied.allow()
            yield denied
    finally:
        mesh.remove_namespaces(KIOSK, MONITORING)


@pytest.fixture
def allowed(mesh: Mesh, policies: Policies) -> Policies:
    """Everything is up."""
    for namespace, deployment in COLD:
        mesh.wait_until_ready(namespace, deployment)
    return policies


def test_all_policies_suffice_from_a_cold_start(mesh: Mesh, allowed: Policies) -> None:
    """Not one packet of the mesh is refused, no port is open that nobody uses, and no log shows a symptom."""
    mesh.enforcement.forget_refused()
    with noted(mesh) as connections:
        for namespace, deployment in COLD:
            mesh.restart(namespace, deployment)
            # A proxy that starts before istiod is ready is refused too, by the Service without endpoints.
            mesh.wait_until_ready(namespace, deployment)
        mesh.wait_until("people reach the cart", lambda: _visit(mesh).status == 200)
        assert _injected(mesh) == ""
        assert [scraped(mesh, SCRAPER, *target).status for target in METRICS] == [200] * len(METRICS)
        assert _balancer_sees(mesh) == 200
        # Large answers come by TCP, and istiod asks for hosts of keys alone, of which the kiosk has none.
        for source, over in itertools.product(ASKING, ("udp", "tcp")):
            assert look_up(mesh, source, ISTIOD, over=over).addresses
        assert unused(mesh, allowed.generated, connections.so_far()) == set()
    assert [packet for packet in mesh.enforcement.refused() if not _is_service(packet.destination)] == []
    logs = {app: mesh.logs(namespace, app, CONTAINERS.get(app, "istio-proxy")) for namespace, app in COLD}
    assert all(logs.values())
    assert {app: shown(log) & IN_LOGS for app, log in logs.items()} == {app: set() for app in logs}


@proves(FlowKind.DNS, "dns-no-answer")
def test_without_dns_by_tcp_large_answers_do_not_come(
    mesh: Mesh, allowed: Policies, kind: FlowKind, symptoms: tuple[str, ...]
) -> None:
    """An answer that does not fit in a datagram comes cut off, and is asked for again by TCP."""
    mesh.apply(*_of_many_addresses("many"))
    name = f"many.{KIOSK}.svc.cluster.local"
    mesh.wait_until("all addresses are known", lambda: _resolved(mesh, name) == f"{MANY}\n")
    complete = [policy for policy in allowed.generated if kind_of(policy) == kind]
    mesh.apply(*map(_by_udp_alone, complete))
    try:
        mesh.settled()
        assert shown(_resolved(mesh, name)) == set(symptoms)
    finally:
        mesh.apply(*complete)
        mesh.settled()
    assert _resolved(mesh, name) == f"{MANY}\n"


@pytest.mark.parametrize(
    ("kind", "symptoms", "style", "namespace", "app"),
    [
        (FlowKind.DNS, ("dns-refused",), Style.REJECT, KIOSK, CART),
        (FlowKind.DNS, ("dns-no-answer",), Style.DROP, ROOT, INGRESS),
        (FlowKind.PROXY_TO_ISTIOD, ("istiod-not-reached",), Style.REJECT, KIOSK, CART),
        (FlowKind.PROXY_TO_ISTIOD, ("istiod-not-reached",), Style.DROP, KIOSK, CART),
    ],
)
def test_without_dns_or_istiod_a_proxy_does_not_become_ready(
    mesh: Mesh,
    allowed: Policies,
    kind: FlowKind,
    symptoms: tuple[str, ...],
    style: Style,
    namespace: str,
    app: str,
) -> None:
    """The proxy's own log says why."""
    with mesh.enforcement.refusing(style), allowed.without(kind):
        mesh.restart(namespace, app)
        for symptom in symptoms:
            _wait_for_log(mesh, namespace, app, symptom)
        assert not mesh.ready(namespace, app)
    mesh.restart(namespace, app)
    mesh.wait_until_ready(namespace, app)


@proves(FlowKind.GATEWAY_TO_ISTIOD, "istiod-not-reached", "connect-denied")
def test_without_gateway_to_istiod_a_gateway_opens_no_port(
    mesh: Mesh, allowed: Policies, kind: FlowKind, symptoms: tuple[str, ...]
) -> None:
    """People are let through to the pod, by its own address, and nobody listens there."""
    in_log, for_people = symptoms
    with allowed.without(kind):
        mesh.restart(ROOT, INGRESS)
        _wait_for_log(mesh, ROOT, INGRESS, in_log)
        assert not mesh.ready(ROOT, INGRESS)
        mesh.enforcement.forget_refused()
        assert shown(_visit_pod(mesh).seen) == {for_people}
        assert GATEWAY_PORT not in {packet.port for packet in mesh.enforcement.refused()}
    mesh.restart(ROOT, INGRESS)
    mesh.wait_until_ready(ROOT, INGRESS)
    mesh.wait_until("people reach the cart at the pod", lambda: _visit_pod(mesh).status == 200)


@proves(FlowKind.TO_APISERVER, "istiod-waits-for-sync")
def test_without_to_apiserver_istiod_waits_for_its_objects(
    mesh: Mesh, allowed: Policies, kind: FlowKind, symptoms: tuple[str, ...]
) -> None:
    (symptom,) = symptoms
    with allowed.without(kind):
        mesh.restart(ROOT, "istiod")
        _wait_for_log(mesh, ROOT, "istiod", symptom, "discovery")
        assert not mesh.ready(ROOT, "istiod")
    mesh.restart(ROOT, "istiod")
    mesh.wait_until_ready(ROOT, "istiod")


@proves(FlowKind.WEBHOOK_FROM_APISERVER, "webhook-refused", "webhook-no-answer")
def test_without_webhook_from_apiserver_no_pod_is_made(
    mesh: Mesh, allowed: Policies, kind: FlowKind, symptoms: tuple[str, ...]
) -> None:
    """Where the injector's word is needed. Its configuration says that a pod is refused if it is silent.

    The API server keeps the connection that it has, so istiod is started anew."""
    refused, silent = symptoms
    with allowed.without(kind):
        mesh.restart(ROOT, "istiod")
        mesh.wait_until_ready(ROOT, "istiod")
        mesh.settled()
        assert shown(_injected(mesh)) == {refused}
        with mesh.enforcement.refusing(Style.DROP):
            assert shown(_injected(mesh)) == {silent}
    mesh.wait_until("pods are injected", lambda: _injected(mesh) == "")


@proves(FlowKind.SCRAPE, "scrape-failed")
def test_without_scrape_metrics_are_out_of_reach(
    mesh: Mesh, allowed: Policies, kind: FlowKind, symptoms: tuple[str, ...]
) -> None:
    """promtool prints what Prometheus shows of a target that is down."""
    with allowed.without(kind):
        for target in METRICS:
            assert scraped(mesh, SCRAPER, *target).status is None
            assert shown(_failed_scrape(mesh, *target)) == set(symptoms)
    assert [scraped(mesh, SCRAPER, *target).status for target in METRICS] == [200] * len(METRICS)


def _kiosk() -> list[manifests.Manifest]:
    route = {"destination": {"host": CART, "port": {"number": 80}}}
    spec = {"hosts": [HOST], "gateways": ["public"], "http": [{"route": [route]}]}
    return [
        *manifests.echo(KIOSK, CART),
        manifests.gateway(KIOSK, "public", [manifests.http_server(80, HOST)]),
        manifests.virtual_service(KIOSK, CART, spec),
        *manifests.client(MONITORING, SCRAPER.app),
    ]


def _visit(mesh: Mesh) -> Answer:
    return get(mesh, Outside(), f"http://{mesh.load_balancer(ROOT, INGRESS)}/", headers={"Host": HOST})


def _visit_pod(mesh: Mesh) -> Answer:
    """What comes of going past the Service, which has no endpoints while the gateway is not ready."""
    url = f"http://{address(mesh, ROOT, INGRESS)}:{GATEWAY_PORT}/"
    return get(mesh, Outside(), url, headers={"Host": HOST})


def _of_many_addresses(name: str) -> list[manifests.Manifest]:
    """A headless Service without pods."""
    metadata = {"name": name, "namespace": KIOSK, "labels": {"kubernetes.io/service-name": name}}
    port = {"name": "http", "port": 80, "protocol": "TCP"}
    endpoints = [
        {"addresses": [f"203.0.113.{number}"], "conditions": {"ready": True}}
        for number in range(100, 100 + MANY)
    ]
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"clusterIP": "None", "ports": [port]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": metadata,
            "addressType": "IPv4",
            "ports": [port],
            "endpoints": endpoints,
        },
    ]


def _by_udp_alone(policy: manifests.Manifest) -> manifests.Manifest:
    changed = copy.deepcopy(policy)
    for rule in changed["spec"]["egress"]:
        rule["ports"] = [port for port in rule["ports"] if port["protocol"] == "UDP"]
    return changed


def _resolved(mesh: Mesh, name: str) -> str:
    """What a Python program in the cart's network prints: how many addresses a name has, or its error."""
    program = "import socket, sys; print(len(socket.getaddrinfo(sys.argv[1], 80, type=socket.SOCK_STREAM)))"
    done = mesh.run(KIOSK, CART, sys.executable, "-c", program, name)
    return done.stdout or done.stderr


def _wait_for_log(mesh: Mesh, namespace: str, app: str, symptom: str, container: str = "istio-proxy") -> None:
    mesh.wait_until(
        f"the log of {namespace}/{app} shows {symptom}",
        lambda: symptom in shown(mesh.logs(namespace, app, container)),
        TOLD_WITHIN,
    )


def _injected(mesh: Mesh) -> str:
    """What a person is told who makes a pod that is to have a sidecar; empty where it gets one."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "new", "namespace": KIOSK},
        "spec": {"containers": [{"name": "app", "image": "app"}]},
    }
    made = mesh.kubectl.apply(pod, options=("--dry-run=server", "--output=json"))
    if made.code:
        return made.stderr
    assert has_proxy(made.json)
    return ""


def _failed_scrape(mesh: Mesh, namespace: str, app: str, port: int) -> str:
    """What Prometheus' own program says of a target that it does not reach."""
    target = f"http://{address(mesh, namespace, app)}:{port}"
    done = mesh.run(MONITORING, SCRAPER.app, located("promtool"), "debug", "metrics", target)
    assert done.returncode != 0, done.stdout
    return done.stderr


def _balancer_sees(mesh: Mesh) -> int | None:
    """The answer to the health check of a load balancer in front of the gateway."""
    return get(mesh, Outside(), f"http://{mesh.load_balancer(ROOT, INGRESS)}:15021/healthz/ready").status


def _is_service(address: str) -> bool:
    """Whether a packet was on its way to a Service without ready pods, which no policy judges."""
    return ip_address(address) in ip_network(SERVICE_RANGE)
