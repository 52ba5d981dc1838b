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
from typing import TYPE_CHECKING, Any, Self

import pytest
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


def proves(kind: FlowKind, *symptoms: str) -> pytest.MarkDecorator:
    """Has a test show that flows of a kind are needed: it is given the kind, which it leaves out, and the
    rows of docs/symptoms.md that it has to see then."""
    return pytest.mark.parametrize(("kind", "symptoms"), [pytest.param(kind, symptoms, id=kind)])


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
    return {told.sighting.symptom.id for told in read_text(seen).seen}


class Policies:
    """Deny-alls in some namespaces, and what `generate` answers to them; they go when the block ends.

    Nothing is open that it does not print, so what works then works by its policies alone.
    """

    def __init__(
        self, mesh: Mesh, namespaces: Sequence[str], settings: Mapping[str, Any] | None = None
    ) -> None:
        self._mesh = mesh
        self._settings = settings
        self._namespaces = frozenset(namespaces)
        self.denials = [deny_all(namespace) for namespace in namespaces]
        self.generated: list[Manifest] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def deny(self) -> None:
        """Applies the deny-alls, once nothing is left of earlier tests for which ports would be opened."""
        self._mesh.wait_until("no namespace is being removed", lambda: not _terminating(self._mesh), 120)
        self._mesh.apply(*self.denials)

    def allow(self, *kinds: str) -> None:
        """Has the missing policies generated, and applies those of these namespaces: all, or those of some
        kinds of flow."""
        missing = [
            policy
            for policy in generated(self._mesh, self._settings)
            if policy["metadata"]["namespace"] in self._namespaces
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
        with self._mesh.without(*left_out):
            yield


def _terminating(mesh: Mesh) -> list[str]:
    """The namespaces that are being removed."""
    namespaces = mesh.api.request("GET", "/api/v1/namespaces").object["items"]
    return [
        namespace["metadata"]["name"]
        for namespace in namespaces
        if "deletionTimestamp" in namespace["metadata"]
    ]


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
