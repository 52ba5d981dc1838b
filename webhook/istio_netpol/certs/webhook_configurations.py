"""The `caBundle` fields of the two webhook configurations, and nothing else of them."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass

import msgspec

from istio_netpol.errors import ApiError
from istio_netpol.kube.connection import Connection
from istio_netpol.kube.discovery import Resource
from istio_netpol.kube.policy_store import NOT_FOUND
from istio_netpol.model.own_names import FIELD_MANAGER

KINDS = tuple(
    Resource("admissionregistration.k8s.io", "v1", kind, f"{kind.lower()}s", namespaced=False)
    for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
)
JSON_PATCH = "application/json-patch+json"


class _ClientConfig(msgspec.Struct, frozen=True, rename="camel"):
    ca_bundle: str = msgspec.field(name="caBundle", default="")


class _Webhook(msgspec.Struct, frozen=True, rename="camel"):
    client_config: _ClientConfig = _ClientConfig()


class _Metadata(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""


class _Manifest(msgspec.Struct, frozen=True):
    metadata: _Metadata = _Metadata()
    webhooks: tuple[_Webhook, ...] = ()


@dataclass(frozen=True, slots=True)
class Configuration:
    """A webhook configuration as the API server holds it; `bundles` is None where it is not there."""

    resource: Resource
    name: str
    version: str = ""
    bundles: tuple[bytes, ...] | None = None

    def __str__(self) -> str:
        return f"{self.resource.kind} {self.name}"


def read_configuration(connection: Connection, resource: Resource, name: str) -> Configuration:
    """The configuration of that name, there or not. Raises ApiError."""
    absent = Configuration(resource, name)
    try:
        manifest = msgspec.json.decode(connection.get(resource.path(name=name)), type=_Manifest)
    except ApiError as error:
        if error.status == NOT_FOUND:
            return absent
        raise ApiError(error.status, f"{absent} can't be read: {error}") from None
    bundles = tuple(b64decode(each.client_config.ca_bundle) for each in manifest.webhooks)
    return Configuration(resource, name, manifest.metadata.resource_version, bundles)


def write_bundle(connection: Connection, configuration: Configuration, bundle: bytes) -> int:
    """Sets the caBundle of each webhook that has another one, if nobody has changed the configuration since
    it was read; how many those were. Raises ApiError."""
    places = [place for place, held in enumerate(configuration.bundles or ()) if held != bundle]
    if not places:
        return 0
    # Places count only in the version that was read: with another one the API server answers 409.
    version = {"op": "replace", "path": "/metadata/resourceVersion", "value": configuration.version}
    value = b64encode(bundle).decode()
    changes = [
        {"op": "add", "path": f"/webhooks/{each}/clientConfig/caBundle", "value": value} for each in places
    ]
    path, query = configuration.resource.path(name=configuration.name), [("fieldManager", FIELD_MANAGER)]
    try:
        connection.send("PATCH", path, json.dumps([version, *changes]).encode(), JSON_PATCH, query)
    except ApiError as error:
        raise ApiError(error.status, f"the caBundle of {configuration} can't be written: {error}") from None
    return len(places)
