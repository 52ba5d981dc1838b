"""Flux itself applies what docs/flux.md shows: its kustomize-controller, with an artifact served here."""

from __future__ import annotations

import hashlib
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.argocd.chronicle import Chronicle
from tests.bundle.overlays import filled_tree
from tests.cluster.control_plane import ControlPlane
from tests.cluster.crds import FLUX_KUSTOMIZE, FLUX_SOURCE, define
from tests.cluster.fixtures import require, require_go, started
from tests.cluster.server_process import ServerProcess, free_port
from tests.gitops.test_flux import OWN, shown
from tests.tools.programs import located

NAMESPACE = "flux-system"
SOURCES = f"/apis/source.toolkit.fluxcd.io/v1/namespaces/{NAMESPACE}/gitrepositories"
STEPS = ("istio-netpol-allow", "istio-netpol-deny")
WITHIN = 90.0


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    """A cluster with Flux's kinds and its kustomize-controller."""
    require("kustomize-controller", "kubectl")
    require_go()
    (tmp_path / "plane").mkdir()
    with started(tmp_path / "plane") as plane:
        plane.kubectl()("create", "namespace", NAMESPACE)
        define(plane, FLUX_SOURCE, FLUX_KUSTOMIZE)
        options = [f"--metrics-addr=127.0.0.1:{free_port()}", f"--health-addr=127.0.0.1:{free_port()}"]
        options += ["--requeue-dependency=1s", "--watch-all-namespaces=true"]
        environment = {
            "KUBECONFIG": str(plane.kubeconfig()),
            "RUNTIME_NAMESPACE": NAMESPACE,
            "HOME": str(tmp_path),
        }
        command = [Path(str(located("kustomize-controller"))), *options]
        controller = ServerProcess(tmp_path, command, {**environment, "TMPDIR": str(tmp_path)})
        controller.start()
        try:
            yield plane
        finally:
            controller.stop()


@pytest.fixture
def artifacts(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder that is served, and its address: what Flux's source-controller does."""
    folder = tmp_path / "artifacts"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def publish(plane: ControlPlane, tree: Path, artifacts: tuple[Path, str], revision: str) -> None:
    """Packs the tree as the artifact of a revision, and says so in the source's status."""
    folder, address = artifacts
    packed = folder / f"{revision}.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(tree, "kustomize")
    digest = hashlib.sha256(packed.read_bytes()).hexdigest()
    artifact = {
        "path": packed.name,
        "url": f"{address}/{packed.name}",
        "revision": f"v0.1.0@sha1:{revision}",
        "digest": f"sha256:{digest}",
        "lastUpdateTime": "2026-11-30T00:00:00Z",
        "size": packed.stat().st_size,
    }
    stored = plane.api().request("GET", f"{SOURCES}/istio-netpol").object
    answer = plane.api().request(
        "PUT", f"{SOURCES}/istio-netpol/status", {**stored, "status": {"artifact": artifact}}
    )
    assert answer.status == 200, answer.object


def status(plane: ControlPlane, step: str) -> dict[str, Any]:
    where = ("kustomization.kustomize.toolkit.fluxcd.io", step, "--namespace", NAMESPACE, "--output", "json")
    return dict(plane.kubectl()("get", *where).json.get("status", {}))


def wait_until_applied(plane: ControlPlane, revision: str) -> None:
    """Until both steps have the revision; otherwise fails with what Flux says."""

    def applied() -> bool:
        return all(revision in status(plane, step).get("lastAppliedRevision", "") for step in STEPS)

    try:
        plane.wait_until("both are applied", applied, seconds=WITHIN, every=0.3)
    except AssertionError as error:
        said = {step: status(plane, step).get("conditions") for step in STEPS}
        raise AssertionError(f"{error}: {said}") from None


def test_flux_denies_last_and_keeps_what_others_write(
    plane: ControlPlane, artifacts: tuple[Path, str], tmp_path: Path
) -> None:
    """A policy of a user's comes before the denials though its name sorts after them; a commit that changes
    both prunes what left; what is not Flux's stays."""
    tree = filled_tree(tmp_path)
    overlay = tree / "overlays" / "kind"
    file = overlay / "kustomization.yaml"
    file.write_text(file.read_text().replace("- values.yaml\n", "- values.yaml\n- own.yaml\n"))
    (overlay / "own.yaml").write_text(OWN)
    kubectl = plane.kubectl()
    (source,) = shown("GitRepository").values()
    steps = [{**step, "spec": {**step["spec"], "interval": "5s"}} for step in shown("Kustomization").values()]
    chronicle = Chronicle(plane, tmp_path / "chronicle", "networkpolicies")
    chronicle.start()
    try:
        applied = kubectl.apply(source, *steps, options=("--server-side", "--validate=strict"))
        assert applied.code == 0, applied.stderr
        publish(plane, tree, artifacts, 40 * "1")
        wait_until_applied(plane, 40 * "1")
        added = {event.name: event.number for event in chronicle.events() if event.change == "ADDED"}
        denials = {"zz-default-deny", "a-deny-of-mine"}
        assert denials | {"zzz-mine", "istiod-to-dns", "istiod-to-apiserver"} <= added.keys()
        allowed = max(number for name, number in added.items() if name not in denials)
        assert allowed < min(added[name] for name in denials)
        generated = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "generated", "namespace": "istio-system"},
            "spec": {"podSelector": {"matchLabels": {"app": "istiod"}}, "policyTypes": ["Ingress"]},
        }
        assert kubectl.apply(generated).code == 0
        (overlay / "own.yaml").write_text(OWN.replace("zzz-mine", "zzz-renamed"))
        publish(plane, tree, artifacts, 40 * "2")
        wait_until_applied(plane, 40 * "2")
        names = kubectl("get", "networkpolicies", "--namespace", "istio-system", "--output", "name").stdout
        assert "zzz-mine" not in names
        assert {"zzz-renamed", "generated", "zz-default-deny"} <= {
            line.rpartition("/")[2] for line in names.splitlines()
        }
    finally:
        chronicle.stop()
