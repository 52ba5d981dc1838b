"""Checks a serving certificate and its key before they are served, since openssl's own messages name
neither."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from istio_netpol.errors import SettingsError


def validity_of(certificate: Path, key: Path, now: datetime) -> tuple[float, float]:
    """When the first certificate of a PEM file begins and ends, in Unix time.

    Raises SettingsError where a file can't be read, the certificate has expired, or the key is another's. A
    certificate that is not valid yet does not raise: clocks differ, and waiting mends it.
    """
    leaf = _certificate(certificate)
    if _key(key).public_key() != leaf.public_key():
        raise SettingsError(f"{key} is not the key of {certificate}; give the two that were made together")
    if leaf.not_valid_after_utc <= now:
        raise SettingsError(
            f"{certificate} has expired on {leaf.not_valid_after_utc:%Y-%m-%d at %H:%M} UTC; renew it"
        )
    return leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp()


def _certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(_content(path))
    except ValueError:
        raise SettingsError(f"{path} holds no certificate in PEM format") from None


def _key(path: Path) -> PrivateKeyTypes:
    content = _content(path)
    try:
        return load_pem_private_key(content, password=None)
    except TypeError:
        raise SettingsError(f"{path} is encrypted; give a key without a password") from None
    except (ValueError, UnsupportedAlgorithm):
        raise SettingsError(f"{path} holds no private key in PEM format") from None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path} can't be read: {error.strerror or error}") from None
