"""A whole little cluster: control plane, custom resources, and the chart at work in it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.control_plane import ControlPlane
from tests.cluster.crds import ISTIO, define
from tests.cluster.fixtures import started
from tests.controller.process import ControllerProcess
from tests.live.injector import injecting
from tests.live.installation import Installation, installed
from tests.live.service_network import ServiceNetwork
from tests.serving.process import WebhookProcess

SYSTEM = Path(__file__).parents[1] / "scenarios" / "_control_plane"
ACCOUNTS = "system:serviceaccounts:istio-netpol"

AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "userGroups": [ACCOUNTS]}, {"level": "None"}],
}
"""What our own ServiceAccounts ask of the API server, and nothing else."""


@dataclass(frozen=True)
class Live:
    """What is at work, and the file to which the API server writes what our accounts asked of it."""

    plane: ControlPlane
    installation: Installation
    webhook: WebhookProcess
    controller: ControllerProcess
    audit: Path


def in_mode(mode: str, **settings: Mapping[str, Any]) -> dict[str, Any]:
    """The chart's values for a cluster in which namespaces are of that mode unless they say otherwise."""
    config = {**settings, "admission": {"defaultMode": mode, **settings.get("admission", {})}}
    return {"augment": {"enabled": mode == "augment"}, "config": config}


@contextlib.contextmanager
def live_cluster(
    folder: Path, values: Mapping[str, Any], modules: Sequence[str] = (ISTIO,)
) -> Iterator[Live]:
    """Has cluster DNS, Istio's kinds, injection and an empty istio-system, as an administrator begins."""
    policy, audit = folder / "audit-policy.json", folder / "audit.log"
    policy.write_text(json.dumps(AUDIT))
    with contextlib.ExitStack() as stack:
        network = stack.enter_context(ServiceNetwork())
        audited = (f"--audit-policy-file={policy}", f"--audit-log-path={audit}")
        (folder / "cluster").mkdir()
        plane = stack.enter_context(started(folder / "cluster", (*network.options(folder), *audited)))
        plane.start_controller_manager()
        define(plane, *modules)
        stack.enter_context(injecting(plane))
        kubectl = plane.kubectl()
        for arguments in (
            ("create", "namespace", "istio-system"),
            ("apply", "-f", str(SYSTEM / "cluster-dns.yaml")),
        ):
            done = kubectl(*arguments)
            assert done.code == 0, done.stderr
        # As the chart asks: the ports by which this cluster's API server is reached.
        own = {"networkPolicies": {"apiServer": {"ports": [plane.port]}}}
        ours = installed(plane, network, folder, {**values, **own})
        installation, webhook, controller = stack.enter_context(ours)
        yield Live(plane, installation, webhook, controller, audit)
