"""The chart's webhook configurations on a real API server, pointing at an address of the test's choice."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.chart.rendering import Manifest, manifests
from tests.cluster.control_plane import ControlPlane

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
PLURALS = {
    "ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
}
_NUMBERS = itertools.count(1)


def configurations(url: str, ca_bundle: str, values: Mapping[str, Any] | None = None) -> list[Manifest]:
    """Both configurations of the chart, for a webhook at this address."""
    given = dict(values or {})
    given["admission"] = {**given.get("admission", {}), "url": url, "caBundle": ca_bundle}
    return [manifest for manifest in manifests(given) if manifest["kind"] in PLURALS]


@contextlib.contextmanager
def registered(plane: ControlPlane, objects: list[Manifest]) -> Iterator[None]:
    """Has the API server call the webhook, and takes it away at the end."""
    try:
        for configuration in objects:
            plane.create(
                f"{ADMISSION}/{PLURALS[configuration['kind']]}?fieldValidation=Strict", configuration
            )
        yield
    finally:
        for configuration in objects:
            plane.api().request(
                "DELETE", f"{ADMISSION}/{PLURALS[configuration['kind']]}/{configuration['metadata']['name']}"
            )
        time.sleep(1.2)  # the API server takes up configurations with a delay, those that are gone too


def until_called(plane: ControlPlane, namespace: str, is_called: Callable[[], bool]) -> None:
    """Creates Services, without effect, until the API server has taken the configurations up."""
    path = f"/api/v1/namespaces/{namespace}/services?dryRun=All"

    def one_more() -> bool:
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": f"is-it-called-{next(_NUMBERS)}"},
            "spec": {"ports": [{"port": 80}]},
        }
        plane.api().request("POST", path, service)
        return is_called()

    plane.wait_until("the webhook is called", one_more, every=0.1)
