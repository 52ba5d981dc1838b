"""JSON Web Tokens (RFC 7519) and the key set that proves them (RFC 7517), signed with RS256."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

HOUR = 3600


class Issuer:
    """Signs tokens with an RSA key of its own. Two with the same name have different keys, under the same key
    identifier: what the second signs is a forgery to those who have the first one's keys."""

    def __init__(self, name: str, key_identifier: str = "key-1") -> None:
        self.name = name
        self._identifier = key_identifier
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def key_set(self) -> dict[str, Any]:
        """The document behind a `jwksUri`."""
        numbers = self._key.public_key().public_numbers()
        size = self._key.key_size // 8
        key = {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": self._identifier,
            "n": _encoded(numbers.n.to_bytes(size, "big")),
            "e": _encoded(numbers.e.to_bytes(3, "big")),
        }
        return {"keys": [key]}

    def token(self, subject: str = "tester", lasts: int = HOUR, **claims: Any) -> str:
        """A signed token of this issuer; one that has expired where `lasts` is negative."""
        now = int(time.time())
        header = {"alg": "RS256", "typ": "JWT", "kid": self._identifier}
        content = {"iss": self.name, "sub": subject, "iat": now - 2 * HOUR, "exp": now + lasts, **claims}
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in (header, content))
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_encoded(signature)}"


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
