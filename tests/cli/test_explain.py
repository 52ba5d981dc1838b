"""`istio-netpol explain`."""

from __future__ import annotations

import json

import pytest
from tests.cli.workspace import Run


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
    assert [each["spec"]["policyTypes"] for each in document["remedy"]] == [["Egress"], ["Ingress"]]


def test_a_port_can_be_a_name(run: Run) -> None:
    """The name of a container's port."""
    result = run("explain", "shop.yaml", "--from", "192.0.2.1", "--to", "shop/cart:http", "--offline")
    assert result.stdout.splitlines()[0] == "192.0.2.1 to shop/cart:http/TCP: allowed"


def test_an_ipv6_address_stands_in_brackets(run: Run) -> None:
    """Its own colons are not the port's."""
    result = run("explain", "manifests", "--from", "shop/cart", "--to", "[2001:db8::1]:53/udp", "--offline")
    assert result.stdout.splitlines()[0] == "shop/cart to [2001:db8::1]:53/UDP: denied"


def test_an_unknown_peer_is_exit_code_2(run: Run) -> None:
    """With the name that was probably meant."""
    result = run("explain", "manifests", "--from", "shop/kart", "--to", "shop/db:5432", "--offline")
    assert result.exit_code == 2
    assert "'shop/kart' names no workload of the input; did you mean shop/Deployment/cart?" in result.stderr


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("shop/db", "'shop/db' names no port; write WHOM:PORT, for example shop/cart:8080"),
        (":80", "':80' names no port; write WHOM:PORT, for example shop/cart:8080"),
        ("shop/db:0", "port 0 is not between 1 and 65535"),
        ("shop/db:65536", "port 65536 is not between 1 and 65535"),
        ("shop/db:" + "9" * 5000, f"port {'9' * 20} is not between 1 and 65535"),
        ("shop/db:80/ICMP", "'ICMP' is no protocol; use TCP, UDP or SCTP"),
        ("[2001:db8::1]", "'[2001:db8::1]' names no port; write WHOM:PORT, for example shop/cart:8080"),
    ],
)
def test_a_destination_that_is_none_is_refused(run: Run, value: str, sentence: str) -> None:
    """Before anything is read."""
    result = run("explain", "gone.yaml", "--from", "shop/cart", "--to", value)
    assert result.exit_code == 2
    assert f"Error: Invalid value for '--to': {sentence}\n" in result.stderr
