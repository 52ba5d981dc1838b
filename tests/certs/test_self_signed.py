"""The certificate that `serve --self-signed` makes."""

from __future__ import annotations

import stat
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from istio_netpol.certs.issuing import CLOCK_SKEW
from istio_netpol.certs.self_signed import LIFETIME, CertificateFiles, make_self_signed


def loaded(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return make_self_signed(tmp_path_factory.mktemp("made") / "new", ("webhook.example", "192.0.2.1", "::1"))


@pytest.mark.parametrize(
    "name",
    [
        x509.DNSName("webhook.example"),
        x509.IPAddress(ip_address("192.0.2.1")),
        x509.IPAddress(ip_address("::1")),
    ],
    ids=str,
)
def test_clients_that_trust_the_ca_accept_it(files: CertificateFiles, name: x509.GeneralName) -> None:
    """A strict verifier accepts the certificate under each of its names, and under no other."""
    policy = PolicyBuilder().store(Store([loaded(files.ca)]))
    assert isinstance(name, x509.DNSName | x509.IPAddress)
    policy.build_server_verifier(name).verify(loaded(files.certificate), [])
    with pytest.raises(VerificationError):
        policy.build_server_verifier(x509.DNSName("other.example")).verify(loaded(files.certificate), [])


def test_it_serves_and_signs_nothing(files: CertificateFiles) -> None:
    """The serving certificate can't sign others; the CA signs nothing but serving certificates."""
    leaf, ca = loaded(files.certificate).extensions, loaded(files.ca).extensions
    assert not leaf.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not leaf.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    usages = leaf.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert ca.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    assert ca.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


def test_it_does_not_live_long(files: CertificateFiles) -> None:
    """It is valid at once, for clocks that are a little behind too, and for a month, not for decades."""
    for certificate in (loaded(files.certificate), loaded(files.ca)):
        whole = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        assert whole == LIFETIME + CLOCK_SKEW <= timedelta(days=31)


def test_only_the_owner_reads_the_key(files: CertificateFiles) -> None:
    """The key is readable by its owner alone, and the CA's key is nowhere."""
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
    assert sorted(path.name for path in files.ca.parent.iterdir()) == ["ca.crt", "tls.crt", "tls.key"]
    assert all(path.read_text().count("PRIVATE KEY") in {0, 2} for path in files.ca.parent.iterdir())


def test_files_that_are_there_are_replaced(tmp_path: Path) -> None:
    """Made again in the same folder, certificate and key are new ones and fit together."""
    first = make_self_signed(tmp_path).certificate.read_bytes()
    tmp_path.joinpath("tls.key").chmod(0o644)
    again = make_self_signed(tmp_path)
    assert again.certificate.read_bytes() != first
    assert stat.S_IMODE(again.key.stat().st_mode) == 0o600
