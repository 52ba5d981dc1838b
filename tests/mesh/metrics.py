"""Metrics of Istio, as whoever scrapes them gets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.mesh.traffic import Answer, Inside, get

if TYPE_CHECKING:
    from tests.mesh.mesh import Mesh

ISTIOD_PORT = 15014
"""Where istiod has its own metrics. Proxies have theirs elsewhere, and at another path."""


def scraped(mesh: Mesh, scraper: Inside, namespace: str, app: str, port: int) -> Answer:
    """What the only pod of an app answers to who asks for its metrics."""
    path = "metrics" if port == ISTIOD_PORT else "stats/prometheus"
    return get(mesh, scraper, f"http://{address(mesh, namespace, app)}:{port}/{path}", timeout=30)


def address(mesh: Mesh, namespace: str, app: str) -> str:
    """Where the only pod of an app is."""
    (pod,) = [pod for pod in mesh.pods(namespace, f"app={app}") if "deletionTimestamp" not in pod["metadata"]]
    return str(pod["status"]["podIP"])
