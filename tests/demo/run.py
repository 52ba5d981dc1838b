"""The main job in under a minute: five scenarios, each refused, completed and admitted over HTTPS.

A folder stands for the cluster, and grows from scene to scene. Everything else is what runs in production:
`istio-netpol serve`, its certificate, AdmissionReviews as an API server sends them.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from tests.serving.cluster import Cluster, Manifest, described, manifests  # noqa: E402
from tests.serving.process import WebhookProcess  # noqa: E402
from tests.serving.reviews import review  # noqa: E402

SCENARIOS = ROOT / "tests" / "scenarios"
SHOWN_LINES = 34
TAKEN_IN = "the source was read"
JWKS_HOST = "raw.githubusercontent.com"
JWKS_ADDRESSES = ",".join(f"185.199.{part}.133" for part in (108, 109, 110, 111))


@dataclass(frozen=True, slots=True)
class Scene:
    """One scenario, and the objects of it that are sent for review; the others are there already."""

    folder: str
    tells: str
    submits: Sequence[str]


SCENES = (
    Scene(
        "control-plane",
        "Somebody switches on deny-all in istio-system. istiod would lose the API server, the gateway users.",
        ("NetworkPolicy/istio-system/default-deny",),
    ),
    Scene(
        "sidecar-injection",
        "A team deploys httpbin into a deny-all namespace. Its sidecar would find neither DNS nor istiod.",
        ("Deployment/my-namespace/httpbin",),
    ),
    Scene(
        "sidecar-to-sidecar",
        "Two workloads declare that they call each other, and no policy lets them.",
        ("Deployment/namespace-a/nginx", "Deployment/namespace-b/nginx"),
    ),
    Scene(
        "virtual-service",
        "httpbin is exposed. Users would see 504: the gateway may not send to the pod, nor the pod receive.",
        (
            "Deployment/my-virtualservice-namespace/httpbin",
            "VirtualService/my-virtualservice-namespace/httpbin",
        ),
    ),
    Scene(
        "request-authentication",
        "JWTs are to be checked. Users would see 401 for good tokens: istiod may not fetch the keys.",
        ("RequestAuthentication/my-virtualservice-namespace/httpbin-jwt",),
    ),
)


class Demo:
    """The cluster, the webhook, and how they are shown."""

    def __init__(self, cluster: Cluster, webhook: WebhookProcess) -> None:
        self.cluster = cluster
        self.webhook = webhook

    def play(self, number: int, scene: Scene) -> None:
        """One scene, in mode reject and then in mode augment."""
        print(f"\n{number}. {scene.tells}")
        found = {described(each): each for each in manifests([SCENARIOS / scene.folder / "before"])}
        submitted = [found[name] for name in scene.submits]
        self._change("reject", [each for name, each in found.items() if name not in scene.submits])
        for each in submitted[:1]:
            self._refused(each)
        self._change("augment", [])
        for each in submitted:
            self._completed(each)

    def _change(self, mode: str, found: Sequence[Manifest]) -> None:
        """Brings the folder into a state, and waits until the webhook goes by it."""
        mark = self.webhook.mark
        self.cluster.set_mode(mode)
        self.cluster.apply(*found)
        self.webhook.wait_for(TAKEN_IN, mark)

    def _refused(self, manifest: Manifest) -> None:
        response = self.webhook.review("validate", review(manifest))
        assert not response["allowed"], f"{described(manifest)} was expected to be refused"
        print(f"\n   mode reject: POST /validate {described(manifest)}\n   => refused:\n")
        lines = response["status"]["message"].splitlines()
        print("\n".join(f"   | {line}" for line in lines[:SHOWN_LINES]))
        if len(lines) > SHOWN_LINES:
            print(f"   | ... ({len(lines) - SHOWN_LINES} more lines)")

    def _completed(self, manifest: Manifest) -> None:
        print(f"\n   mode augment: POST /mutate, POST /validate {described(manifest)}")
        before = set(self.cluster.generated)
        added = self.webhook.review("mutate", review(manifest)).get("warnings", [])
        response = self.webhook.review("validate", review(manifest))
        assert response["allowed"], response["status"]["message"]
        for warning in dict.fromkeys((*added, *response.get("warnings", ()))):
            print(f"   => {warning}")
        mark = self.webhook.mark
        self.cluster.apply(manifest)
        self.webhook.wait_for(TAKEN_IN, mark)
        print("   => admitted; the cluster has these new policies:")
        for file in self._settled(before):
            print(f"      {file.relative_to(self.cluster.folder)}")

    def _settled(self, before: set[Path]) -> list[Path]:
        """The new files, once no more come: what a deny-all cuts is added right after it is stored."""
        new: set[Path] = set()
        ends = time.monotonic() + 5
        while time.monotonic() < ends:
            now = set(self.cluster.generated) - before
            if now and now == new:
                break
            new = now
            time.sleep(0.3)
        return sorted(new)


def main() -> None:
    """Plays all scenes."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="istio-netpol-demo-") as name:
        cluster = Cluster(Path(name))
        cluster.apply(*manifests([SCENARIOS / "_control_plane"]))
        print("A cluster with Istio and Kyma's Istio operator, as a folder of manifests.")
        with WebhookProcess(cluster.folder, "--address", f"{JWKS_HOST}={JWKS_ADDRESSES}") as webhook:
            webhook.wait_for(TAKEN_IN)
            print(f"istio-netpol serve answers at {webhook.url.geturl()}, with a certificate that it made.")
            for number, scene in enumerate(SCENES, 1):
                Demo(cluster, webhook).play(number, scene)
    print(f"\nFive scenarios, refused and completed over HTTPS in {time.monotonic() - started:.0f} s.")
    print(
        "\nWhere to go next:\n"
        "  .venv/bin/istio-netpol check PATH         what your own manifests lack\n"
        "  .venv/bin/istio-netpol generate PATH      the missing policies as YAML\n"
        "  .venv/bin/istio-netpol explain --help     why a connection is blocked\n"
        "  docs/                                     commands, settings, and a page for each rule"
    )


if __name__ == "__main__":
    main()
