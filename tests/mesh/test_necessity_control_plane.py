"""The connections of the control plane: all of them suffice, and each is needed.

The bazaar and Istio itself are under a deny-all, with what `istio-netpol generate` prints for them alone.
Each test leaves out the policies of one kind, starts anew what they are for, sees the symptom as
docs/symptoms.md has it, and sees it gone.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import sys
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest
from tests.mesh import manifests
from tests.mesh.connections import Connections, noted
from tests.mesh.istio import INGRESS, ROOT, has_proxy
from tests.mesh.necessity import Policies, kind_of, shown
from tests.mesh.topology import SERVICE_RANGE
from tests.mesh.traffic import Answer, Inside, Outside, get, look_up
from tests.tools.programs import located

if TYPE_CHECKING:
    from tests.mesh.mesh import Mesh

pytestmark = pytest.mark.xdist_group("mesh")

BAZAAR, MONITORING = "bazaar", "monitoring"
HOST = "bazaar.example.test"
CART = "cart"
COLD = ((ROOT, "istiod"), (ROOT, INGRESS), (BAZAAR, CART))
SETTINGS = {"checkScrape": True, "scrapeNamespaces": [MONITORING]}
METRICS = (
    (BAZAAR, CART, 15020),
    (BAZAAR, CART, 15090),
    (ROOT, INGRESS, 15020),
    (ROOT, INGRESS, 15090),
    (ROOT, "istiod", 15014),
)

ASKING = (Inside(BAZAAR, CART), Inside(ROOT, INGRESS), Inside(ROOT, "istiod"))
ISTIOD = "istiod.istio-system.svc.cluster.local"

MANY = 60
"""Addresses that no datagram of DNS holds."""

READY_WITHIN = 120.0


@pytest.fixture(scope="module")
def policies(mesh: Mesh) -> Iterator[Policies]:
    """The bazaar, denied everything, and allowed what was generated."""
    namespaces = [_namespace(BAZAAR, {"istio-injection": "enabled"}), _namespace(MONITORING, {})]
    denied = Policies(mesh, (ROOT, BAZAAR, MONITORING), SETTINGS)
    mesh.apply(*namespaces)
    mesh.apply(*_bazaar())
    _wait_for(mesh, *COLD, (MONITORING, "prometheus"))
    denied.deny()
    denied.allow()
    try:
        yield denied
    finally:
        denied.remove()
        mesh.delete(*namespaces)


@pytest.fixture
def allowed(mesh: Mesh, policies: Policies) -> Policies:
    """Everything is up."""
    _wait_for(mesh, *COLD)
    return policies


def test_all_policies_suffice_from_a_cold_start(mesh: Mesh, allowed: Policies) -> None:
    """Not one packet of the mesh is refused, and no port is open that nobody uses."""
    mesh.enforcement.forget_refused()
    with noted(mesh) as connections:
        for namespace, deployment in COLD:
            mesh.restart(namespace, deployment)
        _wait_for(mesh, *COLD)
        mesh.wait_until("people reach the cart", lambda: _visit(mesh).status == 200)
        assert _injected(mesh) == ""
        for target in METRICS:
            assert _scraped(mesh, *target) == ""
        assert _balancer_sees(mesh) == 200
        # Large answers come by TCP, and istiod asks for hosts of keys alone, of which the bazaar has none.
        for source, over in itertools.product(ASKING, ("udp", "tcp")):
            assert look_up(mesh, source, ISTIOD, over=over).addresses
        assert _unused(mesh, allowed, connections) == []
    assert [packet for packet in mesh.enforcement.refused() if not _is_service(packet.destination)] == []


def test_without_dns_by_tcp_large_answers_do_not_come(mesh: Mesh, allowed: Policies) -> None:
    """An answer that does not fit in a datagram comes cut off, and is asked for again by TCP."""
    mesh.apply(*_of_many_addresses("many"))
    name = f"many.{BAZAAR}.svc.cluster.local"
    mesh.wait_until("all addresses are known", lambda: _resolved(mesh, name) == f"{MANY}\n")
    complete = [policy for policy in allowed.generated if kind_of(policy) == "dns"]
    mesh.apply(*map(_by_udp_alone, complete))
    try:
        mesh.settled()
        assert shown(_resolved(mesh, name)) == {"dns-no-answer"}
    finally:
        mesh.apply(*complete)
        mesh.settled()
    assert _resolved(mesh, name) == f"{MANY}\n"


@pytest.mark.parametrize(
    ("style", "namespace", "app", "symptom"),
    [("REJECT", BAZAAR, CART, "dns-refused"), ("DROP", ROOT, INGRESS, "dns-no-answer")],
)
def test_without_dns_a_proxy_does_not_find_istiod(
    mesh: Mesh, allowed: Policies, style: str, namespace: str, app: str, symptom: str
) -> None:
    with _denying(mesh, style), allowed.without("dns"):
        mesh.restart(namespace, app)
        _wait_for_log(mesh, namespace, app, symptom)
        assert not mesh.ready(namespace, app)
    mesh.restart(namespace, app)
    _wait_for(mesh, (namespace, app))


@pytest.mark.parametrize(
    ("kind", "style", "namespace", "app", "row"),
    [
        ("proxy-to-istiod", "REJECT", BAZAAR, CART, "pod-in-init"),
        ("proxy-to-istiod", "DROP", BAZAAR, CART, "pod-in-init"),
        ("gateway-to-istiod", "REJECT", ROOT, INGRESS, "pod-not-ready"),
    ],
)
def test_without_istiod_a_proxy_does_not_become_ready(
    mesh: Mesh, allowed: Policies, kind: str, style: str, namespace: str, app: str, row: str
) -> None:
    """The pod's row, the kubelet's event and the proxy's log all say so."""
    with _denying(mesh, style), allowed.without(kind):
        mesh.restart(namespace, app)
        _wait_for_log(mesh, namespace, app, "istiod-not-reached")
        assert not mesh.ready(namespace, app)
        pods = mesh.kubectl("get", "pods", "--namespace", namespace, "--selector", f"app={app}")
        assert shown(pods.stdout) == {row}
        mesh.wait_until("the probe has failed", lambda: "proxy-probe" in shown(_events(mesh, namespace, app)))
    mesh.restart(namespace, app)
    _wait_for(mesh, (namespace, app))


def test_without_gateway_to_istiod_a_gateway_opens_no_port(mesh: Mesh, allowed: Policies) -> None:
    with allowed.without("gateway-to-istiod"):
        mesh.restart(ROOT, INGRESS)
        assert shown(_visit(mesh).seen) == {"connect-denied"}
    mesh.restart(ROOT, INGRESS)
    _wait_for(mesh, (ROOT, INGRESS))
    mesh.wait_until("people reach the cart", lambda: _visit(mesh).status == 200)


def test_without_to_apiserver_istiod_waits_for_its_objects(mesh: Mesh, allowed: Policies) -> None:
    with allowed.without("to-apiserver"):
        mesh.restart(ROOT, "istiod")
        _wait_for_log(mesh, ROOT, "istiod", "istiod-waits-for-sync", "discovery")
        assert not mesh.ready(ROOT, "istiod")
    mesh.restart(ROOT, "istiod")
    _wait_for(mesh, (ROOT, "istiod"))


def test_without_webhook_from_apiserver_no_pod_is_made(mesh: Mesh, allowed: Policies) -> None:
    """Where the injector's word is needed. Its configuration says that a pod is refused if it is silent."""
    with allowed.without("webhook-from-apiserver"):
        assert shown(_injected(mesh)) == {"webhook-refused"}
        with _denying(mesh, "DROP"):
            assert shown(_injected(mesh)) == {"webhook-no-answer"}
    assert _injected(mesh) == ""


@pytest.mark.parametrize(("namespace", "app", "port"), METRICS)
def test_without_scrape_metrics_are_out_of_reach(
    mesh: Mesh, allowed: Policies, namespace: str, app: str, port: int
) -> None:
    """promtool asks as Prometheus does, and prints what that shows of a target that is down."""
    with allowed.without("scrape"):
        assert shown(_scraped(mesh, namespace, app, port)) == {"scrape-failed"}
    assert _scraped(mesh, namespace, app, port) == ""


def _namespace(name: str, labels: dict[str, str]) -> manifests.Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _bazaar() -> list[manifests.Manifest]:
    route = {"destination": {"host": CART, "port": {"number": 80}}}
    spec = {"hosts": [HOST], "gateways": ["public"], "http": [{"route": [route]}]}
    return [
        *manifests.echo(BAZAAR, CART),
        manifests.gateway(BAZAAR, "public", [manifests.http_server(80, HOST)]),
        manifests.virtual_service(BAZAAR, CART, spec),
        *manifests.client(MONITORING, "prometheus"),
    ]


def _visit(mesh: Mesh) -> Answer:
    return get(mesh, Outside(), f"http://{_balancer(mesh)}/", headers={"Host": HOST})


def _balancer(mesh: Mesh) -> str:
    service = mesh.kubectl("get", "service", INGRESS, "--namespace", ROOT, "--output", "json").json
    (balancer,) = service["status"]["loadBalancer"]["ingress"]
    return str(balancer["ip"])


def _of_many_addresses(name: str) -> list[manifests.Manifest]:
    """A headless Service without pods."""
    metadata = {"name": name, "namespace": BAZAAR, "labels": {"kubernetes.io/service-name": name}}
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
    done = mesh.run(BAZAAR, CART, sys.executable, "-c", program, name)
    return done.stdout or done.stderr


def _wait_for(mesh: Mesh, *apps: tuple[str, str]) -> None:
    for namespace, app in apps:
        mesh.wait_until(
            f"{namespace}/{app} is ready", lambda at=namespace, of=app: mesh.ready(at, of), READY_WITHIN
        )


def _wait_for_log(mesh: Mesh, namespace: str, app: str, symptom: str, container: str = "istio-proxy") -> None:
    mesh.wait_until(
        f"the log of {namespace}/{app} shows {symptom}",
        lambda: symptom in shown(mesh.logs(namespace, app, container)),
        READY_WITHIN,
    )


def _events(mesh: Mesh, namespace: str, app: str) -> str:
    """What the kubelet says of the pods of an app."""
    (pod,) = mesh.pods(namespace, f"app={app}")
    about = f"involvedObject.name={pod['metadata']['name']}"
    messages = "custom-columns=MESSAGE:.message"
    command = ("get", "events", "--namespace", namespace, "--field-selector", about, "--output", messages)
    return mesh.kubectl(*command).stdout


def _injected(mesh: Mesh) -> str:
    """What a person is told who makes a pod that is to have a sidecar; empty where it gets one."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "new", "namespace": BAZAAR},
        "spec": {"containers": [{"name": "app", "image": "app"}]},
    }
    made = mesh.kubectl.apply(pod, options=("--dry-run=server", "--output=json"))
    if made.code:
        return made.stderr
    assert has_proxy(made.json)
    return ""


def _scraped(mesh: Mesh, namespace: str, app: str, port: int) -> str:
    """What is seen of a target that does not answer; empty for one that does."""
    (pod,) = mesh.pods(namespace, f"app={app}")
    target = f"http://{pod['status']['podIP']}:{port}"
    done = mesh.run(MONITORING, "prometheus", located("promtool"), "debug", "metrics", target)
    return done.stderr if "connect" in done.stderr else ""


def _balancer_sees(mesh: Mesh) -> int | None:
    """The answer to the health check of a load balancer in front of the gateway."""
    return get(mesh, Outside(), f"http://{_balancer(mesh)}:15021/healthz/ready").status


def _is_service(address: str) -> bool:
    """Whether a packet was on its way to a Service without ready pods, which no policy judges."""
    return ip_address(address) in ip_network(SERVICE_RANGE)


def _unused(mesh: Mesh, policies: Policies, connections: Connections) -> list[str]:
    """The ports that generated policies open and that nobody has used."""
    used = connections.so_far()
    return [
        f"{kind_of(policy)}: {direction} of {', '.join(selected)} at {port['protocol']} {port['port']}"
        for policy in policies.generated
        for selected in [_addresses(mesh, policy)]
        for direction in ("egress", "ingress")
        for rule in policy["spec"].get(direction, ())
        for port in rule["ports"]
        if not any(
            (one.protocol, one.port) == (port["protocol"], port["port"])
            and (one.source if direction == "egress" else one.destination) in selected
            for one in used
        )
    ]


def _addresses(mesh: Mesh, policy: manifests.Manifest) -> list[str]:
    """Those of the pods that a policy selects."""
    labels = policy["spec"]["podSelector"]["matchLabels"]
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    return [pod["status"].get("podIP", "") for pod in mesh.pods(policy["metadata"]["namespace"], selector)]


@contextlib.contextmanager
def _denying(mesh: Mesh, style: str) -> Iterator[None]:
    """Has denied packets dropped or rejected for as long as the block runs."""
    before = mesh.enforcement.style
    mesh.enforcement.style = style
    try:
        yield
    finally:
        mesh.enforcement.style = before
