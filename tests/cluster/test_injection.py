"""istioctl and our injection rules agree on who is injected, over a grid of labels."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator, Mapping

import pytest
from tests.bundle.istio_manifests import webhooks
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import require
from tests.tools.programs import located

from istio_netpol.istio.view.injection import injection_of
from istio_netpol.istio.view.injectors import Injectors
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.settings import MeshSettings
from istio_netpol.model.workloads import Namespace, Workload
from istio_netpol.state.reader import Reader
from istio_netpol.state.snapshot import Snapshot

NAMESPACES: tuple[Mapping[str, str], ...] = (
    {},
    {"istio-injection": "enabled"},
    {"istio-injection": "disabled"},
    {"istio.io/rev": "default"},
    {"istio-injection": "enabled", "istio.io/rev": "default"},
    {"istio-injection": "disabled", "istio.io/rev": "default"},
)
PODS: tuple[Mapping[str, str], ...] = (
    {"app": "a"},
    {"sidecar.istio.io/inject": "true"},
    {"sidecar.istio.io/inject": "false"},
    {"istio.io/rev": "default"},
    {"sidecar.istio.io/inject": "true", "istio.io/rev": "default"},
    {"sidecar.istio.io/inject": "false", "istio.io/rev": "default"},
)
PATH = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


@pytest.fixture
def injector(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """The API server with the webhooks of Istio's default profile, which call nobody."""
    configurations = webhooks("--set", "profile=default")
    assert configurations
    for configuration in configurations:
        control_plane.create(PATH, configuration)
    yield control_plane
    for configuration in configurations:
        control_plane.api().request("DELETE", f"{PATH}/{configuration['metadata']['name']}")


def says_istioctl(plane: ControlPlane, namespace: str, pod: Mapping[str, str]) -> bool:
    """Whether any webhook would inject the pod, as `istioctl experimental check-inject` tells it."""
    labels = ",".join(f"{key}={value}" for key, value in pod.items())
    command = [str(located("istioctl")), "experimental", "check-inject", "-n", namespace, "-l", labels]
    command += ["--kubeconfig", str(plane.kubeconfig())]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line for line in done.stdout.splitlines() if line.startswith("istio-")]
    assert rows, done.stdout + done.stderr
    return any("✔" in row for row in rows)


def says_our_rule(namespace: Mapping[str, str], pod: Mapping[str, str]) -> bool:
    """What the engine takes for granted."""
    home = Namespace(ObjectRef("v1", "Namespace", "", "shop"), namespace)
    workload = Workload(ObjectRef("v1", "Pod", "shop", "a"), pod)
    injectors = Injectors(Reader(Snapshot.of([home, workload])), "istio-system")
    return injection_of(workload, home, MeshSettings(), injectors).injected


def test_nobody_is_injected_against_our_word(injector: ControlPlane) -> None:
    """The table of differences over all pairs of namespace and pod labels is empty."""
    require("istioctl")
    names = [injector.namespace(labels) for labels in NAMESPACES]
    differences = [
        (dict(labels), dict(pod))
        for (name, labels), pod in itertools.product(zip(names, NAMESPACES, strict=True), PODS)
        if says_istioctl(injector, name, pod) != says_our_rule(labels, pod)
    ]
    assert differences == []
