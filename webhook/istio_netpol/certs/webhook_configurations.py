"""The `caBundle` and path fields of the two webhook configurations, and nothing else of them."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from istio_netpol.certs.review_paths import Note
from istio_netpol.errors import ApiError
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.kube.policy_store import NOT_FOUND
from istio_netpol.kube.resources import Resource
from istio_netpol.model.json_values import JsonObject
from istio_netpol.model.own_names import FIELD_MANAGER, REVIEW_PATHS

KINDS = tuple(
    Resource("admissionregistration.k8s.io", "v1", kind, f"{kind.lower()}s", namespaced=False)
    for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
)
MUTATING = KINDS[1]
JSON_PATCH = "application/json-patch+json"


class _ServiceReference(msgspec.Struct, frozen=True):
    namespace: str = ""
    name: str = ""
    path: str | None = None


class _ClientConfig(msgspec.Struct, frozen=True, rename="camel"):
    ca_bundle: str = msgspec.field(name="caBundle", default="")
    service: _ServiceReference | None = None
    url: str | None = None


class _Webhook(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    client_config: _ClientConfig = _ClientConfig()


class _ConfigurationMetadata(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    resource_version: str = ""
    annotations: dict[str, str] | None = None


class _ConfigurationManifest(msgspec.Struct, frozen=True):
    metadata: _ConfigurationMetadata = _ConfigurationMetadata()
    webhooks: tuple[_Webhook, ...] = ()


@dataclass(frozen=True, slots=True)
class WebhookClient:
    """How the API server calls one webhook: `service` is namespace and name, empty for one with a URL."""

    webhook: str
    bundle: bytes = field(repr=False)
    service: tuple[str, str] | None
    path: str = field(repr=False)


class Configuration(Struct, frozen=True):
    """A webhook configuration as the API server holds it; `clients` is None where it is not there."""

    resource: Resource
    name: str
    version: str = ""
    clients: tuple[WebhookClient, ...] | None = None
    note: Note = field(default_factory=Note)
    is_annotated: bool = False

    def __str__(self) -> str:
        return f"{self.resource.kind} {self.name}"

    @property
    def bundles(self) -> tuple[bytes, ...] | None:
        """The caBundle of each webhook; None where the configuration is not there."""
        return None if self.clients is None else tuple(client.bundle for client in self.clients)


def configuration_of(resource: Resource, manifest: bytes | msgspec.Raw) -> Configuration:
    """A configuration as the API server sent it. Raises ApiError for anything else."""
    try:
        found = msgspec.json.decode(manifest, type=_ConfigurationManifest)
        clients = tuple(map(_client, found.webhooks))
    except (msgspec.DecodeError, ValueError) as error:
        raise ApiError(0, f"{resource.kind}: the API server's answer can't be read: {error}") from None
    metadata = found.metadata
    note = Note.read((metadata.annotations or {}).get(REVIEW_PATHS, ""))
    return Configuration(
        resource, metadata.name, metadata.resource_version, clients, note, metadata.annotations is not None
    )


def read_configuration(connection: ApiConnection, resource: Resource, name: str) -> Configuration:
    """The configuration of that name, there or not. Raises ApiError."""
    absent = Configuration(resource, name)
    try:
        return configuration_of(resource, connection.get(resource.path(name=name)))
    except ApiError as error:
        if error.status == NOT_FOUND:
            return absent
        raise ApiError(error.status, f"{absent} can't be read: {error}") from None


def write_bundle(connection: ApiConnection, configuration: Configuration, bundle: bytes) -> int:
    """Sets the caBundle of each webhook that has another one, if nobody has changed the configuration since
    it was read; returns how many webhooks changed. Raises ApiError."""
    places = [place for place, held in enumerate(configuration.bundles or ()) if held != bundle]
    if not places:
        return 0
    value = b64encode(bundle).decode()
    changes = [_added(f"/webhooks/{place}/clientConfig/caBundle", value) for place in places]
    _patch(connection, configuration, changes, "caBundle")
    return len(places)


def write_paths(
    connection: ApiConnection, configuration: Configuration, paths: Mapping[str, str], note: Note
) -> None:
    """Sets the path of each webhook of that name, and what is remembered of them, if nobody has changed the
    configuration since it was read. Raises ApiError."""
    changes = [
        _added(f"/webhooks/{place}/clientConfig/service/path", paths[client.webhook])
        for place, client in enumerate(configuration.clients or ())
        if client.webhook in paths and client.path != paths[client.webhook]
    ]
    if not configuration.is_annotated:
        changes.append(_added("/metadata/annotations", {}))
    name = REVIEW_PATHS.replace("/", "~1")
    _patch(connection, configuration, [*changes, _added(f"/metadata/annotations/{name}", str(note))], "paths")


def _client(webhook: _Webhook) -> WebhookClient:
    config = webhook.client_config
    service = (config.service.namespace, config.service.name) if config.service else None
    path = (config.service.path or "") if config.service else urlsplit(config.url or "").path
    return WebhookClient(webhook.name, b64decode(config.ca_bundle), service, path)


def _added(path: str, value: Any) -> JsonObject:
    return {"op": "add", "path": path, "value": value}


def _patch(
    connection: ApiConnection, configuration: Configuration, changes: list[JsonObject], what: str
) -> None:
    # Places count only in the version that was read: with another one the API server answers 409.
    version = {"op": "replace", "path": "/metadata/resourceVersion", "value": configuration.version}
    path, query = configuration.resource.path(name=configuration.name), [("fieldManager", FIELD_MANAGER)]
    try:
        connection.send("PATCH", path, json.dumps([version, *changes]).encode(), JSON_PATCH, query)
    except ApiError as error:
        message = f"the {what} of {configuration} can't be written: {error}"
        raise ApiError(error.status, message) from None
