"""What Secrets and webhook configurations hold, read without trust: garbage reads as nothing."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from istio_netpol.certs.issuing import CLOCK_SKEW, KeyPair, PrivateKey

CERTIFICATE, KEY, AUTHORITIES = "tls.crt", "tls.key", "ca.crt"
"""The keys of a Secret of type kubernetes.io/tls."""

END_OF_CERTIFICATE = b"-----END CERTIFICATE-----"
LONGEST_PEM = 1 << 16
"""A longer text is not read to its end. Our own bundles are shorter, and the API server allows a mebibyte."""


@dataclass(frozen=True, slots=True)
class ObservedCertificates:
    """The state of a cluster; `None` is a Secret that is not there."""

    authority: Mapping[str, bytes] | None = field(default=None, repr=False)
    serving: Mapping[str, bytes] | None = field(default=None, repr=False)
    trusted_since: str = ""
    bundles: Sequence[bytes] = ()
    """The `caBundle` of every webhook of the configurations that are there."""


def certificates_in(pem: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM bundle, without those that can't be read."""
    found = []
    for part in pem[:LONGEST_PEM].split(END_OF_CERTIFICATE)[:-1]:
        try:
            with warnings.catch_warnings():
                # A fault in a foreign certificate may keep it from being used, but must not stop us.
                warnings.simplefilter("ignore", CryptographyDeprecationWarning)
                found.append(x509.load_pem_x509_certificate(part + END_OF_CERTIFICATE))
        except (ValueError, UnsupportedAlgorithm):
            continue
    return tuple(found)


def pair_in(data: Mapping[str, bytes] | None) -> KeyPair | None:
    """The first certificate and its key; None where one is missing or unreadable, or the key belongs to
    another certificate."""
    certificates = certificates_in((data or {}).get(CERTIFICATE, b""))
    key = _key_in((data or {}).get(KEY, b""))
    if not certificates or key is None:
        return None
    try:
        belongs = certificates[0].public_key() == key.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    return KeyPair(certificates[0], key) if belongs else None


def authorities_in(bundles: Iterable[bytes], now: datetime) -> tuple[x509.Certificate, ...]:
    """The CAs of bundles that are valid now, each once, the newest first."""
    found = {certificate for bundle in bundles for certificate in certificates_in(bundle)}
    valid = [authority for authority in found if is_valid(authority, now) and _is_authority(authority)]
    return tuple(
        sorted(
            valid, key=lambda authority: (authority.not_valid_before_utc, authority.signature), reverse=True
        )
    )


def is_valid(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether a certificate is valid now, by its dates."""
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc


def verifies(
    leaf: x509.Certificate, authorities: Sequence[x509.Certificate], names: Sequence[str], now: datetime
) -> bool:
    """Whether a client that trusts these CAs takes the certificate under each of the names."""
    # One by one: a strange CA among them must not cost the verdict on the others.
    return any(_verifies(leaf, authority, names, now) for authority in authorities)


def issued_at(certificate: x509.Certificate) -> datetime:
    """When a certificate was made, by the clock of whoever made it."""
    return certificate.not_valid_before_utc + CLOCK_SKEW


def _verifies(
    leaf: x509.Certificate, authority: x509.Certificate, names: Sequence[str], now: datetime
) -> bool:
    policy = PolicyBuilder().store(Store([authority])).time(now)
    try:
        for name in names:
            policy.build_server_verifier(x509.DNSName(name)).verify(leaf, [])
    except (VerificationError, ValueError, UnsupportedAlgorithm):
        return False
    return True


def _key_in(pem: bytes) -> PrivateKey | None:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    is_ours = isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)
    return key if is_ours and isinstance(key, ec.EllipticCurvePrivateKey) else None


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, UnsupportedAlgorithm):
        return False
