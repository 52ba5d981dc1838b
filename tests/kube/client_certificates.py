"""Client certificates as an administrator makes them, and an API server that brings one to webhooks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from istio_netpol.certs.issuing import KeyPair, Validity, certificate_pem, key_pem, make_authority

DAY = timedelta(days=1)


@dataclass(frozen=True)
class ClientFiles:
    """A client certificate, its key, and the CA that signed it."""

    ca: Path
    certificate: Path
    key: Path


def make_authority_now() -> KeyPair:
    """A CA that is valid for a day."""
    return make_authority(Validity.of(datetime.now(UTC), DAY))


def make_client(folder: Path, name: str, authority: KeyPair) -> ClientFiles:
    """A certificate of that common name, for clients only."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + DAY)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False
        )
        .sign(authority.key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    files = ClientFiles(folder / "ca.crt", folder / "client.crt", folder / "client.key")
    files.ca.write_bytes(certificate_pem(authority.certificate))
    files.certificate.write_bytes(certificate_pem(certificate))
    files.key.write_bytes(key_pem(key))
    return files


def brings(client: ClientFiles, folder: Path) -> tuple[str, ...]:
    """The option by which an API server brings this certificate to every webhook, as docs/webhook.md has
    it."""
    user = {"client-certificate": str(client.certificate), "client-key": str(client.key)}
    kubeconfig = {"apiVersion": "v1", "kind": "Config", "users": [{"name": "*", "user": user}]}
    (folder / "webhooks.kubeconfig").write_text(json.dumps(kubeconfig))
    plugin = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "WebhookAdmissionConfiguration",
        "kubeConfigFile": str(folder / "webhooks.kubeconfig"),
    }
    configuration = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [
            {"name": f"{kind}AdmissionWebhook", "configuration": plugin}
            for kind in ("Validating", "Mutating")
        ],
    }
    (folder / "admission.json").write_text(json.dumps(configuration))
    return (f"--admission-control-config-file={folder / 'admission.json'}",)
