"""The commands in warnings, typed once the object is stored: each prints what mends the connection."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from tests.admission.objects import (
    CONTROL_PLANE,
    allow,
    deny_all,
    deployment,
    namespace,
    pod,
    request_authentication,
    service,
    virtual_service,
)
from tests.admission.state import Manifest, State

from istio_netpol.analysis.explain.connection import explain
from istio_netpol.cli.parameter_types import DestinationParameter
from istio_netpol.manifests.encode import to_yaml
from istio_netpol.model.connections import Protocol

CLOSED = deny_all("shop")
EGRESS_GATEWAY = deny_all("istio-system", "Egress")
DNS = [
    deployment("kube-system/coredns", 53, {"k8s-app": "kube-dns"}),
    service("kube-system/kube-dns", 53, 53, {"k8s-app": "kube-dns"}),
]
CASES: dict[str, tuple[list[Manifest], Manifest]] = {
    "sidecar": ([CLOSED], deployment("shop/cart")),
    "sidecar of a bare pod": ([CLOSED], pod("shop/cart")),
    "sidecar of a stateful set": ([CLOSED], deployment("shop/cart", kind="StatefulSet")),
    "call": (
        [CLOSED, deployment("shop/ledger"), service("shop/ledger"), allow("shop/mesh", egress=[])],
        deployment("shop/cart", calls="ledger:80"),
    ),
    "call to a workload whose Service has another port": (
        [CLOSED, deployment("shop/ledger", 9000), service("shop/ledger", 8080, 9000)],
        deployment("shop/cart", calls="ledger:8080"),
    ),
    "call without consent": (
        [CLOSED, namespace("bank"), deny_all("bank"), deployment("bank/ledger"), service("bank/ledger")],
        deployment("shop/cart", calls="bank/ledger:80"),
    ),
    "call to an address": ([CLOSED], deployment("shop/cart", calls="203.0.113.7:443")),
    "call to an IPv6 address": ([CLOSED], deployment("shop/cart", calls="[2606:4700::7]:443")),
    "call to a host": ([CLOSED], deployment("shop/cart", calls="api.example.com:443")),
    "route": (
        [EGRESS_GATEWAY, CLOSED, deployment("shop/cart"), service("shop/cart")],
        virtual_service("shop/cart", "cart.shop.svc.cluster.local"),
    ),
    "keys": ([EGRESS_GATEWAY], request_authentication("shop/jwt", "https://api.example.com/keys")),
    "deny-all over what runs": ([deployment("shop/cart"), service("shop/cart")], CLOSED),
}


@pytest.mark.parametrize("name", CASES)
def test_commands_in_warnings_print_what_mends_the_connection(name: str) -> None:
    """`explain` says that the connection is denied, and has the policy; `generate` is left to its own tests,
    and stands only where an end has no name to type."""
    stored, new = CASES[name]
    state = State(
        [*CONTROL_PLANE, *DNS, namespace("shop", "warn"), *stored], hosts={"api.example.com": "203.0.113.7"}
    )
    decision = state.validate(new)
    assert decision.allowed
    denied = [warning for warning in decision.warnings if " Remedy: " in warning]
    assert denied, decision.warnings
    after = state.after(new)
    for warning in denied:
        words = shlex.split(warning.partition(" Remedy: ")[2])
        assert words[:2] == ["istio-netpol", "explain"], warning
        (_, _, sign, source, to, destination) = words
        assert (sign, to) == ("--from", "--to")
        host, port, protocol = DestinationParameter().convert(destination, None, None)
        found = explain(
            after.table.stored, after.settings, after.resolver, source, host, port, Protocol(protocol)
        )
        assert not found.allowed, warning
        assert to_yaml(found.remedy), warning


@pytest.mark.parametrize(
    "host", ["$(echo x).example.com", "`echo x`.example.com", "x;echo", "a'b.example.com"]
)
def test_a_host_is_one_word_to_a_shell(host: str) -> None:
    """Whoever copies the command of a warning runs `istio-netpol` and nothing that an object says."""
    (command,) = (warning.partition(" Remedy: ")[2] for warning in warnings_of(host) if host in warning)
    shell = ["sh", "-c", f'set -- {command}; printf %s "$6"']
    read = subprocess.run(shell, capture_output=True, text=True, check=True).stdout
    assert read.endswith(f"{host}:443") or read.endswith(f"{host}.shop.svc.cluster.local:443")


@pytest.mark.parametrize(
    "host", ["x\uff07\uff04(echo x)\uff07.example.com", "m\u00fcnchen.example.com", "x\u2028y.com"]
)
def test_a_host_that_is_not_ascii_is_in_no_command(host: str) -> None:
    """A warning is ASCII: letters that look like quotes become quotes there, and the host another one."""
    for warning in warnings_of(host):
        command = warning.partition(" Remedy: ")[2]
        assert "echo" not in command
        assert "example.com" not in command


def warnings_of(host: str) -> tuple[str, ...]:
    """What is said of a ServiceEntry of that host where all egress is denied."""
    entry: Manifest = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "odd", "namespace": "shop"},
        "spec": {
            "hosts": [host],
            "location": "MESH_EXTERNAL",
            "resolution": "DNS",
            "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}],
        },
    }
    mesh = [*CONTROL_PLANE, *DNS, namespace("shop", "warn"), deployment("shop/cart"), CLOSED]
    decision = State(mesh, hosts={host: "203.0.113.7"}).validate(entry)
    denied = tuple(warning for warning in decision.warnings if " Remedy: " in warning)
    assert denied, decision.warnings
    return denied
