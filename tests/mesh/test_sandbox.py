"""A sandbox is a network of its own, and whatever was in it is gone when it is closed."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.mesh import topology
from tests.mesh.machine import require_namespaces
from tests.mesh.sandbox import Sandbox
from tests.waiting import wait_until

CONNECT = """\
import socket, sys
for address in sys.argv[1:]:
    try:
        socket.create_connection((address, 1), timeout=5)
    except ConnectionRefusedError:
        print(address)
"""
"""Prints whom it reaches. Nobody listens on port 1: who answers with a refusal was reached."""

PODS = {"shop.cart": "10.244.0.2", "shop.stock": "10.244.0.3"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    require_namespaces()
    with Sandbox() as sandbox:
        layout = [*topology.worker(), *topology.control_plane(), *topology.outside()]
        for network, address in PODS.items():
            layout += topology.attach(network, address)
        sandbox.run(*topology.script(layout))
        yield sandbox


@pytest.mark.parametrize("source", ["", topology.CONTROL_PLANE_NETWORK, *topology.OUTSIDE, *PODS])
def test_everybody_reaches_everybody(sandbox: Sandbox, source: str) -> None:
    targets = [topology.WORKER, topology.CONTROL_PLANE, *topology.OUTSIDE.values(), *PODS.values()]
    assert sandbox.run("python3", "-c", CONNECT, *targets, network=source).stdout.split() == targets


def test_packets_between_pods_pass_the_forward_hook(sandbox: Sandbox) -> None:
    """There NetworkPolicies are enforced."""
    block = ["-s", PODS["shop.cart"], "-j", "REJECT", "--reject-with", "icmp-admin-prohibited"]
    sandbox.run("iptables", "-A", "FORWARD", *block)
    try:
        done = sandbox.run("python3", "-c", CONNECT, PODS["shop.stock"], network="shop.cart", check=False)
        assert "No route to host" in done.stderr
    finally:
        sandbox.run("iptables", "-D", "FORWARD", *block)


def test_a_pod_that_was_detached_is_gone_and_its_address_can_be_given_again(sandbox: Sandbox) -> None:
    for _ in range(2):
        sandbox.run(*topology.script(topology.attach("shop.brief", "10.244.0.9")))
        sandbox.run(*topology.script(topology.detach("shop.brief")))
    assert "shop.brief" not in sandbox.run("ip", "netns").stdout
    assert "10.244.0.9" not in sandbox.run("ip", "route").stdout


def test_a_namespace_resolves_names_its_own_way_and_the_host_as_before(sandbox: Sandbox) -> None:
    before = Path("/etc/resolv.conf").read_text()
    sandbox.run(*topology.resolve_by("shop.cart", "nameserver 10.96.0.10\n"))
    assert sandbox.run("cat", "/etc/resolv.conf", network="shop.cart").stdout == "nameserver 10.96.0.10\n"
    assert sandbox.run("cat", "/etc/resolv.conf", network="shop.stock").stdout == before
    assert Path("/etc/resolv.conf").read_text() == before
    assert not Path("/etc/netns/shop.cart").exists()


def test_a_server_that_is_stopped_may_finish_and_is_gone_afterwards(sandbox: Sandbox) -> None:
    """Its children too, which no signal to `nsenter` would reach."""
    says = "trap 'sleep 0.3; echo finished; exit' TERM; echo ready; while :; do sleep 0.05; done"
    server = sandbox.start("polite", "sh", "-c", says, network="shop.cart")
    wait_until("it listens to signals", lambda: "ready" in server.last_lines(), servers=[server])
    server.stop(signal.SIGTERM)
    assert server.last_lines().endswith("finished")
    assert sandbox.run("ip", "netns", "pids", "shop.cart").stdout == ""


def test_a_command_that_takes_too_long_is_ended(sandbox: Sandbox) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        sandbox.run("sleep", "600", network="shop.stock", timeout=0.3)
    assert sandbox.run("ip", "netns", "pids", "shop.stock").stdout == ""


def test_a_command_that_fails_says_what_it_printed(sandbox: Sandbox) -> None:
    with pytest.raises(AssertionError, match="ended with 3:\nthe reason"):
        sandbox.run("sh", "-c", "echo the reason >&2; exit 3")
    assert sandbox.run("sh", "-c", "exit 3", check=False).returncode == 3


def test_every_user_can_read_the_folder(sandbox: Sandbox) -> None:
    """Proxies run as a user that is not root."""
    file = sandbox.folder / "for-all"
    file.write_text("readable")
    reader = ["setpriv", "--reuid=1337", "--regid=1337", "--clear-groups", "cat", file]
    assert sandbox.run(*reader).stdout == "readable"


def test_closing_ends_everything_and_removes_the_folder() -> None:
    require_namespaces()
    with Sandbox() as sandbox:
        sandbox.run("ip", "netns", "add", "one")
        server = sandbox.start("stubborn", "sh", "-c", "trap '' TERM INT; sleep 600", network="one")
        inside = Path(f"/proc/{sandbox.init}")
        assert inside.exists()
    assert (inside.exists(), server.runs, sandbox.folder.exists()) == (False, False, False)
