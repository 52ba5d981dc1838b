"""Our chart at work in the mesh: what helm renders is applied as it is, and its Deployments become Pods that
run this checkout. Certificates, registration and secret paths are the controller's work, as in production."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tests.chart.rendering import NAMESPACE, RELEASE, manifests
from tests.live.installation import is_trusted, registered_clients
from tests.mesh import topology
from tests.mesh.istio import STARTS_WITHIN, is_available
from tests.mesh.manifests import new_namespace

if TYPE_CHECKING:
    from tests.mesh.mesh import Mesh

COMPONENTS = ("controller", "webhook")
API_SERVER = f"{topology.CONTROL_PLANE}/32"

OWN_NAMESPACE = new_namespace(NAMESPACE)

VALUES: dict[str, Any] = {
    "augment": {"enabled": True},
    "webhook": {"replicas": 1},
    "networkPolicies": {
        "apiServer": {
            "cidrs": [API_SERVER],
            "ports": [topology.API_SERVER_PORT],
            "sourceCidrs": [API_SERVER],
        },
        "dns": {"ports": [53]},
    },
    "config": {"controller": {"collectAfterSeconds": 3}},
}
"""As an administrator of this cluster would write them: it warns, and augments and refuses where the label of
a namespace asks for it."""


class Ours:
    """One release of the chart, in a namespace that is under a deny-all itself."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    def upgrade(self, values: Mapping[str, Any]) -> None:
        """Installs the chart, or renders it anew with other values; done when the API server calls it."""
        self._mesh.apply(*manifests(values))
        self._mesh.wait_until("ours is rolled out", self._is_rolled_out, STARTS_WITHIN)
        self._mesh.wait_until("every caBundle and path of ours is written", self._is_trusted)
        self._mesh.settled()

    def set_mode(self, namespace: str, mode: str) -> None:
        """Labels a namespace, as its owner would."""
        labelled = self._mesh.kubectl(
            "label", "namespace", namespace, f"istio-netpol.io/mode={mode}", "--overwrite"
        )
        assert labelled.code == 0, labelled.stderr

    def _is_rolled_out(self) -> bool:
        return all(is_available(self._mesh, NAMESPACE, f"{RELEASE}-{component}") for component in COMPONENTS)

    def _is_trusted(self) -> bool:
        return is_trusted(registered_clients(self._mesh.api))


@contextlib.contextmanager
def installed(mesh: Mesh, values: Mapping[str, Any] = VALUES) -> Iterator[Ours]:
    """The chart at work until the block ends; then nothing of it is left, nor of what it wrote."""
    mesh.apply(OWN_NAMESPACE)
    mesh.deny_all(NAMESPACE)
    ours = Ours(mesh)
    try:
        ours.upgrade(values)
        yield ours
    finally:
        uninstall(mesh, values)


def uninstall(mesh: Mesh, values: Mapping[str, Any]) -> None:
    """As the chart's README says: what helm installed, then what stays behind."""
    mesh.delete(*manifests(values), OWN_NAMESPACE)
    ours = ("--all-namespaces", "--selector", "app.kubernetes.io/managed-by=istio-netpol")
    mesh.kubectl("delete", "networkpolicies", "--wait=false", *ours)
