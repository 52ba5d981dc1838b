"""TLS: which versions, and what happens when the certificate files change."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path

import pytest
from tests.certs.issuing import expired
from tests.serving.process import READY, WebhookProcess

from istio_netpol.certs.self_signed import CertificateFiles, make_self_signed

NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "cluster"
    folder.mkdir()
    (folder / "shop.yaml").write_text(NAMESPACE)
    return folder


def served(webhook: WebhookProcess, *trusted: CertificateFiles) -> CertificateFiles | None:
    """Whose certificate a new connection gets."""
    for certificate in trusted:
        webhook.context = ssl.create_default_context(cafile=certificate.ca)
        try:
            with webhook.open_socket():
                return certificate
        except ssl.SSLCertVerificationError:
            continue
    return None


def test_mounted_secret_is_renewed(folder: Path, tmp_path: Path) -> None:
    """Kubernetes renews a mounted Secret by swapping a link; connections from then on get the new
    certificate, those that stand go on. A broken or expired one is not served, and /readyz says why until
    a good one is there."""
    mount = tmp_path / "mount"
    old, new = make_self_signed(mount / "..1"), make_self_signed(mount / "..2")
    for name in ("tls.crt", "tls.key"):
        (mount / name).symlink_to(f"..data/{name}")

    def swap(version: str) -> None:
        (mount / "..tmp").symlink_to(version)
        os.replace(mount / "..tmp", mount / "..data")

    swap("..1")
    options = ("--cert", str(mount / "tls.crt"), "--key", str(mount / "tls.key"))
    with WebhookProcess(folder, certificate=options, ca=old.ca) as webhook:
        webhook.wait_for(READY)
        standing = webhook.connect()
        standing.request("GET", "/readyz")
        assert standing.getresponse().read() == b'{"reasons":[],"status":"ready"}\n'
        assert served(webhook, new, old) is old
        swap("..2")
        assert served(webhook, old, new) is new

        (mount / "..3").mkdir()
        (mount / "..3" / "tls.crt").write_bytes(new.certificate.read_bytes())
        (mount / "..3" / "tls.key").write_bytes(old.key.read_bytes())
        swap("..3")
        # Asked on the connection that stands: no new one need come for the change to be seen.
        standing.request("GET", "/readyz")
        reply = standing.getresponse()
        assert reply.status == 503
        assert b"is not the key of" in reply.read()
        assert served(webhook, old, new) is new

        expired(mount / "..4")
        swap("..4")
        reply_now = webhook.request("GET", "/readyz")
        assert reply_now.status == 503
        (reason,) = reply_now.json["reasons"]
        assert reason.startswith("the new certificate can't be served, the old one still is: ")
        assert "has expired on" in reason

        swap("..1")
        assert served(webhook, new, old) is old
        standing.request("GET", "/readyz")
        reply = standing.getresponse()
        assert (reply.status, reply.read()) == (200, b'{"reasons":[],"status":"ready"}\n')
        standing.close()


def test_old_protocols_are_refused(webhook: WebhookProcess) -> None:
    """TLS 1.2 and 1.3 are served, TLS 1.1 is not; who speaks no TLS gets no answer and stops nothing."""

    def connect(version: ssl.TLSVersion) -> str | None:
        context = ssl.create_default_context(cafile=webhook.ca)
        # Clients don't offer old versions at this level of security; the server must refuse by itself.
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        host, port = webhook.url.hostname or "", webhook.url.port or 0
        with (
            socket.create_connection((host, port), 60) as plain,
            context.wrap_socket(plain, server_hostname=host) as stream,
        ):
            return stream.version()

    assert connect(ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    assert connect(ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    with (
        pytest.warns(DeprecationWarning, match=r"TLSv1_1"),
        pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"),
    ):
        connect(ssl.TLSVersion.TLSv1_1)
    with socket.create_connection((webhook.url.hostname or "", webhook.url.port or 0), 60) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert b"ok" not in plain.recv(1024)
    assert webhook.request("GET", "/healthz").status == 200
