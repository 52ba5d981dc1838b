"""Between pods in ambient mode policies see the tunnel: every command and every review goes by it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from tests.admission.state import State

from istio_netpol.cli.main import program

AMBIENT = {"istio.io/dataplane-mode": "ambient"}
SIDECARS = {"istio-injection": "enabled"}
POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: cart, namespace: shop}
spec:
  podSelector: {matchLabels: {app: cart}}
  policyTypes: [Ingress]
  ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: front}}}], ports: PORTS}]
"""
APPLICATION, TUNNEL = {"port": 8080}, {"port": 15008}


def namespace(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def pod(home: str, name: str, calls: str = "", ports: tuple[int, ...] = ()) -> dict[str, Any]:
    annotations = {"istio-netpol.io/calls": calls} if calls else {}
    container = {"name": name, "image": "i", "ports": [{"containerPort": port} for port in ports]}
    metadata = {"name": name, "namespace": home, "labels": {"app": name}, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


def cluster(clients: dict[str, str], servers: dict[str, str], *ports: Any, calls: str = "") -> list[Any]:
    """`front` of one namespace, `cart` of another, and the policy of the latter."""
    policy = yaml.safe_load(POLICY.replace("PORTS", json.dumps(ports)))
    return [
        namespace("clients", **clients),
        namespace("shop", **servers),
        pod("clients", "front", calls),
        pod("shop", "cart", ports=(8080,)),
        policy,
    ]


def run(folder: Path, objects: list[Any], command: str, *arguments: str) -> tuple[int, Any]:
    file = folder / f"{len(list(folder.iterdir()))}.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    result = CliRunner().invoke(program, [command, str(file), "-f", "json", *arguments])
    return result.exit_code, json.loads(result.stdout)


def listed(folder: Path, objects: list[Any]) -> list[tuple[str, int, int]]:
    """What `list` has from front to cart."""
    _, document = run(folder, objects, "list")
    return [
        (port["protocol"], port["from"], port["to"])
        for row in document["connections"]
        if (row["source"], row["destination"]) == ("clients/Pod/front", "shop/Pod/cart")
        for port in row["ports"]
    ]


@pytest.mark.parametrize(
    ("clients", "servers", "ports", "allowed", "open_ports"),
    [
        (AMBIENT, AMBIENT, [APPLICATION], False, []),
        (AMBIENT, AMBIENT, [TUNNEL], True, [("TCP", 1, 65535)]),
        (AMBIENT, AMBIENT, [{"port": 8000, "endPort": 16000}], True, [("TCP", 1, 65535)]),
        (SIDECARS, AMBIENT, [APPLICATION], False, []),
        (AMBIENT, SIDECARS, [APPLICATION], False, []),
        ({}, AMBIENT, [APPLICATION], True, [("TCP", 8080, 8080)]),
        ({}, AMBIENT, [TUNNEL], False, [("TCP", 15008, 15008)]),
        (SIDECARS, SIDECARS, [APPLICATION], True, [("TCP", 8080, 8080)]),
        (AMBIENT, {}, [APPLICATION], True, [("TCP", 8080, 8080)]),
        (AMBIENT, AMBIENT, [{"port": 8080, "protocol": "UDP"}], False, [("UDP", 8080, 8080)]),
    ],
)
def test_the_port_on_the_wire_decides(
    clients: dict[str, str],
    servers: dict[str, str],
    ports: list[Any],
    allowed: bool,
    open_ports: list[tuple[str, int, int]],
    tmp_path: Path,
) -> None:
    """Both ends have to be in the mesh, one of them in ambient mode; then 15008 stands for every TCP port."""
    objects = cluster(clients, servers, *ports)
    arguments = ("--from", "clients/front", "--to", "shop/cart:8080", "--offline")
    code, explained = run(tmp_path, objects, "explain", *arguments)
    assert (code, explained["allowed"]) == (0 if allowed else 1, allowed)
    assert listed(tmp_path, objects) == open_ports


def test_the_remedy_of_explain_opens_the_tunnel(tmp_path: Path) -> None:
    """With it the connection is allowed."""
    objects = cluster(AMBIENT, AMBIENT, APPLICATION)
    arguments = ("--from", "clients/front", "--to", "shop/cart:8080", "--offline")
    _, explained = run(tmp_path, objects, "explain", *arguments)
    assert run(tmp_path, objects + explained["remedy"], "explain", *arguments)[0] == 0


@pytest.mark.parametrize(
    ("clients", "servers", "ports", "found"),
    [
        (AMBIENT, AMBIENT, [APPLICATION], True),
        (AMBIENT, AMBIENT, [APPLICATION, TUNNEL], False),
        (SIDECARS, AMBIENT, [APPLICATION], True),
        ({}, AMBIENT, [APPLICATION], False),
        (SIDECARS, SIDECARS, [APPLICATION], False),
        (AMBIENT, AMBIENT, [{"port": 9999}], False),
        (AMBIENT, AMBIENT, [{"port": 8080, "protocol": "UDP"}], False),
    ],
)
def test_a_rule_that_lets_nothing_through_is_found(
    clients: dict[str, str], servers: dict[str, str], ports: list[Any], found: bool, tmp_path: Path
) -> None:
    """A port that is served, between pods whose TCP goes through a tunnel that nobody admits."""
    _, report = run(tmp_path, cluster(clients, servers, *ports), "check", "--offline")
    told = [finding for finding in report["findings"] if finding["rule"] == "tunnel-port"]
    assert [finding["object"]["name"] for finding in told] == (["cart"] if found else [])
    assert all("15008" in finding["message"] and finding["severity"] == "warning" for finding in told)


def test_a_rule_of_egress_is_found(tmp_path: Path) -> None:
    """The same on the calling side; DNS servers outside the mesh are not meant."""
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "front", "namespace": "clients"},
        "spec": {
            "podSelector": {},
            "policyTypes": ["Egress"],
            "egress": [
                {"to": [{"namespaceSelector": {}}], "ports": [{"port": 53}, {"port": 53, "protocol": "UDP"}]},
                {"to": [{"namespaceSelector": {}}], "ports": [{"port": 8080}]},
            ],
        },
    }
    objects = [*cluster(AMBIENT, AMBIENT, APPLICATION, TUNNEL), policy]
    _, report = run(tmp_path, objects, "check", "--offline")
    told = [finding for finding in report["findings"] if finding["rule"] == "tunnel-port"]
    assert [finding["object"]["name"] for finding in told] == ["front"]
    assert "spec.egress[1]" in told[0]["message"]


@pytest.mark.parametrize("blocks", [["0.0.0.0/0"], ["0.0.0.0/1", "128.0.0.0/1"]])
def test_a_rule_of_ip_blocks_is_found(blocks: list[str], tmp_path: Path) -> None:
    """Where they cover the pods that call."""
    objects = cluster(AMBIENT, AMBIENT, APPLICATION)
    objects[-1]["spec"]["ingress"][0]["from"] = [{"ipBlock": {"cidr": cidr}} for cidr in blocks]
    _, report = run(tmp_path, objects, "check", "--offline")
    assert "tunnel-port" in {finding["rule"] for finding in report["findings"]}


@pytest.mark.parametrize(
    "labels",
    [
        {"kyma-project.io/module": "serverless"},
        {"kyma-project.io/managed-by": "kyma"},
        {"operator.istio.io/component": "Pilot"},
        {"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/part-of": "istio"},
    ],
)
def test_what_a_vendor_keeps_is_an_info(labels: dict[str, str], tmp_path: Path) -> None:
    """Its operator or chart puts back what somebody edits."""
    objects = cluster(AMBIENT, AMBIENT, APPLICATION)
    objects[-1]["metadata"]["labels"] = labels
    _, report = run(tmp_path, objects, "check", "--offline")
    assert {finding["severity"] for finding in report["findings"] if finding["rule"] == "tunnel-port"} == {
        "info"
    }


@pytest.mark.parametrize("name", ["clients", "shop"])
def test_the_label_that_makes_a_namespace_ambient_is_judged_by_the_tunnel(name: str) -> None:
    """A rule that was right until now is told in the review, and what something needs is refused."""
    labels = {"clients": dict(AMBIENT), "shop": dict(AMBIENT)}
    labels[name] = {}
    new = namespace(name, **AMBIENT, **{"istio-netpol.io/mode": "reject"})
    old = namespace(name, **{"istio-netpol.io/mode": "reject"})
    labels[name] = {"istio-netpol.io/mode": "reject"}

    quiet = State(cluster(labels["clients"], labels["shop"], APPLICATION))
    decision = quiet.validate(new, old)
    assert decision.allowed
    assert any("15008" in warning and "NetworkPolicy shop/cart" in warning for warning in decision.warnings)

    needed = State(cluster(labels["clients"], labels["shop"], APPLICATION, calls="shop/cart:8080"))
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "cart",
            "namespace": "shop",
            "annotations": {"istio-netpol.io/called-by": "clients/*"},
        },
        "spec": {"selector": {"app": "cart"}, "ports": [{"port": 8080}]},
    }
    found = needed.after(service).validate(new, old)
    # Who labels the callers' namespace can't mend the policy of the called one, and is only told.
    told = found.warnings if name == "clients" else [cause.message for cause in found.causes]
    assert found.allowed is (name == "clients")
    assert any("(TCP 15008) is denied by NetworkPolicy shop/cart" in sentence for sentence in told)

    right = State(cluster(labels["clients"], labels["shop"], APPLICATION, TUNNEL))
    assert not right.validate(new, old).warnings


def test_diff_tells_what_the_label_costs(tmp_path: Path) -> None:
    """The policy is the same before and after."""
    for name, labels in (("old", {}), ("new", AMBIENT)):
        (tmp_path / f"{name}.yaml").write_text(
            yaml.safe_dump_all(cluster(AMBIENT, dict(labels), APPLICATION))
        )
    arguments = ["diff", str(tmp_path / "old.yaml"), str(tmp_path / "new.yaml"), "-f", "json", "--offline"]
    document = json.loads(CliRunner().invoke(program, arguments).stdout)
    lost = [(connection["source"], connection["destination"]) for connection in document["lost"]]
    assert lost == [("clients/Pod/front", "shop/Pod/cart")]
