"""Argo CD on an API server: its own processes, with the configuration that its manifests ship."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cluster.control_plane import ControlPlane
from tests.cluster.crds import ARGO_CD, module_folder
from tests.cluster.server_process import ServerProcess, free_port
from tests.cluster.users import ADMIN
from tests.tools.programs import located

NAMESPACE = "argocd"
IN_CLUSTER = "https://kubernetes.default.svc"
HEALTH = Path(__file__).parents[2] / "argocd" / "argocd-cm.yaml"
ENVIRONMENT_LABEL = "istio-netpol.io/environment"
COMPONENTS = ("application-controller", "applicationset-controller", "repo-server")


class ArgoCD:
    """The controllers and the repo server, without user interface; they look for commits often."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self.folder = folder
        self._plane = plane
        self._kubectl = plane.kubectl()
        for name in COMPONENTS:
            (folder / f"argocd-{name}").symlink_to(str(located("argocd")))
        for name in ("helm", "kustomize"):
            (folder / name).symlink_to(str(located(name)))
        self._redis = f"127.0.0.1:{free_port()}"
        self._repo_server = f"127.0.0.1:{free_port()}"
        environment = {
            "PATH": f"{folder}:/usr/bin:/bin",
            "KUBECONFIG": str(plane.kubeconfig()),
            "ARGOCD_FAKE_IN_CLUSTER": "true",
            "ARGOCD_GPG_ENABLED": "false",
            "ARGOCD_APPLICATION_CONTROLLER_REPO_SERVER_PLAINTEXT": "true",
            "ARGOCD_SYNC_WAVE_DELAY": "1",  # seconds; it is two by itself
        }
        commands = (self._cache(), self._renders(), self._syncs(), self._generates())
        self.processes = tuple(ServerProcess(folder, command, environment) for command in commands)

    def install(self) -> None:
        """ConfigMaps and Secret, the health of Applications as this repository has it, and the processes."""
        self._do("create", "namespace", NAMESPACE)
        configuration = module_folder(ARGO_CD) / "manifests" / "base" / "config"
        self._do("apply", "--namespace", NAMESPACE, "--kustomize", str(configuration))
        in_argocd = ("--namespace", NAMESPACE)
        self._do("patch", *in_argocd, "configmap", "argocd-cm", "--patch-file", str(HEALTH))
        key = json.dumps({"stringData": {"server.secretkey": "signs nothing: there is no argocd-server"}})
        self._do("patch", *in_argocd, "secret", "argocd-secret", "--patch", key)
        for process in self.processes:
            process.start()

    def register(
        self, name: str, environment: str, plane: ControlPlane | None = None, **labels_of_ours: str
    ) -> None:
        """Adds a cluster as `argocd cluster add --label` does; without a control plane, Argo CD's own."""
        config: dict[str, Any] = {"tlsClientConfig": {"insecure": False}}
        if plane is not None:
            authority = base64.b64encode(plane.ca.read_bytes()).decode()
            config = {"bearerToken": plane.users.tokens[ADMIN], "tlsClientConfig": {"caData": authority}}
        labels = {"argocd.argoproj.io/secret-type": "cluster", ENVIRONMENT_LABEL: environment}
        labels |= {f"istio-netpol.io/{key}": value for key, value in labels_of_ours.items()}
        data = {"name": name, "server": plane.url if plane else IN_CLUSTER, "config": json.dumps(config)}
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": f"cluster-{name}", "namespace": NAMESPACE, "labels": labels},
            "stringData": data,
        }
        self.apply(secret)

    def apply(self, *manifests: Mapping[str, Any]) -> None:
        """Applies objects to the cluster of Argo CD."""
        done = self._kubectl.apply(*manifests, options=("--server-side", "--validate=strict"))
        assert done.code == 0, done.stderr

    def stop(self) -> None:
        """Ends all processes."""
        for process in reversed(self.processes):
            process.stop()

    def _do(self, *arguments: str) -> None:
        done = self._kubectl(*arguments)
        assert done.code == 0, done.stderr

    def _cache(self) -> list[str | Path]:
        return [Path(str(located("miniredis"))), self._redis]

    def _renders(self) -> list[str | Path]:
        return [
            self.folder / "argocd-repo-server",
            "--disable-tls",
            f"--redis={self._redis}",
            "--address=127.0.0.1",
            f"--port={self._repo_server.partition(':')[2]}",
            "--metrics-address=127.0.0.1",
            f"--metrics-port={free_port()}",
            "--revision-cache-expiration=1s",
        ]

    def _syncs(self) -> list[str | Path]:
        return [
            self.folder / "argocd-application-controller",
            f"--namespace={NAMESPACE}",
            f"--kubeconfig={self._plane.kubeconfig()}",
            f"--redis={self._redis}",
            f"--repo-server={self._repo_server}",
            "--repo-server-plaintext",
            f"--metrics-port={free_port()}",
            "--app-resync=5",
            "--app-resync-jitter=0",
        ]

    def _generates(self) -> list[str | Path]:
        return [
            self.folder / "argocd-applicationset-controller",
            f"--namespace={NAMESPACE}",
            f"--kubeconfig={self._plane.kubeconfig()}",
            f"--argocd-repo-server={self._repo_server}",
            "--repo-server-plaintext",
            f"--metrics-addr=127.0.0.1:{free_port()}",
            f"--probe-addr=127.0.0.1:{free_port()}",
            f"--webhook-addr=127.0.0.1:{free_port()}",
            "--enable-progressive-syncs",
        ]
