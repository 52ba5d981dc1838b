"""An address that is the cluster's own stands for the pods behind it, wherever it is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from istio_netpol.cli.main import program

CLUSTER_IP, EXTERNAL, BALANCER, PROXY, POD, NODE = (
    "10.96.7.7", "198.51.100.7", "203.0.113.50", "203.0.113.60", "10.244.0.7", "192.168.0.9",
)  # fmt: skip
WORLD = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: shop, labels: {{istio-injection: enabled}}}}
---
apiVersion: v1
kind: Node
metadata: {{name: worker}}
status: {{addresses: [{{type: InternalIP, address: {NODE}}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: istiod, namespace: istio-system, labels: {{app: istiod, istio: pilot}}}}
spec: {{containers: [{{name: discovery, image: i}}]}}
---
apiVersion: v1
kind: Pod
metadata:
  name: login-0
  namespace: istio-system
  labels: {{app: login}}
spec: {{containers: [{{name: login, image: i, ports: [{{containerPort: 8080}}]}}]}}
status: {{podIP: {POD}}}
---
apiVersion: v1
kind: Service
metadata: {{name: login, namespace: istio-system, annotations: {{istio-netpol.io/called-by: "shop/*"}}}}
spec:
  type: LoadBalancer
  clusterIP: {CLUSTER_IP}
  externalIPs: [{EXTERNAL}]
  selector: {{app: login}}
  ports: [{{port: 443, targetPort: 8080, nodePort: 30443}}]
status:
  loadBalancer: {{ingress: [{{ip: {BALANCER}, ipMode: VIP}}, {{ip: {PROXY}, ipMode: Proxy}}]}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: closed, namespace: shop}}
spec: {{podSelector: {{}}, policyTypes: [Egress]}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: closed, namespace: istio-system}}
spec: {{podSelector: {{matchLabels: {{app: istiod}}}}, policyTypes: [Egress]}}
"""
OWN = [(CLUSTER_IP, 443), (EXTERNAL, 443), (BALANCER, 443), (NODE, 30443), (POD, 8080)]
LOGIN = ("Pod", "istio-system", "login-0", 8080)


def cart(calls: str = "") -> str:
    return f"""
apiVersion: v1
kind: Pod
metadata:
  name: cart
  namespace: shop
  labels: {{app: cart}}
  annotations: {{istio-netpol.io/calls: "{calls}"}}
spec: {{containers: [{{name: cart, image: i}}]}}
"""


def entry(address: str, port: int, **spec: Any) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "ServiceEntry",
            "metadata": {"name": "login", "namespace": "shop"},
            "spec": {
                "hosts": ["login.example"],
                "ports": [{"number": port, "name": "tls", "protocol": "TLS"}],
                **spec,
            },
        }
    )


def jwks(url: str) -> str:
    return f"""
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: jwt, namespace: istio-system}}
spec: {{jwtRules: [{{issuer: i, jwksUri: "{url}"}}]}}
"""


def mesh_config(address: str, port: int) -> str:
    config = f'enableTracing: true\ndefaultConfig: {{tracing: {{zipkin: {{address: "{address}:{port}"}}}}}}'
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "istio", "namespace": "istio-system"},
            "data": {"mesh": config},
        }
    )


WRITTEN = {
    "calls": lambda address, port: (cart(f"{address}:{port}"), ()),
    "an endpoint": lambda address, port: (
        cart() + "---\n" + entry(address, port, resolution="STATIC", endpoints=[{"address": address}]), (),
    ),
    "addresses": lambda address, port: (
        cart() + "---\n" + entry(address, port, resolution="NONE", addresses=[f"{address}/32"]), (),
    ),
    "a host": lambda address, port: (
        cart() + "---\n" + entry(address, port, resolution="DNS"), ("--address", f"login.example={address}"),
    ),
    "keys by address": lambda address, port: (jwks(f"https://{address}:{port}/keys"), ()),
    "keys by host": lambda address, port: (
        jwks(f"https://sso.example:{port}/keys"), ("--address", f"sso.example={address}"),
    ),
    "tracing": lambda address, port: (cart() + "---\n" + mesh_config(address, port), ()),
}  # fmt: skip
"""Each way to write an address, with the arguments that it takes."""


def run(folder: Path, text: str, *arguments: str) -> tuple[int, str]:
    file = folder / "cluster.yaml"
    file.write_text(f"{WORLD}---\n{text}")
    result = CliRunner().invoke(program, [arguments[0], str(file), "--offline", *arguments[1:]])
    return result.exit_code, result.stdout


def found(folder: Path, text: str, *arguments: str) -> list[Any]:
    """What is denied besides DNS, istiod and the API server: where to, and the peers of the remedies."""
    _, output = run(folder, text, "check", "-f", "json", *arguments)
    return [
        (finding["flow"]["destination"], finding["flow"]["port"], finding["remedy"])
        for finding in json.loads(output)["findings"]
        if finding["flow"] and finding["rule"] not in ("dns", "proxy-to-istiod", "to-apiserver")
    ]


@pytest.mark.parametrize("way", WRITTEN)
@pytest.mark.parametrize(("address", "port"), OWN)
def test_own_addresses_are_the_pods_behind_them(way: str, address: str, port: int, tmp_path: Path) -> None:
    """The flow is to the pods on their own port, and so is the remedy."""
    text, arguments = WRITTEN[way](address, port)
    ((destination, number, remedies),) = found(tmp_path, text, *arguments)
    assert (destination["kind"], destination["namespace"], destination["name"], number) == LOGIN
    assert "ipBlock" not in str(remedies)
    assert "'app': 'login'" in str(remedies)


@pytest.mark.parametrize("way", ["calls", "an endpoint", "a host", "keys by host"])
def test_a_load_balancer_that_packets_go_out_to_is_an_address(way: str, tmp_path: Path) -> None:
    """With ipMode Proxy the node does not answer in its place."""
    text, arguments = WRITTEN[way](PROXY, 443)
    ((destination, number, _),) = found(tmp_path, text, *arguments)
    assert (destination["cidr"], number) == (f"{PROXY}/32", 443)


@pytest.mark.parametrize(("address", "port"), OWN)
def test_explain_follows_an_address_to_its_pods(address: str, port: int, tmp_path: Path) -> None:
    """As it follows the name of the Service."""
    arguments = ("--from", "shop/cart", "--to", f"{address}:{port}", "-f", "json")
    code, output = run(tmp_path, cart(), "explain", *arguments)
    assert code == 1
    assert "no rule allows TCP 8080 for Pod istio-system/login-0" in output
    assert "ipBlock" not in output


def test_a_host_beside_the_cluster_keeps_its_other_addresses(tmp_path: Path) -> None:
    """Each address for itself."""
    text, _ = WRITTEN["keys by host"](BALANCER, 443)
    flows = found(tmp_path, text, "--address", f"sso.example={BALANCER},203.0.113.99")
    assert sorted(str(destination.get("cidr", destination.get("name"))) for destination, _, _ in flows) == [
        "203.0.113.99/32",
        "login-0",
    ]


def test_external_ips_that_another_tenant_claims_are_not_heeded(tmp_path: Path) -> None:
    """Anybody may write them: they lead nobody else's pods."""
    claim = """
apiVersion: v1
kind: Service
metadata: {name: claim, namespace: evil}
spec: {externalIPs: [203.0.113.7], selector: {app: evil}, ports: [{port: 443, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: evil, namespace: evil, labels: {app: evil}}
spec: {containers: [{name: evil, image: i}]}
"""
    ((destination, _, _),) = found(tmp_path, cart("203.0.113.7:443") + "---" + claim)
    assert destination["cidr"] == "203.0.113.7/32"


def test_a_public_address_that_another_tenants_pod_claims_is_not_heeded(tmp_path: Path) -> None:
    """Its status may lie."""
    claim = """
apiVersion: v1
kind: Pod
metadata: {name: evil, namespace: evil, labels: {app: evil}}
spec: {containers: [{name: evil, image: i}]}
status: {podIP: 203.0.113.7}
"""
    flows = found(tmp_path, cart("203.0.113.7:443") + "---" + claim)
    assert flows
    assert "evil" not in str(flows)


def test_diff_tells_that_a_host_is_reached_now(tmp_path: Path) -> None:
    """Though what is needed names the host, and what is opened the pods."""
    text, arguments = WRITTEN["keys by host"](BALANCER, 443)
    _, opened = run(tmp_path, text, "generate", *arguments)
    for name, more in (("old", ""), ("new", opened)):
        (tmp_path / f"{name}.yaml").write_text(f"{WORLD}---\n{text}---\n{more}")
    files = (str(tmp_path / "old.yaml"), str(tmp_path / "new.yaml"))
    result = CliRunner().invoke(program, ["diff", *files, "--offline", "-f", "json", *arguments])
    gained = {finding["rule"] for finding in json.loads(result.stdout)["flowsGained"]}
    assert "istiod-to-jwks" in gained


def test_pods_of_others_have_to_agree(tmp_path: Path) -> None:
    """An address opens no more than the name of the Service would."""
    closed = """
apiVersion: v1
kind: Service
metadata: {name: db, namespace: bank}
spec: {clusterIP: 10.96.9.9, selector: {app: db}, ports: [{port: 5432}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: bank, labels: {app: db}}
spec: {containers: [{name: db, image: i}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: bank}
spec: {podSelector: {}, policyTypes: [Ingress]}
"""
    text = cart("10.96.9.9:5432") + "---" + closed
    _, output = run(tmp_path, text, "check", "-f", "json")
    assert "consent-missing" in {finding["rule"] for finding in json.loads(output)["findings"]}
    _, policies = run(tmp_path, text, "generate")
    assert "namespace: bank" not in policies
