"""Makes a certificate authority and a serving certificate, to try things out and for tests."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec import Struct

from istio_netpol.certs.issuing import Validity, certificate_pem, key_pem, make_authority, make_leaf

LIFETIME = timedelta(days=30)
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


class CertificateFiles(Struct, frozen=True):
    """Where a CA, a serving certificate with its chain, and its key were written."""

    ca: Path
    certificate: Path
    key: Path


def make_self_signed(
    folder: Path, names: Sequence[str] = LOCAL_NAMES, lifetime: timedelta = LIFETIME
) -> CertificateFiles:
    """Makes a CA and a certificate for these DNS names and addresses, and writes both; keys are readable
    by their owner only.

    The CA's key is not kept, so what it signed can't be extended.
    """
    validity = Validity.of(datetime.now(UTC), lifetime)
    authority = make_authority(validity)
    leaf = make_leaf(authority, names, validity)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = CertificateFiles(folder / "ca.crt", folder / "tls.crt", folder / "tls.key")
    _write(files.ca, certificate_pem(authority.certificate), 0o644)
    _write(files.key, key_pem(leaf.key), 0o600)
    _write(files.certificate, certificate_pem(leaf.certificate), 0o644)
    return files


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
