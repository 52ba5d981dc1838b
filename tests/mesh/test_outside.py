"""The hosts outside of the cluster, from one of them: no cluster is needed for that."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from tests.mesh.machine import require_mesh
from tests.mesh.outside import API, KEYS, OutsideHosts
from tests.mesh.sandbox import Sandbox
from tests.mesh.topology import OUTSIDE, OUTSIDE_API, control_plane, script, worker
from tests.mesh.traffic import Inside, Outside, TcpAnswer, get, look_up, tcp

pytestmark = pytest.mark.xdist_group("mesh-parts")


class FromOutside:
    """Runs commands on the hosts outside, where there is no mesh yet."""

    def __init__(self, hosts: OutsideHosts) -> None:
        self.hosts = hosts

    def run_from(
        self, source: Inside | Outside, *argv: str, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        assert isinstance(source, Outside)
        return self.hosts.run(source.host, *argv, timeout=timeout)


@pytest.fixture(scope="module")
def nobody_else() -> Iterator[FromOutside]:
    require_mesh()
    with Sandbox() as sandbox:
        sandbox.run(*script([*worker(), *control_plane()]))
        hosts = OutsideHosts(sandbox)
        try:
            hosts.start()
            yield FromOutside(hosts)
        finally:
            hosts.stop()


CLIENT = Outside("client")


def test_names_of_the_zone_resolve_and_others_do_not(nobody_else: FromOutside) -> None:
    for protocol in ("udp", "tcp"):
        assert look_up(nobody_else, CLIENT, API, protocol).addresses == (OUTSIDE_API,)
    missing = look_up(nobody_else, CLIENT, "nowhere.example.test")
    assert missing.addresses == ()
    assert "does not exist" in missing.failure


def test_keys_are_served_over_tls_by_name(nobody_else: FromOutside) -> None:
    hosts = nobody_else.hosts
    ca = hosts.folder / "ca.crt"
    ca.write_text(hosts.authority.certificate)

    answer = get(nobody_else, CLIENT, KEYS, ca=ca)
    assert (answer.status, answer.json) == (200, hosts.issuer.key_set())
    discovery = get(nobody_else, CLIENT, f"{hosts.issuer.name}/.well-known/openid-configuration", ca=ca)
    assert discovery.json == {"issuer": hosts.issuer.name, "jwks_uri": KEYS}
    assert [line["path"] for line in hosts.received("identity")] == [
        "/jwks.json",
        "/.well-known/openid-configuration",
    ]
    assert (
        "certificate"
        in get(
            nobody_else,
            CLIENT,
            KEYS.replace("identity", "dns"),
            ca=ca,
            resolve={"dns.example.test": OUTSIDE["identity"]},
        ).failure
    )


def test_the_api_answers_http_https_and_tcp(nobody_else: FromOutside) -> None:
    for scheme in ("http", "https"):
        answer = get(nobody_else, CLIENT, f"{scheme}://{API}/orders", headers={"x-test": "yes"})
        assert (answer.status, answer.json["name"], answer.json["path"]) == (200, "api", "/orders")
        assert answer.json["headers"]["x-test"] == "yes"
    assert tcp(nobody_else, CLIENT, API, 9000, "hello") == TcpAnswer("api\nhello\n", "")


def test_failures_are_told_in_the_words_of_the_client(nobody_else: FromOutside) -> None:
    refused = get(nobody_else, CLIENT, f"http://{API}:81/")
    assert refused.status is None
    assert refused.failure.startswith("curl: (7) ")
    silent = get(nobody_else, CLIENT, "http://192.0.2.77/", timeout=1)
    assert silent.failure.startswith(("curl: (7) ", "curl: (28) "))
    assert "refused" in tcp(nobody_else, CLIENT, API, 9001).failure
