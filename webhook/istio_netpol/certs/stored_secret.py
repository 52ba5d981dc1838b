"""Reads, creates and replaces Secrets by name. No text that this module makes shows their data."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from istio_netpol.errors import ApiError
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.kube.policy_store import CONFLICT, NOT_FOUND
from istio_netpol.kube.resources import SECRETS
from istio_netpol.model.json_values import JsonObject
from istio_netpol.model.own_names import FIELD_MANAGER, MANAGED_BY, OWNER, TRUSTED_SINCE

TLS = "kubernetes.io/tls"
CERT_MANAGER = "cert-manager.io/certificate-name"
FORBIDDEN, INVALID = 403, 422


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A Secret as the API server holds it; without a manifest it is not there."""

    namespace: str
    name: str
    manifest: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def data(self) -> dict[str, bytes] | None:
        """The data of the Secret."""
        if not self.manifest:
            return None
        return {key: b64decode(value) for key, value in (self.manifest.get("data") or {}).items()}

    @property
    def trusted_since(self) -> str:
        """Since when the CA in it is in every caBundle, as its annotation says."""
        return str(self._annotations.get(TRUSTED_SINCE, ""))

    @property
    def _annotations(self) -> Mapping[str, str]:
        return self.manifest.get("metadata", {}).get("annotations") or {}

    def __str__(self) -> str:
        return f"Secret {self.namespace}/{self.name}"

    def refuse_others(self) -> None:
        """Raises ApiError where cert-manager keeps it: two that renew one Secret would overwrite each other
        for ever."""
        owner = self._annotations.get(CERT_MANAGER)
        if owner:
            raise ApiError(
                CONFLICT,
                f"{self} belongs to cert-manager's Certificate {self.namespace}/{owner}; name another "
                "Secret, or leave the certificates to cert-manager",
            )

    def holds(self, data: Mapping[str, bytes], trusted_since: str = "") -> bool:
        """Whether writing this would change nothing."""
        return self.data == data and self.trusted_since == trusted_since


def read_secret(connection: ApiConnection, namespace: str, name: str) -> StoredSecret:
    """The Secret of that name, there or not. Raises ApiError."""
    try:
        content = connection.get(SECRETS.path(namespace, name))
    except ApiError as error:
        if error.status == NOT_FOUND:
            return StoredSecret(namespace, name)
        raise ApiError(error.status, f"Secret {namespace}/{name} can't be read: {_told(error)}") from None
    secret = StoredSecret(namespace, name, msgspec.json.decode(content))
    secret.refuse_others()
    return secret


def write_secret(
    connection: ApiConnection, secret: StoredSecret, data: Mapping[str, bytes], trusted_since: str = ""
) -> None:
    """Creates it, or replaces its data if nobody else has changed it since it was read. Raises ApiError."""
    body = json.dumps(_manifest(secret, data, trusted_since)).encode()
    method, name = ("PUT", secret.name) if secret.manifest else ("POST", "")
    query = [("fieldManager", FIELD_MANAGER)]
    try:
        connection.send(method, SECRETS.path(secret.namespace, name), body, query=query)
    except ApiError as error:
        raise ApiError(error.status, f"{secret} can't be written: {_told(error)}") from None


def _manifest(secret: StoredSecret, data: Mapping[str, bytes], trusted_since: str) -> JsonObject:
    metadata = dict(secret.manifest.get("metadata") or {"namespace": secret.namespace, "name": secret.name})
    metadata.pop("managedFields", None)
    annotations = dict(metadata.get("annotations") or {})
    annotations.pop(TRUSTED_SINCE, None)
    if trusted_since:
        annotations[TRUSTED_SINCE] = trusted_since
    metadata["annotations"] = annotations
    metadata["labels"] = {**(metadata.get("labels") or {}), MANAGED_BY: OWNER}
    # The type of a Secret can't be changed. One that was made with another type gets the data all the same.
    rest = {**secret.manifest} or {"apiVersion": "v1", "kind": SECRETS.kind, "type": TLS}
    return {**rest, "metadata": metadata, "data": {key: b64encode(data[key]).decode() for key in data}}


def _told(error: ApiError) -> str:
    """What went wrong and what to do, without the body that the API server repeats when it refuses one."""
    if error.status == CONFLICT:
        return "somebody else wrote it at the same moment; it is tried again"
    if error.status == INVALID:
        return (
            "the API server refuses the change, as it does where `immutable` is true; delete the Secret, and "
            "it is made anew"
        )
    if error.status == FORBIDDEN:
        return f"{error}; docs/certificates.md lists the rights that this needs"
    return str(error)
