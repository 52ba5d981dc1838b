"""The main job in under a minute: five scenarios, each refused, completed and admitted over HTTPS.

A folder stands for the cluster, and grows from scene to scene. Everything else is what runs in production:
`istio-netpol serve`, its certificate, AdmissionReviews as an API server sends them.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from tests.demo.telling import Telling  # noqa: E402
from tests.serving.cluster import Cluster, Manifest, described, manifests  # noqa: E402
from tests.serving.process import WebhookProcess  # noqa: E402
from tests.serving.reviews import review  # noqa: E402

SCENARIOS = ROOT / "tests" / "scenarios"
TAKEN_IN = "the source was read"
JWKS_HOST = "raw.githubusercontent.com"
JWKS_ADDRESSES = ",".join(f"185.199.{part}.133" for part in (108, 109, 110, 111))


@dataclass(frozen=True, slots=True)
class Scene:
    """One scenario: what happens, what is submitted (the rest is there already), and how the policy of the
    remedy is named that tells most."""

    folder: str
    tells: str
    submits: str
    shows: str


SCENES = (
    Scene(
        "control-plane",
        "Somebody switches on deny-all in istio-system. istiod would lose the API server and much more.",
        "NetworkPolicy/istio-system/default-deny",
        "egress-istiod-",
    ),
    Scene(
        "sidecar-injection",
        "A team deploys httpbin into a deny-all namespace. Its sidecar would find neither DNS nor istiod.",
        "Deployment/my-namespace/httpbin",
        "proxy-to-istiod-",
    ),
    Scene(
        "sidecar-to-sidecar",
        "Two workloads in deny-all namespaces declare that they call each other, and no policy lets them.",
        "Deployment/namespace-b/nginx",
        "workload-to-workload-",
    ),
    Scene(
        "virtual-service",
        "httpbin is exposed. Users would see errors: the gateway may not send to it, nor it receive.",
        "VirtualService/my-virtualservice-namespace/httpbin",
        "gateway-to-workload-",
    ),
    Scene(
        "request-authentication",
        "JWTs are to be checked. Users would see 401 for good tokens: istiod may not fetch the keys.",
        "RequestAuthentication/my-virtualservice-namespace/httpbin-jwt",
        "istiod-to-jwks-",
    ),
)


class Demo:
    """The cluster, the webhook, and how they are shown."""

    def __init__(self, cluster: Cluster, webhook: WebhookProcess, telling: Telling) -> None:
        self.cluster = cluster
        self.webhook = webhook
        self.telling = telling

    def play(self, number: int, scene: Scene) -> None:
        """One scene: the object comes to a cluster that is otherwise complete, first in mode reject."""
        self.telling.scene(number, scene.tells)
        found = {
            described(manifest): manifest for manifest in manifests([SCENARIOS / scene.folder / "before"])
        }
        submitted = found.pop(scene.submits)
        self._change("augment", list(found.values()))
        self._change("reject")
        self._refused(submitted, scene.shows)
        self._change("augment")
        self._completed(submitted)

    def _change(self, mode: str, found: Sequence[Manifest] = ()) -> None:
        """Brings the folder into a state, and waits until the webhook goes by it."""
        mark = self.webhook.mark
        self.cluster.set_mode(mode)
        self.cluster.apply(*found)
        self.webhook.wait_for(TAKEN_IN, mark)

    def _refused(self, manifest: Manifest, shows: str) -> None:
        response = self.webhook.review("validate", review(manifest))
        assert not response["allowed"], f"{described(manifest)} was expected to be refused"
        self.telling.submitted("reject", manifest)
        self.telling.refused(response["status"], shows)

    def _completed(self, manifest: Manifest) -> None:
        before = set(self.cluster.generated)
        self.webhook.review("mutate", review(manifest))
        is_written_before = set(self.cluster.generated) > before
        response = self.webhook.review("validate", review(manifest))
        assert response["allowed"], response["status"]["message"]
        mark = self.webhook.mark
        self.cluster.apply(manifest)
        self.webhook.wait_for(TAKEN_IN if is_written_before else "policy added", mark)
        self.telling.submitted("augment", manifest)
        self.telling.admitted(sorted(set(self.cluster.generated) - before), is_written_before)


def main() -> None:
    """Plays all scenes."""
    started = time.monotonic()
    telling = Telling()
    with tempfile.TemporaryDirectory(prefix="istio-netpol-demo-") as name:
        cluster = Cluster(Path(name))
        cluster.apply(*manifests([SCENARIOS / "_control_plane"]))
        with WebhookProcess(cluster.folder, "--address", f"{JWKS_HOST}={JWKS_ADDRESSES}") as webhook:
            webhook.wait_for(TAKEN_IN)
            telling.opening(webhook.url.geturl())
            for number, scene in enumerate(SCENES, 1):
                Demo(cluster, webhook, telling).play(number, scene)
    telling.closing(len(SCENES), time.monotonic() - started)


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        # The reader has seen enough (`make demo | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
