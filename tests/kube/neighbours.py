"""Two tenants of one webhook: what one of them does, and how the other fares meanwhile."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from tests.admission.objects import request_authentication
from tests.cluster.control_plane import ControlPlane
from tests.kube.manifests import DENY_ALL, deployment
from tests.serving.cluster import manifests
from tests.serving.process import READY, WebhookProcess, read_reply
from tests.serving.reviews import review

from istio_netpol.model.own_names import MODE_LABEL, REQUIRED_BY

ROOT = "istio-system"
CONTROL_PLANE = Path(__file__).parents[1] / "scenarios" / "_control_plane"
NATIVE = {"Namespace", "Deployment", "Service", "ConfigMap", "ServiceAccount"}
POLICIES = "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies"

Body = Callable[[str, int], bytes]
"""The review of the so-and-so-many-th object of a namespace."""


def keys_at_an_address(home: str, number: int) -> bytes:
    """A RequestAuthentication whose keys lie at an address of its own: a policy of istiod."""
    high, low = divmod(number, 250)
    address = f"{104 + int(home.rpartition('-')[2]) % 64}.101.{high}.{low + 1}"
    return review(request_authentication(f"{home}/keys-{number}", f"https://{address}/keys"))


def keys_of_a_silent_host(home: str, number: int) -> bytes:
    """A RequestAuthentication whose host's name server never answers."""
    return review(request_authentication(f"{home}/silent-{number}", f"https://h{number}.{home}.example/keys"))


def workload(home: str, number: int) -> bytes:
    """A Deployment, which names no host."""
    return review(deployment(f"web-{number}", home))


@dataclass
class Fared:
    """How reviews of one tenant went: milliseconds of each, and warnings of policies that were not added."""

    milliseconds: list[float] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Neighbours:
    """A webhook that follows a cluster in which two tenants are under deny-all, and istio-system."""

    plane: ControlPlane
    webhook: WebhookProcess
    attacker: str
    victim: str

    def reviewed(self, home: str, body: Body, numbers: Iterator[int], pause: float, seconds: float) -> Fared:
        """Reviews of new objects, one after the other on one connection, with a pause between them."""
        fared = Fared()
        ends = time.monotonic() + seconds
        with contextlib.closing(self.webhook.connect()) as connection:
            while time.monotonic() < ends:
                sent = body(home, next(numbers))
                started = time.perf_counter()
                connection.request("POST", "/mutate", sent, {"Content-Type": "application/json"})
                reply = read_reply(connection)
                fared.milliseconds.append((time.perf_counter() - started) * 1000)
                warnings = json.loads(reply.body)["response"].get("warnings", ())
                fared.withheld += [warning for warning in warnings if "could not add" in warning]
                time.sleep(pause)
        return fared

    @contextlib.contextmanager
    def attacked(self, body: Body, clients: int, pause: float = 0.0) -> Iterator[list[Fared]]:
        """The attacker sends reviews from so many clients until the block ends; how it fared, then."""
        numbers, over = count(), threading.Event()
        fared: list[Fared] = []

        def attack() -> None:
            while not over.is_set():
                fared.append(self.reviewed(self.attacker, body, numbers, pause, 0.2))

        threads = [threading.Thread(target=attack) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield fared
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def generated(self) -> list[dict[str, Any]]:
        """The policies that were written beside istiod."""
        items = self.plane.api().request("GET", POLICIES.format(ROOT)).object["items"]
        return [item for item in items if REQUIRED_BY in item["metadata"].get("annotations", {})]


@contextlib.contextmanager
def neighbours(plane: ControlPlane, folder: Path, admission: dict[str, Any]) -> Iterator[Neighbours]:
    """Started; at the end of the block istio-system is as it was."""
    native = [manifest for manifest in manifests([CONTROL_PLANE]) if manifest["kind"] in NATIVE]
    applied = plane.kubectl().apply(*sorted(native, key=lambda manifest: manifest["kind"] != "Namespace"))
    assert applied.code == 0, applied.stderr
    attacker, victim = (plane.namespace({MODE_LABEL: "augment"}) for _ in range(2))
    for home in (attacker, victim, ROOT):
        plane.create(POLICIES.format(home), DENY_ALL)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        servers = [f"127.0.0.1:{silent.getsockname()[1]}"]
        settings = folder / "settings.yaml"
        head = {"apiVersion": "istio-netpol.io/v1", "kind": "Settings"}
        settings.write_text(json.dumps({**head, "dns": {"servers": servers}, "admission": admission}))
        environment = {"KUBECONFIG": str(plane.kubeconfig())}
        try:
            with WebhookProcess(
                "cluster", "--config", str(settings), offline=False, environment=environment
            ) as webhook:
                webhook.wait_for(READY)
                yield Neighbours(plane, webhook, attacker, victim)
        finally:
            plane.api().request("DELETE", POLICIES.format(ROOT))
