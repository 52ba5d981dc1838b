"""Whether connections of a kind are needed: with all generated policies the mesh works under a deny-all, and
without those of the kind a symptom shows."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from tests.mesh.manifests import deny_all
from tests.mesh.outside import API, IDENTITY
from tests.mesh.topology import OUTSIDE

from istio_netpol.model.flows import FlowKind
from istio_netpol.symptoms.paste import read_text

if TYPE_CHECKING:
    from tests.mesh.mesh import Mesh

Manifest = dict[str, Any]

FLOW = "istio-netpol.io/flow"
SOURCE_ROOT = Path(__file__).parents[2] / "webhook"
ADDRESSES = (f"--address={IDENTITY}={OUTSIDE['identity']}", f"--address={API}={OUTSIDE['api']}")
"""Whoever runs the command on this machine can't ask the DNS of the mesh's outside."""


SHOWN: Mapping[FlowKind, tuple[str, ...]] = {
    FlowKind.DNS: ("dns-refused", "dns-no-answer"),
    FlowKind.PROXY_TO_ISTIOD: ("istiod-not-reached", "pod-in-init", "proxy-probe"),
    FlowKind.GATEWAY_TO_ISTIOD: ("istiod-not-reached", "pod-not-ready", "proxy-probe", "connect-denied"),
    FlowKind.TO_APISERVER: ("istiod-waits-for-sync",),
    FlowKind.WEBHOOK_FROM_APISERVER: ("webhook-refused", "webhook-no-answer"),
    FlowKind.SCRAPE: ("scrape-failed",),
    FlowKind.CLIENT_TO_GATEWAY: ("connect-denied", "connect-timed-out"),
    FlowKind.GATEWAY_TO_WORKLOAD: ("connect-refused", "request-timeout"),
    FlowKind.WORKLOAD_TO_WORKLOAD: ("connect-refused",),
    FlowKind.WORKLOAD_TO_EXTERNAL: ("connect-refused", "connection-reset"),
    FlowKind.EXT_AUTHZ: ("authorizer-not-reached",),
    FlowKind.TRACING: ("spans-dropped",),
    FlowKind.ISTIOD_TO_JWKS: ("keys-wrong", "keys-not-fetched"),
}
"""What shows in the mesh where the policies of a kind are missing: rows of docs/symptoms.md. Only a mesh in
ambient mode has `hbone`."""


def generated(mesh: Mesh, settings: Mapping[str, Any] | None = None) -> list[Manifest]:
    """The policies that `istio-netpol generate` prints for the objects of the running cluster, with settings
    that are not the default."""
    file = mesh.sandbox.folder / "istio-netpol.yaml"
    content = {"apiVersion": "istio-netpol.io/v1", "kind": "Settings", **(settings or {})}
    file.write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "istio_netpol", "generate", "--all-namespaces", "--offline", *ADDRESSES]
    command.append(f"--config={file}")
    environment = {"PYTHONPATH": str(SOURCE_ROOT), "KUBECONFIG": str(mesh.kubectl.kubeconfig)}
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return [policy for policy in yaml.safe_load_all(done.stdout) if policy]


def kind_of(policy: Manifest) -> str:
    """The kind of flow that a generated policy allows."""
    return str(policy["metadata"]["labels"][FLOW])


def shown(seen: str) -> set[str]:
    """The rows of docs/symptoms.md that our own reader finds in what somebody saw."""
    return {found.sighting.symptom.id for found in read_text(seen).seen}


class Policies:
    """Deny-alls in some namespaces, and what `generate` answers to them.

    Nothing is open that it does not print, so what works then works by its policies alone.
    """

    def __init__(
        self, mesh: Mesh, namespaces: Sequence[str], settings: Mapping[str, Any] | None = None
    ) -> None:
        self._mesh = mesh
        self._settings = settings
        self.denials = [deny_all(namespace) for namespace in namespaces]
        self.generated: list[Manifest] = []

    def deny(self) -> None:
        """Applies the deny-alls."""
        self._mesh.apply(*self.denials)

    def allow(self, *kinds: str) -> None:
        """Has the missing policies generated, and applies them: all, or those of some kinds of flow."""
        missing = [
            policy
            for policy in generated(self._mesh, self._settings)
            if not kinds or kind_of(policy) in kinds
        ]
        self.generated += missing
        self._mesh.apply(*missing)
        self._mesh.settled()

    def remove(self) -> None:
        """Removes them and the deny-alls."""
        self._mesh.delete(*self.generated, *self.denials)
        self._mesh.settled()

    @contextlib.contextmanager
    def without(self, kind: str) -> Iterator[None]:
        """Leaves out the policies of one kind of flow for as long as the block runs."""
        left_out = [policy for policy in self.generated if kind_of(policy) == kind]
        assert left_out, f"nothing was generated for {kind}"
        self._mesh.delete(*left_out)
        self._mesh.settled()
        try:
            yield
        finally:
            self._mesh.apply(*left_out)
            self._mesh.settled()


@contextlib.contextmanager
def mesh_config(mesh: Mesh, **fields: Any) -> Iterator[None]:
    """Sets fields of Istio's mesh config for as long as the block runs."""
    place = ("configmap", "istio", "--namespace", "istio-system")
    stored = mesh.kubectl("get", *place, "--output", "json").json["data"]["mesh"]
    try:
        _store(mesh, place, yaml.safe_dump({**yaml.safe_load(stored), **fields}))
        yield
    finally:
        _store(mesh, place, stored)


def _store(mesh: Mesh, place: Sequence[str], content: str) -> None:
    patch = json.dumps({"data": {"mesh": content}})
    done = mesh.kubectl("patch", *place, "--type=merge", f"--patch={patch}")
    assert done.code == 0, done.stderr
