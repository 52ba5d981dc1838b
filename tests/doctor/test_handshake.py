"""The certificate that is served, asked for as the API server asks."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from istio_netpol.certs.issuing import KeyPair, Validity, certificate_pem, key_pem, make_authority, make_leaf
from istio_netpol.doctor.webhooks import shake_hands

NAME = "hook.netpol.svc"
VALID = Validity.of(datetime.now(UTC), timedelta(days=30))


@pytest.fixture(scope="module")
def authority() -> KeyPair:
    return make_authority(VALID)


@contextmanager
def serving(folder: Path, leaf: KeyPair) -> Iterator[int]:
    """A TLS server on loopback that takes one connection; its port."""
    file = folder / "pair.pem"
    file.write_bytes(certificate_pem(leaf.certificate) + key_pem(leaf.key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with (
                    connection,
                    suppress(OSError),
                    context.wrap_socket(connection, server_side=True) as secured,
                ):
                    secured.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        yield int(listener.getsockname()[1])
    thread.join()


def test_what_is_served_is_had(authority: KeyPair, tmp_path: Path) -> None:
    leaf = make_leaf(authority, [NAME], VALID)
    with serving(tmp_path, leaf) as port:
        found = shake_hands("127.0.0.1", port, NAME, certificate_pem(authority.certificate))
    assert isinstance(found, x509.Certificate)
    assert found == leaf.certificate


def test_what_the_bundle_does_not_vouch_for_is_refused(authority: KeyPair, tmp_path: Path) -> None:
    other = certificate_pem(make_authority(VALID).certificate)
    with serving(tmp_path, make_leaf(authority, [NAME], VALID)) as port:
        found = shake_hands("127.0.0.1", port, NAME, other)
    assert str(found).startswith("is not one that caBundle vouches for")


def test_a_certificate_for_another_name_is_refused(authority: KeyPair, tmp_path: Path) -> None:
    with serving(tmp_path, make_leaf(authority, ["other.netpol.svc"], VALID)) as port:
        found = shake_hands("127.0.0.1", port, NAME, certificate_pem(authority.certificate))
    assert "Hostname mismatch" in str(found)


def test_an_address_that_nobody_answers_at_is_told(authority: KeyPair) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    found = shake_hands("127.0.0.1", port, NAME, certificate_pem(authority.certificate))
    assert "can't be reached from here" in str(found)


@pytest.mark.parametrize("address", ["None", ""])
def test_a_service_without_an_address_is_told(authority: KeyPair, address: str) -> None:
    """Headless, or not given one yet."""
    found = shake_hands(address, 443, NAME, certificate_pem(authority.certificate))
    assert found == "the Service has no address of its own"


def test_a_bundle_that_is_none_is_told() -> None:
    assert shake_hands("127.0.0.1", 9, NAME, b"nonsense") == "caBundle can't be used"
