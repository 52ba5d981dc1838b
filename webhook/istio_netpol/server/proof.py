"""How a review proves that the API server sent it: by the path that it comes under, by a client certificate,
or by both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from istio_netpol.certs.review_paths import Door, plain_path
from istio_netpol.server.registered_paths import RegisteredPaths, Right

PLAIN = {plain_path(door): Right(door, may_write=True) for door in (Door.VALIDATE, Door.MUTATE)}


class Unproven(StrEnum):
    """What a review lacks."""

    PATH = "path"
    CERTIFICATE = "certificate"


REASONS = {
    Unproven.PATH: "it does not come under the path that is registered for the API server",
    Unproven.CERTIFICATE: "it brings no client certificate of the API server",
}


class ReviewProof(Struct, frozen=True):
    """What is demanded. Without `paths` reviews come under the plain ones; `client_names` are the names of a
    client certificate of which one is demanded, none for any that its CA signed, and None where no
    certificate is."""

    paths: RegisteredPaths | None = None
    client_names: frozenset[str] | None = None

    def right(self, path: str, certificate: Mapping[str, Any] | None) -> Right | Unproven:
        """What the review may do, or what it lacks; `certificate` as `SSLSocket.getpeercert` has it."""
        if self.client_names is not None and not _is_named(certificate, self.client_names):
            return Unproven.CERTIFICATE
        found = self.paths.find(path) if self.paths else PLAIN.get(path)
        if found is None:
            return Unproven.PATH
        # Nobody else has the key of the certificate, whoever learnt the path.
        return found if self.client_names is None else Right(found.door, may_write=True)

    def problem(self) -> str:
        """Why nothing can be proved now; empty where it can."""
        return self.paths.problem() if self.paths else ""


def _is_named(certificate: Mapping[str, Any] | None, names: frozenset[str]) -> bool:
    """Whether there is a certificate, and it bears one of the names: its common name, or a DNS name."""
    if not certificate:
        return False
    return not names or not names.isdisjoint(_names(certificate))


def _names(certificate: Mapping[str, Any]) -> Iterable[str]:
    for part in certificate.get("subject", ()):
        yield from (value for key, value in part if key == "commonName")
    yield from (value for key, value in certificate.get("subjectAltName", ()) if key == "DNS")
