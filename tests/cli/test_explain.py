"""`istio-netpol explain`."""

from __future__ import annotations

import json

import pytest
from tests.cli.workspace import DENY_ALL, SHOP, Run

SERVICE = """\
---
apiVersion: v1
kind: Service
metadata: {name: front, namespace: shop}
spec:
  selector: {}
  ports: [{name: web, port: 80, targetPort: 8080}]
"""


def test_a_denied_connection_is_exit_code_1(run: Run) -> None:
    """With the verdict first."""
    result = run("explain", "manifests", "--from", "shop/cart", "--to", "shop/db:5432", "--offline")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0] == "shop/cart to shop/db:5432/TCP: denied"


def test_an_allowed_connection_is_exit_code_0(run: Run) -> None:
    """Nothing isolates."""
    result = run("explain", "shop.yaml", "--from", "shop/cart", "--to", "shop/db:5432", "--offline")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "shop/cart to shop/db:5432/TCP: allowed"


def test_json_has_verdict_steps_and_remedy(run: Run) -> None:
    """For scripts."""
    arguments = ("--from", "shop/cart", "--to", "shop/db:5432", "-f", "json", "--offline")
    document = json.loads(run("explain", "manifests", *arguments).stdout)
    assert (document["kind"], document["allowed"]) == ("Explanation", False)
    assert [policy["spec"]["policyTypes"] for policy in document["remedy"]] == [["Egress"], ["Ingress"]]


def test_a_port_can_be_a_name(run: Run) -> None:
    """The name of a container's port."""
    result = run("explain", "shop.yaml", "--from", "192.0.2.1", "--to", "shop/cart:http", "--offline")
    assert result.stdout.splitlines()[0] == "192.0.2.1 to shop/cart:http/TCP: allowed"


def test_an_ipv6_address_stands_in_brackets(run: Run) -> None:
    """Its own colons are not the port's."""
    result = run("explain", "manifests", "--from", "shop/cart", "--to", "[2001:db8::1]:53/udp", "--offline")
    assert result.stdout.splitlines()[0] == "shop/cart to [2001:db8::1]:53/UDP: denied"


def test_pods_that_istiod_deploys_for_a_gateway_are_peers(run: Run) -> None:
    """They are in no manifest, but findings name them; whose they are is said. A workload of the input with
    that name is meant before them."""
    gateway = """\
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}
"""
    text = SHOP + DENY_ALL + gateway
    for source, target in (("shop/edge-istio", "shop/cart:8080"), ("shop/cart", "shop/edge-istio:80")):
        result = run("explain", "-", "--from", source, "--to", target, "--offline", stdin=text)
        assert result.exit_code == 1
        told = "Deployment shop/edge-istio is not in the input: istiod deploys it for Gateway shop/edge"
        assert told in result.stdout
        assert "gateway.networking.k8s.io/gateway-name: edge" in result.stdout
    deployed = SHOP.rpartition("---")[2].replace("name: db, namespace", "name: edge-istio, namespace")
    arguments = ("--from", "shop/edge-istio", "--to", "shop/cart:8080", "--offline")
    result = run("explain", "-", *arguments, stdin=f"{text}---{deployed}")
    assert result.exit_code == 1
    assert "istiod deploys it" not in result.stdout


def test_an_unknown_peer_is_exit_code_2(run: Run) -> None:
    """With the name that was probably meant."""
    result = run("explain", "manifests", "--from", "shop/kart", "--to", "shop/db:5432", "--offline")
    assert result.exit_code == 2
    assert "'shop/kart' names no workload of the input; did you mean shop/Deployment/cart?" in result.stderr


def service(selector: str) -> str:
    return SERVICE.replace("selector: {}", f"selector: {selector}")


@pytest.mark.parametrize(
    "written", ["shop/front:80", "shop/front:web", "front.shop.svc.cluster.local:80", "front.shop:web"]
)
def test_a_service_is_followed_to_its_pods(run: Run, written: str) -> None:
    """By its port's number or name, and by the host that clients use; policies see the port of the pods."""
    text = SHOP + DENY_ALL + service("{app: cart}")
    result = run("explain", "-", "--from", "shop/db", "--to", written, "--offline", stdin=text)
    assert result.exit_code == 1
    assert "is Deployment shop/cart port 8080; policies see the pods' port" in result.stdout


@pytest.mark.parametrize(
    ("whom", "step"),
    [
        ("shop/cart:80", "Service shop/cart port 80 is Deployment shop/cart port 8080"),
        ("shop/Service/cart:80", "Service shop/cart port 80 is Deployment shop/cart port 8080"),
        ("10.96.0.5:80", "10.96.0.5 is an address of Service shop/cart"),
        ("shop/cart:8080", "egress of Deployment shop/db: "),
        ("shop/Deployment/cart:80", "egress of Deployment shop/db: "),
    ],
)
def test_a_service_that_shares_its_name_with_a_workload(run: Run, whom: str, step: str) -> None:
    """The port tells which of the two is meant, unless the kind or a clusterIP does."""
    shared = service("{app: cart}").replace("name: front", "name: cart")
    text = SHOP + DENY_ALL + shared.replace("spec:", "spec:\n  clusterIP: 10.96.0.5")
    arguments = ("--from", "shop/db", "--to", whom, "--offline", "-f", "json")
    document = json.loads(run("explain", "-", *arguments, stdin=text).stdout)
    assert document["steps"][0]["text"].startswith(step)


def test_the_address_of_a_pod_is_the_pod(run: Run) -> None:
    """It is not outside the cluster, and its policies count."""
    pod = """\
---
apiVersion: v1
kind: Pod
metadata: {name: once, namespace: shop, labels: {app: once}}
spec: {containers: [{name: once, image: once}]}
status: {podIP: 10.1.0.5}
"""
    arguments = ("--from", "10.1.0.5", "--to", "shop/cart:8080", "--offline", "-f", "json")
    document = json.loads(run("explain", "-", *arguments, stdin=SHOP + DENY_ALL + pod).stdout)
    assert document["steps"][0]["text"] == "10.1.0.5 is a pod of Pod shop/once"
    assert document["steps"][1]["text"].startswith("egress of Pod shop/once: isolated by shop/default-deny")


def test_an_external_name_is_followed_to_its_host(run: Run) -> None:
    """Policies see the addresses of that host."""
    external = SERVICE.replace("selector: {}", "type: ExternalName\n  externalName: api.example.com")
    result = run(
        "explain", "-", "--from", "shop/cart", "--to", "shop/front:80", "--offline",
        "--address", "api.example.com=192.0.2.7", stdin=SHOP + DENY_ALL + external,
    )  # fmt: skip
    assert result.exit_code == 1
    assert "api.example.com is 192.0.2.7/32" in result.stdout


def test_a_service_port_of_another_protocol_is_another_port(run: Run) -> None:
    """DNS has the same number under TCP and UDP, and often another one in the pods."""
    ports = (
        "[{name: tcp, port: 53, targetPort: 1053}, {name: udp, port: 53, targetPort: 2053, protocol: UDP}]"
    )
    dns = service("{app: db}").replace("[{name: web, port: 80, targetPort: 8080}]", ports)
    arguments = ("--from", "shop/cart", "--to", "shop/front:53/udp", "--offline")
    result = run("explain", "-", *arguments, stdin=SHOP + DENY_ALL + dns)
    assert "Service shop/front port 53 is Deployment shop/db port 2053; " in result.stdout
    assert "kinds of pods" not in result.stdout


def test_a_service_is_denied_where_some_of_its_pods_are(run: Run) -> None:
    """Else every second connection would fail, and nobody would be told why."""
    labelled = SHOP.replace("labels: {app:", "labels: {part: shop, app:")
    deny_db = DENY_ALL.replace("podSelector: {}", "podSelector: {matchLabels: {app: db}}")
    text = labelled + deny_db + service("{part: shop}")
    result = run("explain", "-", "--from", "192.0.2.1", "--to", "shop/front:80", "--offline", stdin=text)
    assert result.exit_code == 1
    assert "Service shop/front port 80 is Deployment shop/db port 8080" in result.stdout
    assert "has 2 kinds of pods; this follows one that is denied, if any is" in result.stdout


def test_a_host_is_its_addresses(run: Run) -> None:
    """The operator's word, in any case; the remedy opens that address."""
    arguments = ("--from", "shop/cart", "--to", "API.example.com.:443", "-f", "json", "--offline")
    result = run("explain", "manifests", *arguments, "--address", "api.Example.com=192.0.2.7")
    document = json.loads(result.stdout)
    assert document["steps"][0]["text"] == "api.example.com is 192.0.2.7/32"
    assert document["remedy"][0]["spec"]["egress"] == [
        {"to": [{"ipBlock": {"cidr": "192.0.2.7/32"}}], "ports": [{"protocol": "TCP", "port": 443}]}
    ]


@pytest.mark.parametrize(
    ("short", "full"),
    [
        (("--from", "cart", "--to", "db:5432"), ("--from", "shop/cart", "--to", "shop/db:5432")),
        (("--from", "192.0.2.9", "--to", "cart:http"), ("--from", "192.0.2.9", "--to", "shop/cart:http")),
        (("--from", "shop/cart", "--to", "[2001:db8::1]:443"),) * 2,
        (("--from", "cart", "--to", "api.example.com:443", "--address", "api.example.com=192.0.2.7"),
         ("--from", "shop/cart", "--to", "api.example.com:443", "--address", "api.example.com=192.0.2.7")),
        (("--workload", "cart"), ("--workload", "shop/cart")),
    ],
)  # fmt: skip
def test_a_name_alone_is_in_the_namespace_that_is_named(
    run: Run, short: tuple[str, ...], full: tuple[str, ...]
) -> None:
    """As for kubectl; addresses and hosts stay what they are, and without -n a name alone is refused."""
    named = run("explain", "manifests", "-n", "shop", *short, "--offline")
    assert named.stdout == run("explain", "manifests", *full, "--offline").stdout != ""
    if short != full:
        assert run("explain", "manifests", *short, "--offline").exit_code == 2


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        (
            "api.example.com:443",
            "api.example.com does not resolve (DNS was not asked, because of --offline); "
            "name its addresses with --address api.example.com=IP",
        ),
        ("10.0.0.0/8:443", "'10.0.0.0/8' is a range of addresses; name one address of it"),
        ("cart:80", "'cart' is not a peer; a peer is namespace/workload, namespace/Kind/workload, "
                    "namespace/pod or an IP address; what is called can also be namespace/service or a "
                    "host such as api.example.com"),
    ],
)  # fmt: skip
def test_a_destination_that_nobody_knows_is_refused(run: Run, written: str, sentence: str) -> None:
    """With what to write instead."""
    result = run("explain", "manifests", "--from", "shop/cart", "--to", written, "--offline")
    assert result.exit_code == 2
    assert result.stderr == f"arguments: {sentence}\nnothing was done\n"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("shop/db", "'shop/db' names no port; write WHOM:PORT, for example shop/cart:8080"),
        (":80", "':80' names no port; write WHOM:PORT, for example shop/cart:8080"),
        ("shop/db:0", "port 0 is not between 1 and 65535"),
        ("shop/db:65536", "port 65536 is not between 1 and 65535"),
        ("shop/db:" + "9" * 5000, f"port {'9' * 20} is not between 1 and 65535"),
        ("shop/db:80/ICMP", "'ICMP' is not a protocol; use TCP, UDP or SCTP"),
        ("[2001:db8::1]", "'[2001:db8::1]' names no port; write WHOM:PORT, for example shop/cart:8080"),
    ],
)
def test_a_destination_that_is_none_is_refused(run: Run, value: str, sentence: str) -> None:
    """Before anything is read."""
    result = run("explain", "gone.yaml", "--from", "shop/cart", "--to", value)
    assert result.exit_code == 2
    assert f"Error: Invalid value for '--to': {sentence}\n" in result.stderr
