"""Pods as Istio's injector makes them: with the proxy as a native sidecar, and beside the application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.mesh import manifests
from tests.mesh.traffic import Inside, get

if TYPE_CHECKING:
    from tests.mesh.mesh import Mesh

BESIDE = {
    "sidecar.istio.io/nativeSidecar": "false",
    "proxy.istio.io/config": '{"holdApplicationUntilProxyStarts": true}',
}
READY_WITHIN = 120.0


def proxy_of(pod: dict[str, Any]) -> dict[str, Any]:
    """The status of the pod's proxy, whichever way it runs."""
    status = pod["status"]
    entries = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    return next(entry for entry in entries if entry["name"] == "istio-proxy")


@pytest.mark.parametrize("annotations", [{}, BESIDE], ids=["native", "beside"])
def test_an_injected_pod_becomes_ready_and_does_so_again_when_its_proxy_died(
    mesh: Mesh, annotations: dict[str, str]
) -> None:
    namespace = mesh.namespace()
    source, url = Inside(namespace, "client"), f"http://echo.{namespace}/"
    mesh.apply(
        *manifests.echo(namespace, annotations=annotations),
        *manifests.client(namespace, annotations=annotations),
    )
    for app in ("echo", "client"):
        mesh.wait_until(f"{app} is ready", lambda app=app: mesh.ready(namespace, app), READY_WITHIN)
    # A client that is ready may not know yet where the echo is.
    mesh.wait_until("the echo answers", lambda: get(mesh, source, url).status == 200)
    (pod,) = mesh.pods(namespace, "app=client")
    beside = any(container["name"] == "istio-proxy" for container in pod["spec"]["containers"])
    assert beside == bool(annotations)
    network = f"{namespace}.{pod['metadata']['name']}"
    for number in mesh.sandbox.run("ip", "netns", "pids", network).stdout.split():
        name = mesh.sandbox.run("cat", f"/proc/{number}/comm", check=False).stdout.strip()
        if name == "pilot-agent":
            mesh.sandbox.run("kill", "-KILL", number)

    def restarted() -> bool:
        (pod,) = mesh.pods(namespace, "app=client")
        return bool(proxy_of(pod)["restartCount"] == 1) and mesh.ready(namespace, "client")

    mesh.wait_until("the proxy is back", restarted, READY_WITHIN)
    mesh.wait_until("it serves again", lambda: get(mesh, source, url).status == 200)
