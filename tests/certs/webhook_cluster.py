"""A webhook's place in a real cluster: its Secrets, its configurations, and who looks after them."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from kubernetes.client import ApiClient, Configuration
from tests.cluster.control_plane import ControlPlane
from tests.cluster.users import ADMIN

from istio_netpol.certs.observed import certificates_in, is_valid, verifies
from istio_netpol.certs.reconciler import CertificatePlace, CertificateReconciler
from istio_netpol.certs.rotation import Lifetimes, Rotation
from istio_netpol.kube.client import KubernetesClient
from istio_netpol.kube.connection import ApiConnection

KINDS = ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")
REGISTRATION = "/apis/admissionregistration.k8s.io/v1"


def connection(control_plane: ControlPlane, token: str = "") -> ApiConnection:
    """The API as `admin`, or as whoever has that token."""
    configuration = Configuration()
    configuration.host = control_plane.url
    configuration.ssl_ca_cert = str(control_plane.ca)
    configuration.api_key = {"authorization": f"Bearer {token or control_plane.users.tokens[ADMIN]}"}
    return ApiConnection(KubernetesClient(ApiClient(configuration)))


@contextlib.contextmanager
def configured(control_plane: ControlPlane, namespace: str) -> Iterator[WebhookCluster]:
    """Two configurations without a caBundle, and no Secrets."""
    cluster = WebhookCluster(control_plane, namespace)
    for kind in KINDS:
        cluster.configure(kind)
    yield cluster
    cluster.remove_configurations()


def clock() -> datetime:
    return datetime.now(UTC)


@dataclass
class WebhookCluster:
    """One namespace, and two webhook configurations that bear its name."""

    control_plane: ControlPlane
    namespace: str
    names: tuple[str, ...] = ()
    ahead: timedelta = field(default=timedelta())
    """How far in the future the reconciler believes to be."""

    @property
    def place(self) -> CertificatePlace:
        return CertificatePlace(self.namespace, "certificate", "webhook", self.namespace)

    def now(self) -> datetime:
        return clock() + self.ahead

    def reconciler(self, lifetimes: Lifetimes | None = None, token: str = "") -> CertificateReconciler:
        """A new one, as after a restart."""
        rotation = Rotation((*self.place.names, *self.names), lifetimes or Lifetimes())
        return CertificateReconciler(connection(self.control_plane, token), self.place, rotation, self.now)

    def look(self, lifetimes: Lifetimes | None = None) -> list[str]:
        """One look; what it wrote."""
        told: list[str] = []
        look = self.reconciler(lifetimes).look(told.append)
        assert tuple(told) == look.written
        return told

    def configure(self, kind: str, url: str = "", bundle: bytes = b"") -> None:
        """Creates a configuration with two webhooks, which are called for ConfigMaps of this namespace."""
        client: dict[str, Any] = {"service": {"namespace": self.namespace, "name": "webhook", "path": "/x"}}
        if url:
            client = {"url": url}
        if bundle:
            client["caBundle"] = base64.b64encode(bundle).decode()
        webhooks = [self._webhook(f"{name}.istio-netpol.io", client) for name in ("one", "two")]
        singular = {KINDS[0]: "Validating", KINDS[1]: "Mutating"}[kind]
        manifest = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": f"{singular}WebhookConfiguration",
            "metadata": {"name": self.namespace},
            "webhooks": webhooks,
        }
        self.control_plane.create(f"{REGISTRATION}/{kind}", manifest)

    def configuration(self, kind: str) -> dict[str, Any]:
        return self._get(f"{REGISTRATION}/{kind}/{self.namespace}")

    def bundles(self) -> list[bytes]:
        """The caBundles of all webhooks of the configurations that are there."""
        api = self.control_plane.api()
        answers = [api.request("GET", f"{REGISTRATION}/{kind}/{self.namespace}") for kind in KINDS]
        webhooks = [webhook for answer in answers for webhook in answer.object.get("webhooks", ())]
        return [base64.b64decode(webhook["clientConfig"].get("caBundle", "")) for webhook in webhooks]

    def remove_configurations(self) -> None:
        for kind in KINDS:
            self.control_plane.api().request("DELETE", f"{REGISTRATION}/{kind}/{self.namespace}")

    def secret(self, name: str) -> dict[str, Any]:
        return self._get(self._secret_path(name))

    def data(self, name: str) -> dict[str, bytes]:
        return {key: base64.b64decode(value) for key, value in self.secret(name)["data"].items()}

    def replace_data(self, name: str, data: Mapping[str, bytes]) -> None:
        """What a person with kubectl edit, or a broken restore, does."""
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        self.put(self._secret_path(name), lambda secret: secret.update(data=encoded))

    def delete_secret(self, name: str) -> None:
        assert self.control_plane.api().request("DELETE", self._secret_path(name)).status == 200

    def put(self, path: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Replaces an object by what `change` makes of it."""
        manifest = self._get(path)
        change(manifest)
        answer = self.control_plane.api().request("PUT", path, manifest)
        assert answer.status == 200, answer.object

    def assert_serves(self) -> None:
        """Every webhook trusts what is in the Secret, by the real time as well as by the reconciler's."""
        (leaf, *_) = certificates_in(self.data("certificate")["tls.crt"])
        bundles = self.bundles()
        assert bundles
        for bundle in bundles:
            trusted = certificates_in(bundle)
            assert verifies(leaf, trusted, self.place.names, self.now())
            assert all(is_valid(certificate, self.now()) for certificate in trusted)

    def _secret_path(self, name: str) -> str:
        return f"/api/v1/namespaces/{self.namespace}/secrets/{name}"

    def _get(self, path: str) -> dict[str, Any]:
        answer = self.control_plane.api().request("GET", path)
        assert answer.status == 200, answer.object
        return answer.object

    def _webhook(self, name: str, client: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "name": name,
            "clientConfig": dict(client),
            "rules": [
                {
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE"],
                    "resources": ["configmaps"],
                }
            ],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}},
            "failurePolicy": "Fail",
            "sideEffects": "NoneOnDryRun",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 10,
        }
