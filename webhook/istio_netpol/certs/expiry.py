"""How long a certificate file is still good for."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cryptography import x509


def expires_at(path: Path) -> datetime:
    """When the first certificate of a PEM file ends. Raises OSError or ValueError where it can't be read."""
    return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
